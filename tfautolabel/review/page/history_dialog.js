/** What this person answered, newest first; every answer can be changed or taken back. */

import { get, post } from "./api.js";
import { openDialog } from "./dialog.js";
import { button, element, named } from "./element.js";
import { inWords } from "./example.js";

const ACTS = 100;
const ALL = 1000;

/** @param {(items: object[]) => void} change shows examples again. */
export async function openHistory(change) {
  const list = element("ol", { className: "history" });
  const said = element("p", { className: "soft", role: "status", text: "One moment…" });
  const more = button("Show more", "", () => show(ALL), { hidden: true });
  const made = openDialog("History", [said, list, more], { className: "wide" });
  const show = async count => {
    try {
      const { acts } = await get(`/api/history?n=${count}`);
      said.textContent = acts.length ? "" : "There is no answer yet.";
      list.replaceChildren(...acts.map(act => line(act, made, change, said)));
      more.hidden = acts.length < count || count === ALL;
    } catch (error) {
      said.textContent = error.message;
    }
  };
  await show(ACTS);
}

function line(act, made, change, said) {
  // A change of the classes has no example.
  const items = act.items.filter(item => item.id), [first] = items, many = items.length > 1;
  const what = element("span", { className: "what" });
  if (first) {
    what.append(element("b", {}, named(inWords(first.kind, first.label))), many ? ` for ${items.length} examples` : " for ", many ? "" : named(first.id));
    if (first.comment) what.append(element("q", {}, named(first.comment)));
  } else what.append(act.what ?? "a change of the classes");
  const at = new Date(act.at), row = element("li", {}, element("time", { datetime: act.at, text: at.toLocaleString([], { dateStyle: "short", timeStyle: "short" }) }), what);
  if (first) {
    const again = async () => {
      try {
        const found = await post("/api/items", { ids: items.map(item => item.id) });
        made.close();
        change(found.items);
      } catch (error) {
        said.textContent = error.message;
      }
    };
    row.append(button("Change", "", again, { "aria-label": `Change ${inWords(first.kind, first.label)} for ${many ? `${items.length} examples` : first.id}` }));
  }
  return row;
}
