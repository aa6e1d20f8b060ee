/** Keys become commands and answers. Typing in a field, and keys with Ctrl or Alt, stay the browser's. */

import { CLASS_KEYS } from "./class_keys.js";
import { remember, remembered } from "./preferences.js";

const TYPING = "input:not([type=checkbox]), textarea, [contenteditable]";
const FREE_IN_LISTS = ["backspace", "ctrl+z", "escape", "?"];

/** @returns {string[]} the names of a key, most exact first: layouts with other letters or with digits behind Shift work too. */
export function keyNames(event) {
  const key = event.key.toLowerCase();
  const before = event.ctrlKey || event.metaKey ? "ctrl+" : "";
  const names = [];
  if (event.shiftKey && /^[a-z]$/.test(key)) names.push(`${before}shift+${key}`);
  else names.push(before + key);
  const letter = /^Key([A-Z])$/.exec(event.code), digit = /^Digit(\d)$/.exec(event.code);
  if (digit && !event.shiftKey) names.push(before + digit[1]);
  // Letters of another script: by their place.
  if (letter && !/^[a-z]$/.test(key) && !event.shiftKey) names.push(before + letter[1].toLowerCase());
  return names;
}

export class Keyboard {
  /**
   * @param {import("./commands.js").Command[]} commands
   * @param {(key: string, event: KeyboardEvent) => void} choose is called with a class key.
   * @param {{modality: string, mode: () => string}} session
   */
  constructor(commands, choose, session) {
    this._commands = commands;
    this._choose = choose;
    this._session = session;
    this.isOn = remembered("letter-keys", true);
    document.addEventListener("keydown", event => this._down(event));
  }

  /** Single keys can be turned off, for people whose software writes text into pages by voice. */
  turn(isOn) {
    this.isOn = isOn;
    remember("letter-keys", isOn);
  }

  /** @returns {import("./commands.js").Command[]} those that do something in this view and modality. */
  here(view) {
    return this._commands.filter(
      command => (!command.where || command.where === view) && (!command.modality || command.modality === this._session.modality),
    );
  }

  _down(event) {
    if (event.defaultPrevented || event.altKey || event.isComposing) return;
    const names = keyNames(event);
    if (document.querySelector("dialog[open]") || event.target.closest?.(TYPING)) return;
    // A list takes letters and arrows itself, and has no use for the others.
    if (event.target.closest?.("select") && !FREE_IN_LISTS.includes(names[0])) return;
    if (!this.isOn && /^(shift\+)?[^+]$/.test(names[0]) && names[0] !== " ") return;
    // Space and Enter on a button, a link or a box press it.
    if ([" ", "enter"].includes(names[0]) && event.target.closest?.("button, a, input, summary")) return;
    const commands = this.here(document.body.dataset.view).filter(command => !command.mode || command.mode === this._session.mode());
    for (const name of names) {
      const command = commands.find(each => each.keys.includes(name));
      if (command) {
        event.preventDefault();
        // A key that is held down moves and zooms on, but answers once.
        if (!event.repeat || /^(arrow|[+=-])/.test(name)) command.run(event);
        return;
      }
      if (CLASS_KEYS.includes(name)) {
        event.preventDefault();
        if (!event.repeat) this._choose(name, event);
        return;
      }
    }
  }
}
