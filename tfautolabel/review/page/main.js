/** Puts the page together: the session first, then its parts, then the first example. */

import { Ahead } from "./ahead.js";
import { get, Refused } from "./api.js";
import { Choices } from "./choices.js";
import { openClasses } from "./classes_dialog.js";
import { commandsOf } from "./commands.js";
import { askComment, askFinish, askWho, invite, showHelp } from "./dialogs.js";
import { byId, button, element } from "./element.js";
import { Example } from "./example.js";
import { Grid } from "./grid.js";
import { openHistory } from "./history_dialog.js";
import { Keyboard } from "./keyboard.js";
import { banner, remark } from "./notices.js";
import { OneByOne } from "./one_by_one.js";
import { Outbox, unsavedOfOthers } from "./outbox.js";
import { Panel } from "./panel.js";
import { remember, remembered } from "./preferences.js";
import { State } from "./state.js";
import { watchTabs } from "./tabs.js";
import { Undo } from "./undo.js";
import { watch } from "./watch.js";

const TRY_AGAIN_MS = 2000;
const MODES = {
  teach: "what teaches most",
  audit: "labels to audit",
  unsure: "unsure labels",
  check: "probably wrong labels",
};
const SIGNED_OUT = "This link was used already, or the session is over. Ask for a new link at the terminal where the review runs, and open it in this browser.";

function sayServer(error) {
  if (!error) return banner("server", "");
  if (error instanceof Refused && error.isSignedOut) return banner("server", SIGNED_OUT);
  banner("server", `${error.message} The page tries again by itself.`);
}

function sayOutbox(outbox, { name, count, sentence, waitMs }) {
  document.body.dataset.unsaved = String(outbox.count);
  if (name === "empty") return banner("outbox", "");
  if (name === "saving") return;
  const answers = count === 1 ? "1 answer is" : `${count} answers are`;
  const kept = outbox.isKept ? "kept in this browser" : "kept only while this page is open";
  const again = button("Try now", "", () => outbox.tryNow());
  if (name === "signed-out") return banner("outbox", `${answers} not saved yet, and ${kept}. ${SIGNED_OUT}`, [again]);
  if (name === "refused") {
    const drop = button(count === 1 ? "Drop this answer" : "Drop these answers", "", () => outbox.drop());
    return banner("outbox", `${answers} not saved: ${sentence}`, [again, drop]);
  }
  banner("outbox", `${answers} not saved yet, and ${kept}. ${sentence} ${waitMs < 2000 ? "The page tries again." : `The next try is in ${Math.round(waitMs / 1000)} s.`}`, [again]);
}

async function firstSession() {
  for (;;) {
    try {
      const session = await get("/api/session");
      sayServer(null);
      return session.who ? session : await askWho(session);
    } catch (error) {
      sayServer(error);
      await new Promise(resolve => setTimeout(resolve, TRY_AGAIN_MS));
    }
  }
}

function drawModes(state, mode) {
  const options = state.session.modes.map(({ name, left }) => new Option(`${MODES[name] ?? name} (${left})`, name));
  byId("mode").replaceChildren(...options);
  byId("mode").value = mode;
}

/** Makes the buttons of the commands. */
function place(commands, modality) {
  for (const command of commands) {
    if (!command.place || (command.modality && command.modality !== modality)) continue;
    const spot = byId(command.place === "find" ? "tools" : command.place);
    if (spot.tagName === "BUTTON") {
      spot.append(element("kbd", { text: command.shown, "aria-hidden": "true" }));
      spot.setAttribute("aria-keyshortcuts", command.shown);
      spot.addEventListener("click", command.run);
      continue;
    }
    const made = () => button(command.name, command.shown, command.run, { title: command.help, "data-command": command.name });
    spot.append(made());
    if (command.place === "tools" && !command.where) byId("grid-tools").append(made());
  }
}

async function begin() {
  const session = await firstSession();
  const state = new State(session);
  document.title = `Review ${session.title}`;
  byId("title").textContent = session.title;
  document.body.dataset.modality = session.modality;

  const outbox = new Outbox(state.scope, told => sayOutbox(outbox, told));
  const others = unsavedOfOthers(state.scope);
  if (others) banner("others", `${others} unsaved answers of another person or session wait in this browser. They are saved when that person opens that session here again.`);
  watchTabs(state.scope, () => {
    const sentence = "This session is open in another page of this browser too. Answer in one of them: both show the same examples.";
    banner("tabs", sentence, [button("Go on here", "", () => banner("tabs", ""))]);
  });
  const ahead = new Ahead(session.modality, sayServer);
  const example = new Example(session.modality);
  const page = { example };
  const choices = new Choices(state, name => page.one.answer("label", name, performance.now()));
  const one = new OneByOne({ state, ahead, outbox, choices, example });
  const showAlone = (item, isUndone = false) => {
    setView("one");
    return one.showOutOfTurn(item, isUndone);
  };
  const grid = new Grid({ state, outbox, openAlone: showAlone });
  const showAgain = (items, isUndone) => {
    if (items.length === 1) return showAlone(items[0], isUndone);
    setView("grid");
    grid.show(items, { title: isUndone ? "taken back" : "answered before", label: null, source: null, isUndone });
  };
  const undo = new Undo({ state, outbox, isBusy: () => one.isSaving, showAgain });
  new Panel(state);

  function setView(name) {
    document.body.dataset.view = name;
    byId("one").hidden = name !== "one";
    byId("grid").hidden = name !== "grid";
    if (name === "one") byId("example").focus();
  }
  function setMode(mode) {
    remember(`mode:${session.title}`, mode);
    drawModes(state, mode);
    byId("finish").textContent = mode === "audit" ? "Certify…" : "Label all examples…";
    setView("one");
    return one.start(mode);
  }
  Object.assign(page, {
    one,
    grid,
    choices,
    open: {
      comment: () => one.current && askComment(one.current.item, text => one.comment(text)),
      history: () => openHistory(items => showAgain(items, false)),
      classes: () => openClasses(state, outbox),
      help: () => showHelp(keyboard, state),
    },
    undo: () => undo.once(),
    find: () => (document.body.dataset.view === "grid" ? byId("search").focus() : choices.openFilter()),
    nextMode: () => {
      const names = state.session.modes.map(mode => mode.name);
      setMode(names[(names.indexOf(one.mode) + 1) % names.length]);
    },
    moreLikeThis: () => {
      const item = document.body.dataset.view === "grid" ? grid.focused : one.current?.item;
      if (!item) return remark("No example is shown.");
      setView("grid");
      grid.like(item);
    },
    switchView: () => {
      setView(document.body.dataset.view === "one" ? "grid" : "one");
      if (document.body.dataset.view === "grid") grid.open();
    },
  });
  const commands = commandsOf(page);
  const choose = (key, event) => {
    const name = state.classOf(key);
    if (name === undefined) return;
    if (document.body.dataset.view === "grid") grid.setLabel(name);
    else one.answer("label", name, event.timeStamp);
  };
  const keyboard = new Keyboard(commands, choose, { modality: session.modality, mode: () => one.mode });
  place(commands, session.modality);
  // Labelling all examples makes further modes.
  state.addEventListener("session", () => drawModes(state, one.mode));

  byId("mode").addEventListener("change", event => setMode(event.target.value));
  byId("finish").addEventListener("click", () => askFinish(state, one.mode));
  byId("invite").addEventListener("click", invite);
  byId("rename-me").addEventListener("click", async () => {
    await askWho(state.session);
    // Unsaved answers belong to a name: the page begins again under the new one.
    location.reload();
  });
  byId("panel-toggle").addEventListener("click", event => {
    const isOpen = document.body.classList.toggle("panel-open");
    event.currentTarget.setAttribute("aria-expanded", String(isOpen));
  });
  // After a click with the pointer keys mean the example again, not the button.
  document.addEventListener("click", event => {
    if (event.detail > 0 && event.target.closest("button") && !document.querySelector("dialog[open]") && document.body.dataset.view === "one") byId("example").focus({ preventScroll: true });
  });

  await outbox.restore();
  const wanted = remembered(`mode:${session.title}`, "");
  const modes = session.modes.map(mode => mode.name);
  watch({ state, ahead, sayServer, onReturn: () => one.start(one.mode) });
  await setMode(modes.includes(wanted) ? wanted : modes[0]);
}

begin();
