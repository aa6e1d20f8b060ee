/** The small windows: who answers, a comment, the help, an invitation, and the end. */

import { post } from "./api.js";
import { field, form, openDialog } from "./dialog.js";
import { button, element } from "./element.js";

/** Asks once who answers; resolves with the session. */
export function askWho(session) {
  return new Promise(resolve => {
    const name = element("input", { required: true, maxlength: 80, autocomplete: "nickname", spellcheck: "false" });
    name.value = session.who;
    const said = form(
      async () => {
        const named = await post("/api/who", { who: name.value.trim() });
        made.close();
        resolve(named);
      },
      element("p", { text: "Every answer is kept with the name of the person who gave it." }),
      field("Your name", name),
      element("button", { className: "main", text: "Begin" }),
    );
    const made = openDialog("Who answers?", [said], { isForced: !session.who });
    name.focus();
  });
}

/** @param {(text: string) => Promise<void>} save */
export function askComment(item, save) {
  const text = element("textarea", { rows: 4, maxlength: 5000, dir: "auto" });
  text.value = item.answer?.comment ?? "";
  const said = form(
    async () => {
      made.close();
      await save(text.value.trim());
    },
    field(`Comment on ${item.id}`, text),
    element("button", { className: "main", text: "Save" }),
    element("span", { className: "soft", text: " Ctrl+Enter saves, Escape leaves it." }),
  );
  text.addEventListener("keydown", event => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) said.requestSubmit();
  });
  const made = openDialog("Comment", [said]);
  text.focus();
}

/**
 * @param {import("./keyboard.js").Keyboard} keyboard
 * @param {import("./state.js").State} state
 */
export function showHelp(keyboard, state) {
  const table = element("table", { className: "keys" }, element("caption", { text: "All keys" }));
  const all = new Set([...keyboard.here("one"), ...keyboard.here("grid")]);
  const line = (shown, name, help) => table.append(element("tr", {}, element("td", {}, element("kbd", { text: shown })), element("th", { scope: "row", text: name }), element("td", { text: help })));
  const shownKeys = [...state.keys.values()];
  if (shownKeys.length) line(`${shownKeys[0].toUpperCase()} … ${shownKeys.at(-1).toUpperCase()}`, "A class", "Answers with the class whose button has this key. In the grid: chooses the label of the rest.");
  for (const command of all) if (command.help) line(command.shown, command.name, command.help);
  const letters = element("input", { type: "checkbox", change: event => keyboard.turn(event.target.checked) });
  letters.checked = keyboard.isOn;
  openDialog(
    "Help",
    [
      element("p", { text: "One key answers and shows the next example. An answer is on the disk of the server before you see the next one; if the server is away, the answer waits here and is sent when it is back." }),
      element("p", { text: "Three answers are no class. “Skip” means: not now. “Cannot tell” means: nobody can say it. “None of these” means: it is something else." }),
      element("label", { className: "check" }, letters, "Answer with single keys (turn this off if you speak to your computer)"),
      element("div", { className: "scroll", tabindex: "0", role: "region", "aria-label": "All keys" }, table),
    ],
    { className: "wide" },
  );
}

export function invite() {
  const address = element("input", { readonly: true, "aria-label": "Address for one person" });
  const said = element("p", { className: "soft", role: "status", text: "One moment…" });
  const copy = button("Copy", "", async () => {
    address.select();
    try {
      await navigator.clipboard.writeText(address.value);
      said.textContent = "Copied. It works once, for one person.";
    } catch {
      said.textContent = "Press Ctrl+C to copy it.";
    }
  });
  const row = element("p", { className: "field", hidden: true }, address, copy);
  openDialog("Invite a person", [element("p", { text: "Each person answers other examples, in an own browser." }), row, said]);
  post("/api/invite", {}).then(
    answer => {
      address.value = answer.address;
      row.hidden = false;
      said.textContent = "The address works once, for one person.";
      address.select();
    },
    error => {
      said.textContent = error.message;
    },
  );
}

/**
 * @param {import("./state.js").State} state
 * @param {string} mode an audit ends in a certificate, all else in labels.
 */
export function askFinish(state, mode) {
  const isAudit = mode === "audit";
  const said = form(
    async () => {
      const { status } = await post("/api/finish", { mode });
      made.close();
      state.takeStatus(status);
    },
    element("p", { text: isAudit ? "The labels that you checked become a certificate: it says how many of the accepted labels are wrong at most. You can go on checking afterwards and do it again." : "The model labels all examples from what it learnt, and writes the same files as `tfautolabel run`. You can go on answering afterwards and do it again." }),
    isAudit || state.status.accuracy ? "" : element("p", { className: "note", text: "No randomly asked example is answered yet: nobody knows how good the labels are." }),
    element("button", { className: "main", text: isAudit ? "Certify" : "Label all examples" }),
  );
  const made = openDialog("Finish", [said]);
}
