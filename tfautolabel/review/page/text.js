/** A text as it was written: its lines, its direction, in a size that can be read. */

import { element } from "./element.js";
import { remember, remembered } from "./preferences.js";

const STEP = 1.15;
const NORMAL = 1.15;

export class TextView {
  constructor(place) {
    this._place = place;
    this._size = remembered("text-size", NORMAL);
  }

  show(entry) {
    const text = entry.item.text ?? "";
    // dir=auto follows the first letter; the style sheet lets every line follow its own.
    this._text = element("div", { className: "text", dir: "auto", text });
    if (!text.trim()) this._text = element("p", { className: "note", text: "This text is empty." });
    this._place.replaceChildren(this._text);
    this._place.scrollTop = 0;
    this._draw();
  }

  hide() {
    this._place.replaceChildren();
  }

  reset() {
    this._set(NORMAL);
  }

  fitOrOriginal() {
    this.reset();
  }

  resize(direction) {
    this._set(this._size * (direction > 0 ? STEP : 1 / STEP));
  }

  _set(size) {
    this._size = Math.min(Math.max(size, 0.6), 5);
    remember("text-size", this._size);
    this._draw();
  }

  pan(across, down) {
    this._place.scrollBy({ top: down * 60, left: across * 60 });
  }

  _draw() {
    if (this._text) this._text.style.fontSize = `${this._size}rem`;
  }
}
