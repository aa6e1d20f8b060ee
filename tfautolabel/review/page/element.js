/** Makes elements: text is always text, never markup, so a name from a file can do no harm. */

/**
 * @param {string} tag
 * @param {Record<string, unknown>} [options] `text` and `className`; functions become listeners ("click"); the rest are attributes.
 * @param {...(Node|string)} children
 * @returns {HTMLElement}
 */
export function element(tag, options = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") made.textContent = String(value);
    else if (name === "className") made.className = String(value);
    else if (typeof value === "function") made.addEventListener(name, value);
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children);
  return made;
}

/** The element of the page with this id. */
export function byId(name) {
  return document.getElementById(name);
}

/** A button; `key` is shown on it and told to screen readers. */
export function button(text, key, click, options = {}) {
  const made = element("button", { type: "button", click, ...options }, element("span", { className: "words", text }));
  if (key) {
    made.append(element("kbd", { text: key, "aria-hidden": "true" }));
    made.setAttribute("aria-keyshortcuts", key);
  }
  return made;
}

/** A name that a user gave, kept apart from the direction of the sentence around it. */
export function named(text) {
  return element("bdi", { text });
}
