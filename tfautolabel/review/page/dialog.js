/** A window over the page: Escape closes it, the focus stays inside and goes back to the example. */

import { byId, element } from "./element.js";

let number = 0;

/**
 * @param {string} title
 * @param {(Node|string)[]} content
 * @param {{isForced?: boolean, className?: string}} [options] isForced: it stays until it is answered.
 * @returns {HTMLDialogElement} already open.
 */
export function openDialog(title, content, { isForced = false, className = "" } = {}) {
  const id = `dialog-title-${++number}`;
  const made = element("dialog", { className, "aria-labelledby": id }, element("h2", { id, text: title }), ...content);
  if (isForced) {
    made.addEventListener("cancel", event => event.preventDefault());
    // A second Escape would close it all the same.
    made.addEventListener("keydown", event => event.key === "Escape" && event.preventDefault());
  } else {
    made.append(element("button", { type: "button", className: "close", "aria-label": "Close", text: "×", click: () => made.close() }));
    made.addEventListener("pointerdown", event => event.target === made && made.close());
  }
  made.addEventListener("close", () => {
    made.remove();
    (document.body.dataset.view === "grid" ? document.querySelector("#cells [tabindex='0']") : byId("example"))?.focus();
  });
  document.body.append(made);
  made.showModal();
  return made;
}

/** A form of a dialog; what `submit` throws is shown in it, and the person can try again. */
export function form(submit, ...content) {
  const error = element("p", { className: "error", role: "alert" });
  return element(
    "form",
    {
      submit: async event => {
        event.preventDefault();
        error.textContent = "";
        try {
          await submit(event);
        } catch (problem) {
          error.textContent = problem.message;
        }
      },
    },
    ...content,
    error,
  );
}

/** A field with its label above it. */
export function field(label, input) {
  const id = `field-${++number}`;
  input.id = id;
  return element("p", { className: "field" }, element("label", { for: id, text: label }), input);
}
