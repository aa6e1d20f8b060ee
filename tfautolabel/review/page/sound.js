/** A sound that plays when it is shown, with its wave, a place to jump to, and another speed. */

import { button, element } from "./element.js";
import { remark } from "./notices.js";
import { remember, remembered } from "./preferences.js";

const SPEEDS = [0.5, 0.75, 1, 1.25, 1.5, 2, 3];
const HEIGHT = 140;
const SEEK_SECONDS = 2;

export class SoundView {
  constructor(place) {
    this._place = place;
    this._player = null;
    this._frame = 0;
    this._speed = remembered("speed", 1);
    this._playsAtOnce = remembered("plays-at-once", true);
    new ResizeObserver(() => this._drawWave()).observe(place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this._drawWave());
  }

  show(entry) {
    this.hide();
    const { sound, problem } = entry.media;
    if (problem || !sound) {
      this._place.replaceChildren(element("p", { className: "note", text: problem || "There is no sound." }));
      return;
    }
    this._sound = sound;
    this._player = element("audio", { preload: "auto", src: sound.address });
    this._player.playbackRate = this._speed;
    const player = this._player;
    for (const name of ["play", "pause", "ended"]) player.addEventListener(name, () => this._drawState());
    for (const name of ["timeupdate", "loadedmetadata", "seeked"]) player.addEventListener(name, () => this._drawTime());
    player.addEventListener("error", () => this._fail("The browser cannot play this sound."));
    this._wave = element("canvas", { className: "wave", role: "img", "aria-label": `The wave of ${entry.item.id}`, click: event => this._jump(event) });
    this._head = element("div", { className: "playhead" });
    this._time = element("span", { className: "time" });
    this._playing = button("Play", "Space", () => this.playOrPause());
    const rate = element("span", { className: "time", text: this._speedText() });
    this._rate = rate;
    const once = element("input", { type: "checkbox", change: event => this._setAtOnce(event.target.checked) });
    once.checked = this._playsAtOnce;
    this._place.replaceChildren(
      element("div", { className: "wave-box" }, this._wave, this._head),
      element("div", { className: "player" }, this._playing, button("Again", "R", () => this.again()), this._time,
        button("Slower", "-", () => this.resize(-1)), rate, button("Faster", "+", () => this.resize(1)),
        element("label", { className: "check" }, once, "Play when shown")),
      player,
    );
    this._drawWave();
    this._drawState();
    this._drawTime();
    if (this._playsAtOnce) this._play();
  }

  hide() {
    cancelAnimationFrame(this._frame);
    this._player?.pause();
    this._player?.removeAttribute("src");
    this._player = null;
    this._sound = null;
    this._place.replaceChildren();
  }

  async _play() {
    const player = this._player;
    try {
      await player.play();
    } catch (error) {
      // Browsers let no page make noise before the person has touched it.
      if (player === this._player && error.name === "NotAllowedError") remark("Press Space to hear it: the browser waits for a first key or click.");
    }
  }

  _fail(sentence) {
    if (this._player) this._place.replaceChildren(element("p", { className: "note", text: sentence }));
  }

  playOrPause() {
    if (!this._player) return;
    if (this._player.paused) this._play();
    else this._player.pause();
  }

  again() {
    if (!this._player) return;
    this._player.currentTime = 0;
    this._play();
  }

  pan(across) {
    if (this._player) this._player.currentTime = Math.max(0, this._player.currentTime + across * SEEK_SECONDS);
  }

  resize(direction) {
    const place = SPEEDS.findIndex(speed => speed >= this._speed - 1e-9) + (direction > 0 ? 1 : -1);
    this._setSpeed(SPEEDS[Math.min(Math.max(place, 0), SPEEDS.length - 1)]);
  }

  reset() {
    this._setSpeed(1);
  }

  fitOrOriginal() {
    this.reset();
  }

  _setSpeed(speed) {
    this._speed = speed;
    remember("speed", speed);
    if (!this._player) return;
    this._player.playbackRate = speed;
    this._rate.textContent = this._speedText();
  }

  _speedText() {
    return `${this._speed} ×`;
  }

  _setAtOnce(isOn) {
    this._playsAtOnce = isOn;
    remember("plays-at-once", isOn);
  }

  _seconds() {
    const known = this._player?.duration;
    return Number.isFinite(known) ? known : this._sound?.seconds || 0;
  }

  _jump(event) {
    const share = event.offsetX / this._wave.clientWidth;
    this._player.currentTime = share * this._seconds();
  }

  _drawState() {
    if (!this._player) return;
    const isPlaying = !this._player.paused && !this._player.ended;
    this._playing.querySelector(".words").textContent = isPlaying ? "Pause" : "Play";
    this._place.dataset.playing = String(isPlaying);
    cancelAnimationFrame(this._frame);
    if (isPlaying) this._frame = requestAnimationFrame(() => this._follow());
  }

  _follow() {
    this._drawTime();
    if (this._player && !this._player.paused) this._frame = requestAnimationFrame(() => this._follow());
  }

  _drawTime() {
    if (!this._player) return;
    const seconds = this._seconds(), now = this._player.currentTime;
    this._time.textContent = `${now.toFixed(1)} of ${seconds.toFixed(1)} s`;
    this._head.style.left = `${seconds ? Math.min(100, (100 * now) / seconds) : 0}%`;
  }

  _drawWave() {
    const peaks = this._sound?.peaks;
    if (!peaks || !this._wave?.isConnected) return;
    const width = this._wave.clientWidth, ratio = window.devicePixelRatio;
    this._wave.width = width * ratio;
    this._wave.height = HEIGHT * ratio;
    const pen = this._wave.getContext("2d");
    pen.scale(ratio, ratio);
    pen.fillStyle = getComputedStyle(this._wave).color;
    // Quiet sounds are drawn as high as loud ones: their shape is what matters.
    const loudest = peaks.reduce((most, each) => Math.max(most, each), 1e-4);
    for (let column = 0; column < width; column++) {
      const from = Math.floor((column * peaks.length) / width), to = Math.max(from + 1, Math.floor(((column + 1) * peaks.length) / width));
      let peak = 0;
      for (let place = from; place < to; place++) peak = Math.max(peak, peaks[place]);
      const tall = Math.max(1, (peak / loudest) * (HEIGHT - 8));
      pen.fillRect(column, (HEIGHT - tall) / 2, 1, tall);
    }
  }
}
