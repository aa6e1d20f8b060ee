/** Takes acts back, one a key press, in order, and shows their examples again. */

import { get, newAct, post } from "./api.js";
import { announce, remark } from "./notices.js";

export class Undo {
  /**
   * @param {{state: object, outbox: object, isBusy: () => boolean, showAgain: (items: object[], isUndone: boolean) => unknown}} parts
   */
  constructor(parts) {
    this._parts = parts;
    this._last = Promise.resolve();
    this._act = null;
  }

  /** Keys that come quickly are done one after the other. */
  once() {
    this._last = this._last.then(() => this._undo());
    return this._last;
  }

  async _undo() {
    const { state, outbox, isBusy, showAgain } = this._parts;
    if (outbox.count || isBusy()) return remark("Not undone: an answer is still being saved. Press it again when it is.");
    try {
      // The name stays until the reply comes: if only the reply was lost, the same act is not undone twice.
      this._act ??= newAct();
      const { undone, status } = await post("/api/undo", { act: this._act });
      this._act = null;
      if (undone && !undone.items.length) state.takeSession(await get("/api/session"));
      else state.takeStatus(status);
      if (!undone) return remark("There is nothing left to undo.");
      remark(`Undone: ${undone.what}`);
      if (undone.items.length) await showAgain(undone.items, true);
      announce(`Undone: ${undone.what}`);
    } catch (error) {
      remark(`${error.message} Press it again: it is taken back once.`);
    }
  }
}
