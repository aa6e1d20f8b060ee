/**
 * Answers on their way to the server's disk.
 *
 * An event is written to the browser's storage before it is sent and leaves it when the server says that it is saved.
 * So neither a server that is gone nor a reload of the page loses one. The server takes an event twice without harm.
 */

import { post, Refused } from "./api.js";

const PREFIX = "tfautolabel-review-unsaved:";
const WAITS_MS = [250, 500, 1000, 2000, 4000, 8000];
const MOST_AT_ONCE = 500;

/**
 * @typedef {{name: string, count: number, sentence: string, waitMs: number}} State
 *   name: "empty", "saving", "unreachable", "signed-out" or "refused"; waitMs: how long until the next try.
 */

export class Outbox {
  /**
   * @param {string} scope whose answers to what these are; others' stay in the storage.
   * @param {(state: State) => void} tell is called whenever the state changes.
   */
  constructor(scope, tell) {
    this._prefix = `${PREFIX}${scope}:`;
    this._tell = tell;
    /** @type {{event: object, key: string, settle: (status: object) => void}[]} in the order of answering */
    this._entries = [];
    this._number = 0;
    this._tries = 0;
    this._isSending = false;
    this._isOneByOne = false;
    this._wake = null;
    this.isKept = true;
    window.addEventListener("online", () => this.tryNow());
    window.addEventListener("beforeunload", event => {
      // Without storage a reload would lose them.
      if (this._entries.length && !this.isKept) event.preventDefault();
    });
  }

  get count() {
    return this._entries.length;
  }

  /** Takes back what an earlier page did not get saved; resolves when it is saved, or dropped by the person. */
  restore() {
    const keys = stored().filter(key => key.startsWith(this._prefix)).sort();
    const saved = keys.map(key => new Promise(settle => this._entries.push({ event: JSON.parse(localStorage.getItem(key)), key, settle })));
    if (keys.length) this._send();
    return Promise.all(saved);
  }

  /**
   * Sends events; resolves with the server's status when all are on its disk.
   * It never gives up by itself: it resolves with null only where the person drops the answers.
   */
  save(events) {
    const saved = events.map(
      event =>
        new Promise(settle => {
          const key = this._prefix + `${Date.now()}-${String(this._number++).padStart(9, "0")}`;
          try {
            localStorage.setItem(key, JSON.stringify(event));
          } catch {
            this.isKept = false;
          }
          this._entries.push({ event, key, settle });
        }),
    );
    this._send();
    return Promise.all(saved).then(all => all.at(-1));
  }

  /** Tries again without waiting longer. */
  tryNow() {
    if (this._wake) this._wake();
    else this._send();
  }

  /** Forgets the act that the server refuses; only a person decides this. */
  drop() {
    // One that is on its way may be saved after all.
    if (!this._wake) return;
    const dropped = this._batch();
    this._entries = this._entries.filter(entry => !dropped.includes(entry));
    for (const entry of dropped) this._settle(entry, null);
    this.tryNow();
  }

  /** What is sent together. The server takes all or none: after a refusal each act is sent alone. */
  _batch() {
    if (!this._isOneByOne) return this._entries.slice(0, MOST_AT_ONCE);
    return this._entries.filter(entry => entry.event.act === this._entries[0].event.act);
  }

  _settle(entry, status) {
    try {
      localStorage.removeItem(entry.key);
    } catch {
      // Nothing was kept.
    }
    entry.settle(status);
  }

  async _send() {
    if (this._isSending) return;
    this._isSending = true;
    while (this._entries.length) {
      const sent = this._batch();
      this._say("saving", "");
      try {
        const answer = await post("/api/answers", { events: sent.map(entry => entry.event) });
        const tickets = new Set(answer.saved);
        const saved = sent.filter(entry => tickets.has(entry.event.ticket));
        if (!saved.length) throw new Refused(409, "The server does not take the answers.");
        this._entries = this._entries.filter(entry => !saved.includes(entry));
        for (const entry of saved) this._settle(entry, answer.status);
        this._tries = 0;
        if (!this._entries.length) this._isOneByOne = false;
      } catch (error) {
        if (isForGood(error) && !this._isOneByOne) this._isOneByOne = true;
        else await this._pause(error);
      }
    }
    this._isSending = false;
    this._say("empty", "");
  }

  _pause(error) {
    const waitMs = WAITS_MS[Math.min(this._tries++, WAITS_MS.length - 1)];
    let name = "unreachable";
    if (error instanceof Refused && error.isSignedOut) name = "signed-out";
    else if (isForGood(error)) name = "refused";
    this._say(name, error.message, waitMs);
    return new Promise(resolve => {
      const alarm = setTimeout(() => this._wake(), waitMs);
      this._wake = () => {
        clearTimeout(alarm);
        this._wake = null;
        resolve();
      };
    });
  }

  _say(name, sentence, waitMs = 0) {
    const count = name === "refused" ? this._batch().length : this._entries.length;
    this._tell({ name, count, sentence, waitMs });
  }
}

/** The same request will be refused again. */
function isForGood(error) {
  return error instanceof Refused && !error.isForNow;
}

/** Whose unsaved answers this browser keeps under scopes other than this one. */
export function unsavedOfOthers(scope) {
  const others = stored().filter(key => key.startsWith(PREFIX) && !key.startsWith(`${PREFIX}${scope}:`));
  return others.length;
}

function stored() {
  try {
    return Object.keys(localStorage);
  } catch {
    return [];
  }
}
