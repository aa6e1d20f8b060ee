/** The example that is asked about: its name, what is said about it, and the picture, text or sound itself. */

import { byId, element, named } from "./element.js";
import { PictureView } from "./picture.js";
import { SoundView } from "./sound.js";
import { TextView } from "./text.js";

const VIEWS = { image: PictureView, text: TextView, audio: SoundView };
const SPOKEN_LETTERS = 300;

const KINDS = {
  skip: "skipped",
  cannot_tell: "cannot tell",
  none_of_these: "none of these",
  comment: "a comment",
};

/** An answer in words. */
export function inWords(kind, label) {
  return kind === "label" ? label : (KINDS[kind] ?? kind);
}

export class Example {
  constructor(modality) {
    this._modality = modality;
    this._stage = byId("stage");
    this._stage.classList.add(`stage-${modality}`);
    this.view = new VIEWS[modality](this._stage);
  }

  /** @param {import("./ahead.js").Entry} entry whose media are ready. */
  show(entry) {
    const { item } = entry;
    byId("example-name").replaceChildren(named(item.id));
    byId("nothing").hidden = true;
    byId("example").hidden = false;
    document.body.dataset.ticket = item.ticket;
    document.body.dataset.example = item.id;
    this.view.show(entry);
  }

  /** What is known about it, as small labels above it. */
  tell(entry, mode, isGuessShown) {
    const { given, guess, answer } = entry.item, told = [];
    if (given !== null) told.push(badge(mode === "check" ? "given label" : "label to check", given, "given"));
    if (isGuessShown) {
      if (guess) told.push(badge(mode === "check" ? "more likely" : "guess", guess.label, "guess", `${Math.round(100 * guess.confidence)} %`));
      else told.push(badge("guess", "none yet", "guess"));
    }
    if (answer && answer.kind !== "comment") told.push(badge(entry.isUndone ? "taken back" : "your answer", inWords(answer.kind, answer.label), "earlier"));
    if (answer?.comment) told.push(badge("your comment", answer.comment, "comment"));
    byId("told").replaceChildren(...told);
  }

  wait(sentence) {
    this.view.hide();
    this._stage.replaceChildren(element("p", { className: "soft waiting", text: sentence }));
  }

  /** Instead of an example: why there is none. */
  showNothing(sentence, buttons) {
    this.view.hide();
    delete document.body.dataset.ticket;
    byId("example-name").replaceChildren();
    byId("told").replaceChildren();
    byId("example").hidden = true;
    const place = byId("nothing");
    place.replaceChildren(element("p", { text: sentence }), ...buttons);
    place.hidden = false;
  }

  /** For screen readers: the text itself, or the name of the file. */
  spoken(item) {
    return this._modality === "text" ? (item.text ?? "").slice(0, SPOKEN_LETTERS) : item.id;
  }
}

function badge(what, value, className, more) {
  const made = element("span", { className: `badge ${className}` }, element("span", { className: "what", text: `${what}: ` }), element("b", {}, named(value)));
  if (more) made.append(` ${more}`);
  return made;
}
