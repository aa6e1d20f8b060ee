/**
 * One example after another. The next one is shown when the server has the answer to this one on its disk.
 *
 * A key that comes while an answer is being saved is not counted, and the page says so: it would be an answer to an
 * example that nobody has seen.
 */

import { newAct } from "./api.js";
import { byId, button } from "./element.js";
import { inWords } from "./example.js";
import { announce, remark } from "./notices.js";

const LOADING_AFTER_MS = 200;
const ASK_AGAIN_MS = 4000;
const MEASURE = "key-to-next";

export class OneByOne {
  /**
   * @param {{state: object, ahead: object, outbox: object, choices: object, example: object}} parts
   */
  constructor({ state, ahead, outbox, choices, example }) {
    Object.assign(this, { _state: state, _ahead: ahead, _outbox: outbox, _choices: choices, _example: example });
    /** @type {import("./ahead.js").Entry|null} */
    this.current = null;
    this.mode = "";
    this.isSaving = false;
    this._isSeen = false;
    this._isGuessShown = false;
    this._turn = 0;
    this._pressedAt = null;
    this.notCounted = 0;
    this._count = 0;
  }

  start(mode) {
    this.mode = mode;
    document.body.dataset.mode = mode;
    this._ahead.start(mode);
    return this.next("");
  }

  /** @param {string} done what was done, for screen readers. */
  async next(done) {
    const turn = ++this._turn;
    const last = this.current;
    const entry = await this._take(turn);
    if (turn !== this._turn) return;
    if (entry) await this._show(entry, done);
    else this._showNothing();
    if (last && last !== this.current) last.media.release();
  }

  async _take(turn) {
    const alarm = setTimeout(() => turn === this._turn && this._loading("One moment…"), LOADING_AFTER_MS);
    try {
      return await this._ahead.take();
    } finally {
      clearTimeout(alarm);
    }
  }

  /** Shows this one now; the one that was shown comes again after it. */
  async showOutOfTurn(item, isUndone = false) {
    const last = this.current;
    this._turn += 1;
    this._ahead.remove(item.id);
    if (last && last.item.id !== item.id) this._ahead.putFirst(last);
    await this._show({ ...this._ahead.entryOf(item), isUndone }, "");
  }

  async _show(entry, done) {
    const turn = this._turn;
    this.current = entry;
    this._ahead.shown = entry;
    this._isSeen = false;
    const alarm = setTimeout(() => turn === this._turn && this._loading("Loading…"), LOADING_AFTER_MS);
    await entry.media.ready;
    clearTimeout(alarm);
    if (turn !== this._turn) return;
    this._isSeen = true;
    this._shownAt = performance.now();
    // In these modes a label is shown from the start, and the answer says so.
    this._isGuessShown = this.mode === "check";
    this._example.show(entry);
    this._tell();
    this._choices.press(entry.item.answer?.kind === "label" ? entry.item.answer.label : null);
    document.body.dataset.shown = String(++this._count);
    announce(`${done} ${this._example.spoken(entry.item)}`.trim());
    this._measure();
  }

  _loading(sentence) {
    this._example.wait(sentence);
  }

  /** How long a person waits from the key to the next example on the screen, in the browser's own measures. */
  _measure() {
    const start = this._pressedAt;
    this._pressedAt = null;
    if (start === null) return;
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel();
      // A message that is sent in a frame arrives after it is drawn.
      port1.onmessage = () => {
        const measured = performance.measure(MEASURE, { start, end: performance.now() });
        document.body.dataset.keyToNextMs = measured.duration.toFixed(1);
      };
      port2.postMessage(null);
    });
  }

  _tell() {
    const { item } = this.current;
    this._example.tell(this.current, this.mode, this._isGuessShown);
    byId("accept").hidden = !(this.mode === "check" && item.guess);
    byId("keep").hidden = !(this.mode === "check" && item.given !== null);
    byId("right").hidden = !(this.mode === "audit" && item.given !== null);
    byId("shown-labels").hidden = byId("accept").hidden && byId("keep").hidden && byId("right").hidden;
    if (item.guess) setWords("accept", `Take “${item.guess.label}”`);
    if (item.given !== null) setWords("keep", `Keep “${item.given}”`);
    if (item.given !== null) setWords("right", `“${item.given}” is right`);
  }

  _showNothing() {
    this.current = null;
    this._ahead.shown = null;
    const turn = this._turn, why = this._ahead.why || "Nothing is left to ask here.";
    const sentence = this._ahead.hasFailed ? "The next examples cannot be loaded now. The page tries again by itself." : why;
    const again = () => {
      if (turn === this._turn && !document.hidden) this.next("");
    };
    this._example.showNothing(sentence, [button("Ask again", "", again)]);
    this._choices.press(null);
    announce(sentence);
    setTimeout(again, ASK_AGAIN_MS);
  }

  /**
   * @param {string} kind "label", "skip", "cannot_tell" or "none_of_these".
   * @param {string|null} label
   * @param {number} [pressedAt] when the key was pressed, in the page's milliseconds.
   */
  async answer(kind, label, pressedAt = performance.now()) {
    const entry = this.current;
    if (!entry || this.isSaving || !(this._isSeen || kind === "skip")) return this._doNotCount();
    this.isSaving = true;
    document.body.classList.add("saving");
    if (kind === "label") this._choices.press(label);
    const seconds = this._isSeen ? (performance.now() - this._shownAt) / 1000 : 0;
    const comment = entry.item.answer?.comment ?? "";
    const event = { act: newAct(), ticket: entry.item.ticket, kind, label, seconds: Number(seconds.toFixed(3)), guess_shown: this._isLabelShown(entry.item), comment };
    const turn = this._turn;
    const status = await this._outbox.save([event]);
    this.isSaving = false;
    document.body.classList.remove("saving");
    if (status === null) return remark("This answer was dropped. The example is still open.");
    this._state.takeStatus(status);
    if (turn !== this._turn) return;
    this._pressedAt = pressedAt;
    // It is answered: the server need not keep it for this page any longer.
    this._ahead.shown = null;
    byId("example").focus({ preventScroll: true });
    await this.next(`Saved: ${inWords(kind, label)}.`);
  }

  _isLabelShown(item) {
    return (this._isGuessShown && item.guess !== null) || item.given !== null;
  }

  _doNotCount() {
    this.notCounted += 1;
    document.body.dataset.notCounted = String(this.notCounted);
    remark(this.isSaving ? "Not counted: the last answer is still being saved." : "Not counted: no example is shown.");
  }

  showGuess() {
    if (!this.current || this.mode === "check") return;
    // It is not hidden again: what a person has seen stays seen, and the answer says so.
    this._isGuessShown = true;
    this._tell();
    const { guess } = this.current.item;
    announce(guess ? `Guess: ${guess.label}, ${Math.round(100 * guess.confidence)} %.` : "There is no guess yet.");
  }

  /** Check: the label that is more likely. Audit: the label that is checked. */
  accept(at) {
    const { guess } = this.current?.item ?? {};
    if (this.mode === "check" && guess) this.answer("label", guess.label, at);
  }

  keep(at) {
    const given = this.current?.item.given ?? null;
    if (this.mode === "check" && given !== null) this.answer("label", given, at);
  }

  right(at) {
    const given = this.current?.item.given ?? null;
    if (this.mode === "audit" && given !== null) this.answer("label", given, at);
  }

  /** Saves a comment at once; the example stays open. */
  async comment(text) {
    const entry = this.current;
    if (!entry || this.isSaving) return this._doNotCount();
    const event = { act: newAct(), ticket: entry.item.ticket, kind: "comment", label: null, seconds: 0, guess_shown: this._isLabelShown(entry.item), comment: text };
    const status = await this._outbox.save([event]);
    if (status === null) return;
    entry.item.answer = { kind: "comment", label: null, ...entry.item.answer, comment: text };
    this._state.takeStatus(status);
    if (this.current === entry) this._tell();
    remark("The comment is saved.");
  }
}

function setWords(id, text) {
  byId(id).querySelector(".words").textContent = text;
}
