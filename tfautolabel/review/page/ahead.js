/** The examples that come next: asked for ahead, their media loaded, so that a key is followed by the next one at once. */

import { post } from "./api.js";
import { prepare } from "./media.js";

const AHEAD = 8;
const LOW = 2;

/** @typedef {{item: import("./api.js").Item, media: import("./media.js").Media, isUndone?: boolean}} Entry */

export class Ahead {
  /**
   * @param {string} modality "image", "text" or "audio".
   * @param {(error: Error|null) => void} tell is called with what went wrong, and with null when it works again.
   */
  constructor(modality, tell) {
    this._modality = modality;
    this._tell = tell;
    this._mode = "";
    this._round = 0;
    this._filling = null;
    /** @type {Entry[]} */
    this._entries = [];
    /** @type {Entry|null} what is shown now; the server must not give it a second time */
    this.shown = null;
    this.left = 0;
    this.why = "";
    this.hasFailed = false;
    this.askedAt = Date.now();
  }

  get mode() {
    return this._mode;
  }

  get length() {
    return this._entries.length;
  }

  /** Starts over, in this mode: nothing that was asked for before is shown. */
  start(mode) {
    this._mode = mode;
    this._round += 1;
    this._filling = null;
    for (const entry of this._entries) entry.media.release();
    this._entries = [];
    this.shown = null;
  }

  /** @returns {Entry} of an item that did not come through here. */
  entryOf(item) {
    return { item, media: prepare(item, this._modality) };
  }

  putFirst(entry) {
    this._entries.unshift(entry);
  }

  /** Leaves out an example that is shown out of turn. */
  remove(id) {
    const gone = this._entries.filter(entry => entry.item.id === id);
    for (const entry of gone) entry.media.release();
    this._entries = this._entries.filter(entry => entry.item.id !== id);
  }

  /** @returns {Promise<Entry|null>} the next example; null where there is none: `why` says the reason. */
  async take() {
    const round = this._round;
    if (!this._entries.length) await this.fill();
    if (round !== this._round) return null;
    const entry = this._entries.shift() ?? null;
    if (entry && this._entries.length < LOW) setTimeout(() => this.fill(), 0);
    return entry;
  }

  /** Asks for more; one request at a time. */
  fill() {
    const round = this._round;
    this._filling ??= this._ask(round).finally(() => {
      if (round === this._round) this._filling = null;
    });
    return this._filling;
  }

  /** A sign of life: what this page holds stays with this person. */
  keep() {
    return this._ask(this._round, 1);
  }

  async _ask(round, atLeast = 0) {
    const held = this.shown ? [this.shown, ...this._entries] : this._entries;
    const missing = Math.max(AHEAD - this._entries.length, atLeast);
    if (missing <= 0) return;
    this.askedAt = Date.now();
    let answer;
    try {
      answer = await post("/api/next", { mode: this._mode, n: missing, have: held.map(entry => entry.item.ticket) });
    } catch (error) {
      if (round !== this._round) return;
      this.hasFailed = true;
      this._tell(error);
      return;
    }
    if (round !== this._round) return;
    this.hasFailed = false;
    this._tell(null);
    this.left = answer.left;
    this.why = answer.why;
    const known = new Set([this.shown, ...this._entries].filter(Boolean).map(entry => entry.item.id));
    for (const item of answer.items) if (!known.has(item.id)) this._entries.push(this.entryOf(item));
  }
}
