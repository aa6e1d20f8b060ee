/** A picture that can be looked at closely: zoom about the pointer, drag, pinch, brightness, contrast. */

import { element } from "./element.js";

const STEP = 1.25;
const LARGEST = 40;
const ENLARGED = 12;
const PAN = 60;
const LIGHT_STEP = 0.15;

export class PictureView {
  constructor(place) {
    this._place = place;
    this._fingers = new Map();
    this._image = null;
    place.addEventListener("wheel", event => this._wheel(event), { passive: false });
    place.addEventListener("pointerdown", event => this._down(event));
    place.addEventListener("pointermove", event => this._move(event));
    for (const name of ["pointerup", "pointercancel"]) place.addEventListener(name, event => this._fingers.delete(event.pointerId));
    place.addEventListener("dblclick", event => this.fitOrOriginal(event));
    new ResizeObserver(() => this._isFit && this.reset()).observe(place);
  }

  show(entry) {
    const { picture, problem } = entry.media;
    this._fingers.clear();
    if (problem || !picture) {
      this._image = null;
      this._place.replaceChildren(element("p", { className: "note", text: problem || "There is no picture." }));
      return;
    }
    this._image = picture;
    picture.className = "picture";
    this._place.replaceChildren(picture);
    this.reset();
    if (!picture.complete) picture.addEventListener("load", () => this._image === picture && this.reset(), { once: true });
  }

  hide() {
    this._image = null;
    this._place.replaceChildren();
  }

  /** The whole picture, as it is. */
  reset() {
    this._bright = 1;
    this._contrast = 1;
    this._fit();
  }

  _fit() {
    if (!this._image) return;
    const { width, height } = this._place.getBoundingClientRect();
    const { naturalWidth, naturalHeight } = this._image;
    if (!naturalWidth || !width) return;
    this._scale = Math.min(width / naturalWidth, height / naturalHeight, ENLARGED);
    this._fitScale = this._scale;
    this._x = (width - naturalWidth * this._scale) / 2;
    this._y = (height - naturalHeight * this._scale) / 2;
    this._isFit = true;
    this._draw();
  }

  /** One pixel of the picture a pixel of the screen, and back. */
  fitOrOriginal(pointer) {
    if (!this._image) return;
    if (this._isFit) this._zoom(1 / window.devicePixelRatio / this._scale, pointer);
    else this._fit();
  }

  resize(direction) {
    this._zoom(direction > 0 ? STEP : 1 / STEP);
  }

  _zoom(factor, pointer) {
    if (!this._image) return;
    const box = this._place.getBoundingClientRect();
    const x = pointer ? pointer.clientX - box.left : box.width / 2, y = pointer ? pointer.clientY - box.top : box.height / 2;
    const smallest = Math.min(this._fitScale, 1 / window.devicePixelRatio) / 4;
    const scale = Math.min(Math.max(this._scale * factor, smallest), LARGEST);
    this._x = x - ((x - this._x) * scale) / this._scale;
    this._y = y - ((y - this._y) * scale) / this._scale;
    this._scale = scale;
    this._isFit = false;
    this._draw();
  }

  pan(across, down) {
    if (!this._image) return;
    this._x -= across * PAN;
    this._y -= down * PAN;
    this._isFit = false;
    this._draw();
  }

  light(direction) {
    this._bright = Math.max(0.1, this._bright + direction * LIGHT_STEP);
    this._draw();
  }

  contrast(direction) {
    this._contrast = Math.max(0.1, this._contrast + direction * LIGHT_STEP);
    this._draw();
  }

  _draw() {
    if (!this._image) return;
    const { style } = this._image;
    style.transform = `translate(${this._x}px, ${this._y}px) scale(${this._scale})`;
    style.filter = this._bright === 1 && this._contrast === 1 ? "" : `brightness(${this._bright}) contrast(${this._contrast})`;
    // Large pixels are to be seen as they are.
    style.imageRendering = this._scale * window.devicePixelRatio > 3 ? "pixelated" : "";
    this._place.dataset.scale = this._scale.toFixed(3);
  }

  _wheel(event) {
    if (!this._image) return;
    event.preventDefault();
    this._zoom(Math.exp(-event.deltaY / 400), event);
  }

  _down(event) {
    if (!this._image || event.button !== 0) return;
    this._place.setPointerCapture(event.pointerId);
    this._fingers.set(event.pointerId, event);
  }

  _move(event) {
    const before = this._fingers.get(event.pointerId);
    if (!before || !this._image) return;
    if (this._fingers.size === 1) {
      this._x += event.clientX - before.clientX;
      this._y += event.clientY - before.clientY;
      this._isFit = false;
      this._draw();
    } else {
      const other = [...this._fingers.values()].find(finger => finger.pointerId !== event.pointerId);
      const apart = finger => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY);
      this._zoom(apart(event) / Math.max(apart(before), 1), other);
    }
    this._fingers.set(event.pointerId, event);
  }
}
