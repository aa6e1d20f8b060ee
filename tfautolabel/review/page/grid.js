/**
 * Many examples at once: those of a group, found by words, or like another one. Mark the wrong ones; one key labels the rest.
 *
 * What this person answered before is left out at first. Who takes it in again is warned before it is overwritten.
 */

import { get, newAct, post } from "./api.js";
import { byId } from "./element.js";
import { cellOf, playCell, spokenCell } from "./grid_cells.js";
import { announce, remark } from "./notices.js";

const SIZE = 60;

export class Grid {
  /**
   * @param {{state: object, outbox: object, openAlone: (item: object) => void}} parts
   */
  constructor({ state, outbox, openAlone }) {
    Object.assign(this, { _state: state, _outbox: outbox, _openAlone: openAlone });
    this._list = byId("cells");
    this._label = byId("grid-label");
    /** @type {import("./api.js").Item[]} */
    this._items = [];
    this._cells = [];
    this._out = new Set();
    /** What was left out of a group comes again with the group; it stays marked. */
    this._outOfGroup = new Map();
    this._at = 0;
    this._source = null;
    this._isSaving = false;
    this._isWarned = false;
    this._isGuessShown = false;
    this._list.addEventListener("click", event => this._click(event));
    this._list.addEventListener("dblclick", () => this.alone());
    this._label.addEventListener("change", () => this.setLabel(this._label.value || null));
    byId("group").addEventListener("change", event => event.target.value && this.openGroup(event.target.value));
    byId("search-form").addEventListener("submit", event => {
      event.preventDefault();
      if (byId("search").value.trim()) this.search(byId("search").value.trim());
    });
    state.addEventListener("session", () => this._drawLabels());
    this._drawLabels();
  }

  /** The examples in the grid now. */
  get items() {
    return this._items;
  }

  get focused() {
    return this._items[this._at] ?? null;
  }

  async open() {
    await this._loadGroups();
    if (!this._items.length && byId("group").options.length > 1) await this.openGroup(byId("group").options[1].value);
    this._focus();
  }

  async _loadGroups() {
    const answer = await this._ask(() => get("/api/groups"));
    if (!answer) return;
    const chosen = byId("group").value;
    const options = answer.groups.map(group => new Option(`${group.name} (${group.size})`, group.key));
    byId("group").replaceChildren(new Option(options.length ? "Choose a group" : "No groups yet", ""), ...options);
    if (answer.groups.some(group => group.key === chosen)) byId("group").value = chosen;
  }

  async openGroup(key) {
    byId("group").value = key;
    const answer = await this._ask(() => post("/api/grid", { group: key, n: SIZE }));
    if (!answer) return;
    const name = byId("group").selectedOptions[0]?.text ?? key;
    this.show(answer.items, { title: name, label: answer.label, source: { group: key } });
  }

  async search(text) {
    const answer = await this._ask(() => post("/api/search", { text, n: SIZE }));
    if (answer) this.show(answer.items, { title: `found for “${text}”`, label: null, source: { text } });
  }

  async like(item) {
    const answer = await this._ask(() => post("/api/search", { like: item.id, n: SIZE }));
    if (answer) this.show(answer.items, { title: `like ${item.id}`, label: null, source: { like: item.id } });
  }

  async _ask(request) {
    byId("grid").setAttribute("aria-busy", "true");
    try {
      return await request();
    } catch (error) {
      remark(error.message);
      return null;
    } finally {
      byId("grid").removeAttribute("aria-busy");
    }
  }

  /**
   * @param {object[]} items
   * @param {{title: string, label: string|null, source: object|null, isUndone?: boolean}} about
   */
  show(items, { title, label, source, isUndone = false }) {
    const key = JSON.stringify(source);
    const outBefore = (source && this._outOfGroup.get(key)) ?? new Set();
    this._source = source;
    this._isGuessShown = false;
    this._list.classList.remove("with-guesses");
    // What was taken back is no answer any more.
    this._items = isUndone ? items.map(item => ({ ...item, answer: null })) : items;
    this._isWarned = false;
    this._shownAt = performance.now();
    this._out = new Set(this._items.filter(item => outBefore.has(item.id) || isAnswered(item)).map(item => item.id));
    this._outOfGroup.set(key, this._out);
    this._cells = this._items.map(item => cellOf(item, this._state.modality));
    this._list.replaceChildren(...this._cells);
    this._list.scrollTop = 0;
    byId("grid-title").textContent = items.length ? `${items.length} ${title}` : `Nothing ${title.startsWith("found") || title.startsWith("like") ? title : "is left here"}`;
    byId("grid-empty").hidden = items.length > 0;
    const answered = this._items.filter(isAnswered).length;
    this._warn(answered ? `${count(answered)} with an answer of yours ${answered === 1 ? "is" : "are"} left out. Space takes one in again.` : "");
    this._at = 0;
    this._cells.forEach((_, place) => this._drawCell(place));
    this.setLabel(label, true);
    this._focus();
    announce(byId("grid-title").textContent);
  }

  setLabel(name, isQuiet = false) {
    this._chosen = name;
    this._label.value = name ?? "";
    this._isWarned = false;
    this._drawSave();
    if (!isQuiet) {
      announce(`Label: ${name}`);
      this._focus();
    }
  }

  _drawLabels() {
    this._label.replaceChildren(new Option("Choose a class", ""), ...this._state.names.map(name => new Option(this._withKey(name), name)));
    this._label.value = this._chosen ?? "";
    if (!this._label.value) this._chosen = null;
    this._drawSave();
  }

  _withKey(name) {
    const key = this._state.keys.get(name);
    return key ? `${name} (${key.toUpperCase()})` : name;
  }

  _taken() {
    return this._items.filter(item => !this._out.has(item.id));
  }

  _drawSave() {
    const taken = this._taken().length, save = byId("save-grid");
    save.disabled = !taken || !this._chosen || this._isSaving;
    save.querySelector(".words").textContent = this._chosen ? `Label ${taken} as “${this._chosen}”` : "Choose a class first";
    byId("left-out").textContent = this._out.size ? `${this._out.size} left out` : "";
  }

  _drawCell(place) {
    const item = this._items[place], cell = this._cells[place], isOut = this._out.has(item.id);
    cell.setAttribute("aria-selected", String(isOut));
    cell.setAttribute("aria-label", spokenCell(item, isOut, this._isGuessShown));
    cell.tabIndex = place === this._at ? 0 : -1;
  }

  _warn(sentence) {
    byId("grid-warning").textContent = sentence;
    byId("grid-warning").hidden = !sentence;
  }

  _focus() {
    if (document.body.dataset.view !== "grid" || document.querySelector("dialog[open]")) return;
    (this._cells[this._at] ?? byId("grid-title")).focus();
  }

  _click(event) {
    const place = this._cells.findIndex(cell => cell.contains(event.target));
    if (place < 0) return;
    this._goTo(place);
    if (event.target.closest(".cell-play")) playCell(this._cells[place], this._list);
    else this.toggle();
  }

  _goTo(place) {
    const before = this._at;
    this._at = Math.min(Math.max(place, 0), this._items.length - 1);
    if (this._cells[before]) this._drawCell(before);
    this._drawCell(this._at);
    this._focus();
  }

  /** Moves the focus; up and down by what is seen above and below. */
  move(across, down) {
    if (!this._cells.length) return;
    const columns = this._cells.filter(cell => cell.offsetTop === this._cells[0].offsetTop).length;
    const place = this._at + across + down * columns;
    if (place >= 0 && place < this._cells.length) this._goTo(place);
  }

  /** Leaves the focused example out, or takes it in. */
  toggle() {
    const item = this.focused;
    if (!item || this._isSaving) return;
    if (!this._out.delete(item.id)) this._out.add(item.id);
    this._isWarned = false;
    this._drawCell(this._at);
    this._drawSave();
  }

  /** What the model would say of each; shown until the next grid. */
  showGuesses() {
    this._isGuessShown = true;
    this._list.classList.add("with-guesses");
    this._cells.forEach((_, place) => this._drawCell(place));
    announce("The guesses are shown.");
  }

  play() {
    if (this.focused) playCell(this._cells[this._at], this._list);
  }

  alone() {
    if (this.focused) this._openAlone(this.focused);
  }

  /** Labels all that are not left out, as one act. */
  async save() {
    const taken = this._taken(), label = this._chosen;
    if (this._isSaving) return;
    if (!label) return remark("Choose a class first: press its key.");
    if (!taken.length) return remark("All are left out: nothing to label.");
    const changed = taken.filter(item => isAnswered(item) && !(item.answer.kind === "label" && item.answer.label === label));
    if (changed.length && !this._isWarned) {
      this._isWarned = true;
      this._warn(`This overwrites ${count(changed.length)} that you answered otherwise. Press Enter again to do it, or Space on one to leave it out.`);
      return announce(byId("grid-warning").textContent);
    }
    this._isSaving = true;
    this._drawSave();
    document.body.classList.add("saving");
    const act = newAct(), seconds = Number(((performance.now() - this._shownAt) / 1000 / taken.length).toFixed(3));
    const isGuessShown = this._isGuessShown || Boolean(this._source?.group?.startsWith("class:"));
    const events = taken.map(item => ({ act, ticket: item.ticket, kind: "label", label, seconds, guess_shown: isGuessShown, comment: "" }));
    const status = await this._outbox.save(events);
    this._isSaving = false;
    document.body.classList.remove("saving");
    this._drawSave();
    if (status === null) return remark("These answers were dropped. The examples are still open.");
    this._state.takeStatus(status);
    remark(`Saved: “${label}” for ${count(taken.length)}. Backspace undoes it.`);
    await this._goOn(label);
  }

  /** What comes after a grid: more of the group, or what was left out of it. */
  async _goOn(label) {
    if (this._source?.group) {
      await this._loadGroups();
      return this.openGroup(this._source.group);
    }
    const rest = this._items.filter(item => this._out.has(item.id));
    this.show(rest, { title: "left out", label: rest.length ? label : null, source: this._source });
  }
}

const isAnswered = item => item.answer !== null && ["label", "cannot_tell", "none_of_these"].includes(item.answer.kind);

function count(number) {
  return number === 1 ? "1 example" : `${number} examples`;
}
