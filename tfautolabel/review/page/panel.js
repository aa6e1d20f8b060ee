/** What the session has reached: answers, accuracy, what is still needed, classes; true at every moment and no more than true. */

import { byId, element, named } from "./element.js";

const DRAW_AFTER_MS = 60;

const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;

/** Half a minute is "less than a minute": times that are told too exactly are wrong. */
export function timeLeft(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 60) return "less than a minute left";
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `about ${minutes} min left` : `about ${(minutes / 60).toFixed(1)} h left`;
}

export class Panel {
  constructor(state) {
    this._state = state;
    this._isDue = false;
    state.addEventListener("status", () => this._drawSoon());
    this.draw();
  }

  /** The next example comes first: hundreds of classes take a while to draw. */
  _drawSoon() {
    this._drawProgress(this._state.status);
    if (this._isDue) return;
    this._isDue = true;
    setTimeout(() => {
      this._isDue = false;
      this.draw();
    }, DRAW_AFTER_MS);
  }

  draw() {
    const { status } = this._state;
    this._drawProgress(status);
    byId("figures").replaceChildren(...figures(status));
    byId("notes").replaceChildren(...notes(status));
    this._drawCounts(status);
    drawUnreadable(this._state.session.unreadable);
    byId("others").textContent = this._state.session.others.length ? `Also here: ${this._state.session.others.join(", ")}` : "";
    byId("person").textContent = this._state.session.who;
    const { state, sentence, report } = status.finish;
    const place = byId("finish-said");
    place.replaceChildren(sentence ? element("span", { className: state === "failed" ? "error" : "", text: sentence }) : "");
    if (report) place.append(" ", element("a", { href: report, target: "_blank", rel: "noopener", text: "Open the report" }));
    byId("finish").disabled = state === "running";
  }

  _drawProgress(status) {
    const done = `${status.answered} of ${status.planned}`, rest = timeLeft(status.seconds_left);
    byId("progress-said").textContent = status.answered >= status.planned ? `${status.answered} answered` : rest ? `${done}, ${rest}` : done;
    const bar = byId("progress");
    bar.max = Math.max(status.planned, 1);
    bar.value = Math.min(status.answered, status.planned);
  }

  /** Hundreds of classes: a row is made once, and changed when its numbers change. */
  _drawCounts(status) {
    const names = status.classes.map(each => each.name).join("\0"), most = Math.max(1, ...status.classes.map(each => each.count));
    if (names !== this._names) {
      this._names = names;
      this._rows = status.classes.map(({ name }) => rowOf(name));
      byId("counts").replaceChildren(...this._rows.map(row => row.whole));
    }
    status.classes.forEach(({ count }, place) => {
      const row = this._rows[place], width = `${(100 * count) / most}%`;
      if (row.count.textContent !== String(count)) row.count.textContent = count;
      if (row.part.style.width !== width) row.part.style.width = width;
    });
  }
}

function rowOf(name) {
  const part = element("i"), count = element("td");
  const bar = element("td", { className: "bar" }, element("div", { "aria-hidden": "true" }, part));
  return { whole: element("tr", {}, element("th", { scope: "row" }, named(name)), bar, count), part, count };
}

/** What could not be read is never asked; it does not change while the page is open. */
function drawUnreadable({ count, first }) {
  const place = byId("unreadable");
  if (!count || !place.hidden) return;
  const more = count - first.length;
  place.querySelector("summary").textContent = count === 1 ? "1 example was set aside: it cannot be read" : `${count} examples were set aside: they cannot be read`;
  const lines = first.map(({ id, reason }) => element("li", {}, named(id), `: ${reason}`));
  place.querySelector("ul").replaceChildren(...lines, ...(more ? [element("li", { text: `and ${more} more` })] : []));
  place.hidden = false;
}

function figures(status) {
  const made = [];
  const figure = (what, value, ...more) => made.push(element("div", {}, element("dt", { text: what }), element("dd", {}, element("b", { text: value }), ...more.map(text => element("span", { text })))));
  const { accuracy, accepted, needed, agreement } = status;
  if (accuracy) figure("Accuracy now", percent(accuracy.value), `${percent(accuracy.low)} to ${percent(accuracy.high)}, from the ${accuracy.n} randomly asked ones`);
  else figure("Accuracy now", "not known yet", "It comes from the randomly asked ones only.");
  if (accepted) figure("Labels accepted now", percent(accepted.share), accepted.why);
  if (needed) figure(`For at most ${percent(needed.target_error)} errors`, needed.answers === null ? "not known yet" : needed.answers ? `${needed.answers} more answers` : "enough answers", needed.sentence);
  if (agreement) {
    // Where all give one answer there is no chance to compare with, and no kappa.
    const kappa = agreement.kappa === null ? "" : `${agreement.kind} ${agreement.kappa.toFixed(2)}, `;
    figure("Agreement", percent(agreement.percent), `${kappa}on ${agreement.items} examples that several people answered`);
  }
  const said = [status.skipped && `${status.skipped} skipped`, status.cannot_tell && `${status.cannot_tell} cannot tell`, status.none_of_these && `${status.none_of_these} none of these`].filter(Boolean);
  figure("Answered", status.answered, [`${status.left} open`, ...said].join(", "));
  return made;
}

function notes(status) {
  const made = [];
  const note = (className, ...sentences) => made.push(element("div", { className }, ...sentences.filter(Boolean).map(text => element("p", { text }))));
  if (status.problem) note("note", status.problem);
  if (status.stop?.hint) note("note good", status.stop.sentence);
  note("soft small", status.refitting ? "The model learns from your answers…" : status.fits ? `The model has learnt ${status.fits} times from your answers.` : "The model has not learnt yet.");
  return made;
}
