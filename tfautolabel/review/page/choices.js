/** The buttons of the classes: key, name, count; with a filter for many. */

import { matching } from "./class_keys.js";
import { byId, element, named } from "./element.js";

const MANY = 20;

export class Choices {
  /**
   * @param {import("./state.js").State} state
   * @param {(name: string) => void} choose
   */
  constructor(state, choose) {
    this._state = state;
    this._choose = choose;
    this._list = byId("classes");
    this._filter = byId("filter");
    this._buttons = new Map();
    this._filter.addEventListener("input", () => this._narrow());
    this._filter.addEventListener("keydown", event => this._key(event));
    byId("most-used").addEventListener("change", event => state.sort(event.target.checked));
    state.addEventListener("session", () => this.draw());
    state.addEventListener("status", () => this._count());
    this.draw();
  }

  draw() {
    const { names, keys } = this._state;
    this._drawn = new Map();
    this._pressed = null;
    this._buttons = new Map(names.map(name => [name, this._button(name, keys.get(name))]));
    byId("find-class").hidden = names.length <= MANY && !this._filter.value;
    byId("no-classes").hidden = names.length > 0;
    byId("most-used").checked = this._state.isMostUsedFirst;
    this._narrow();
    this._count();
  }

  _button(name, key) {
    const made = element("button", { type: "button", className: "class", "data-class": name, "aria-pressed": "false" });
    if (key) {
      made.append(element("kbd", { text: key.toUpperCase(), "aria-hidden": "true" }));
      made.setAttribute("aria-keyshortcuts", key.toUpperCase());
    }
    made.append(element("span", { className: "name" }, named(name)), element("span", { className: "count" }));
    made.addEventListener("click", () => this._choose(name));
    return made;
  }

  /** Shows which class is the answer so far, or null. */
  press(name) {
    this._buttons.get(this._pressed)?.setAttribute("aria-pressed", "false");
    this._buttons.get(name)?.setAttribute("aria-pressed", "true");
    this._pressed = name;
  }

  _count() {
    for (const [name, made] of this._buttons) {
      const count = this._state.countOf(name);
      // Hundreds of classes: what did not change is not drawn again.
      if (this._drawn.get(name) === count) continue;
      this._drawn.set(name, count);
      made.lastElementChild.textContent = count ? String(count) : "";
    }
  }

  /** The filter's field, with nothing in it yet. */
  openFilter() {
    byId("find-class").hidden = false;
    this._filter.focus();
    this._filter.select();
  }

  closeFilter() {
    const had = this._filter.value;
    this._filter.value = "";
    byId("find-class").hidden = this._state.names.length <= MANY;
    if (had) this._narrow();
  }

  _narrow() {
    const found = matching(this._state.names, this._filter.value);
    this._list.replaceChildren(...found.map(name => this._buttons.get(name)));
    this._first = this._filter.value.trim() ? found[0] : undefined;
    for (const [name, made] of this._buttons) made.classList.toggle("first", name === this._first);
    byId("found").textContent = this._filter.value.trim() ? (found.length ? `${found.length} found; Enter takes “${found[0]}”.` : "No class has this name.") : "";
  }

  _key(event) {
    if (event.key === "Enter" && this._first !== undefined) {
      event.preventDefault();
      const name = this._first;
      this.closeFilter();
      byId("example").focus();
      this._choose(name);
    } else if (event.key === "Escape") {
      event.preventDefault();
      this.closeFilter();
      byId("example").focus();
    }
    event.stopPropagation();
  }
}
