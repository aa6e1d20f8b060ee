/** Add, rename and merge classes, and choose their keys, in the middle of the work. */

import { newAct, post } from "./api.js";
import { CLASS_KEYS } from "./class_keys.js";
import { field, form, openDialog } from "./dialog.js";
import { button, element, named } from "./element.js";
import { remark } from "./notices.js";

/** @param {import("./state.js").State} state */
export function openClasses(state, outbox) {
  const list = element("div", { className: "class-rows" });
  const change = async (act, body, said) => {
    // Answers under the old name come first.
    if (outbox.count) throw new Error("Answers are still being saved. Try again when they are.");
    state.takeSession(await post("/api/classes", { act, ...body }));
    remark(`${said} Backspace undoes it.`);
    draw();
  };
  const name = element("input", { required: true, maxlength: 200, autocomplete: "off" });
  let addAct = newAct();
  const add = form(
    async () => {
      await change(addAct, { add: name.value.trim() }, `“${name.value.trim()}” is a class now.`);
      addAct = newAct();
      name.value = "";
      name.focus();
    },
    field("New class", name),
    element("button", { className: "main", text: "Add" }),
  );
  const draw = () => list.replaceChildren(...state.names.map(each => row(state, each, change, draw)));
  draw();
  openDialog("Classes", [add, element("p", { className: "soft small", text: "A rename or a merge holds for the answers so far too. Undo takes it back." }), list], { className: "wide" });
  name.focus();
}

function row(state, name, change, draw) {
  const place = element("div", { className: "class-row" });
  const keys = element("select", { "aria-label": `Key of ${name}`, change: event => setKey(event.target.value) });
  const setKey = key => {
    state.chooseKey(name, key);
    draw();
  };
  const mine = state.keys.get(name) ?? "";
  keys.append(new Option("no key", ""), ...CLASS_KEYS.map(key => new Option(key.toUpperCase(), key)));
  keys.value = mine;
  place.append(keys, element("span", { className: "name" }, named(name)), element("span", { className: "count soft", text: state.countOf(name) }),
    button("Rename", "", () => place.append(renaming(name, change, place)), { "aria-label": `Rename ${name}` }));
  if (state.names.length > 1) place.append(button("Merge", "", () => place.append(merging(state, name, change, place)), { "aria-label": `Merge ${name} into another class` }));
  return place;
}

function renaming(name, change, place) {
  place.querySelector("form")?.remove();
  const input = element("input", { required: true, maxlength: 200, autocomplete: "off" }), act = newAct();
  input.value = name;
  const made = form(
    () => change(act, { rename: [name, input.value.trim()] }, `“${name}” is now “${input.value.trim()}”.`),
    field(`New name of ${name}`, input),
    element("button", { className: "main", text: "Rename" }),
  );
  queueMicrotask(() => input.select());
  return made;
}

function merging(state, name, change, place) {
  place.querySelector("form")?.remove();
  const into = element("select"), act = newAct();
  into.append(...state.names.filter(other => other !== name).map(other => new Option(other, other)));
  const made = form(
    () => change(act, { merge: [name, into.value] }, `“${name}” is now part of “${into.value}”.`),
    field(`Put all of ${name} into`, into),
    element("button", { className: "main", text: "Merge" }),
  );
  queueMicrotask(() => into.focus());
  return made;
}
