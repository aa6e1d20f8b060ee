/** One example in the grid: small, with its mark and what it was answered before. */

import { element, named } from "./element.js";
import { inWords } from "./example.js";

/**
 * @param {import("./api.js").Item} item
 * @param {string} modality
 * @returns {HTMLElement} an option of the grid's list box.
 */
export function cellOf(item, modality) {
  const made = element("div", { role: "option", tabindex: "-1", className: "cell", "aria-selected": "false" });
  if (modality === "image") made.append(pictureOf(item));
  else if (modality === "text") made.append(element("div", { className: "excerpt", dir: "auto", text: (item.text ?? "").slice(0, 600) || "(empty)" }));
  else made.append(soundOf(item));
  made.append(element("span", { className: "cell-name" }, named(item.id)));
  if (item.answer && item.answer.kind !== "comment") {
    made.append(element("span", { className: "cell-answer" }, "you: ", named(inWords(item.answer.kind, item.answer.label))));
  }
  made.append(element("span", { className: "cell-guess" }, "guess: ", item.guess ? named(item.guess.label) : "none yet"));
  made.append(element("span", { className: "cell-mark", "aria-hidden": "true", text: "left out" }));
  return made;
}

function pictureOf(item) {
  const picture = element("img", { src: item.media, alt: "", decoding: "async", draggable: "false" });
  picture.addEventListener("error", () => picture.replaceWith(element("span", { className: "soft", text: "cannot be shown" })));
  return picture;
}

function soundOf(item) {
  const player = element("audio", { preload: "none", src: item.media });
  return element("span", { className: "cell-sound" }, element("span", { className: "cell-play", "aria-hidden": "true", text: "▶" }), player);
}

/** What a screen reader says of a cell. */
export function spokenCell(item, isLeftOut, isGuessShown) {
  const words = [item.text ? item.text.slice(0, 200) : item.id];
  if (item.answer && item.answer.kind !== "comment") words.push(`your answer: ${inWords(item.answer.kind, item.answer.label)}`);
  if (isGuessShown) words.push(`guess: ${item.guess?.label ?? "none yet"}`);
  if (isLeftOut) words.push("left out");
  return words.join(", ");
}

/** Plays the sound of a cell, and no other. */
export function playCell(cell, list) {
  const player = cell.querySelector("audio");
  if (!player) return;
  for (const other of list.querySelectorAll("audio")) if (other !== player) other.pause();
  player.currentTime = 0;
  player.play().catch(() => {});
}
