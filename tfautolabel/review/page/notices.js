/** What the page says beside the example: sentences for screen readers, lasting banners, short remarks. */

import { byId, element } from "./element.js";

const REMARK_MS = 4000;
let alarm = null;

/** Said by a screen reader when it has time; not shown. */
export function announce(sentence) {
  byId("said").textContent = sentence;
}

/** A short sentence that goes away by itself. */
export function remark(sentence) {
  const place = byId("remark");
  place.textContent = sentence;
  place.hidden = false;
  clearTimeout(alarm);
  alarm = setTimeout(() => {
    place.hidden = true;
  }, REMARK_MS);
}

/**
 * A banner that stays until what it says is over; one a name.
 * @param {string} name of the trouble.
 * @param {string} sentence "" takes it away.
 * @param {HTMLElement[]} buttons what the person can do.
 */
export function banner(name, sentence, buttons = []) {
  const known = document.querySelector(`[data-banner="${name}"]`);
  if (!sentence) return known?.remove();
  if (known && known.querySelector("p").textContent === sentence) return;
  const made = element("div", { className: "banner", "data-banner": name }, element("p", { text: sentence }), ...buttons);
  if (known) known.replaceWith(made);
  else byId("banners").append(made);
}
