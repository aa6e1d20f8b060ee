/**
 * Every command with its keys: one table that the keyboard, the buttons and the help follow.
 *
 * @typedef {{keys: string[], shown: string, name: string, help: string, where?: string, modality?: string, mode?: string,
 *            place?: string, run: (event: Event) => void}} Command
 *   keys: as `keyNames` writes them; where: the view that has it, both if it is not said; place: the id of where its button goes,
 *   or of the button that is there already.
 */

/**
 * @param {Record<string, any>} page the parts of the page.
 * @returns {Command[]}
 */
export function commandsOf(page) {
  const { one, grid, choices, example, open } = page;
  const answer = (kind, event) => one.answer(kind, null, event.timeStamp);
  const view = example.view;
  return [
    { keys: ["s"], shown: "S", name: "Skip", help: "Not now. The example stays open and comes again later. It takes an earlier answer back.", where: "one", place: "verdicts", run: event => answer("skip", event) },
    { keys: ["d"], shown: "D", name: "Cannot tell", help: "Nobody can say it from this example: it is blurred, cut off, or could be two classes.", where: "one", place: "verdicts", run: event => answer("cannot_tell", event) },
    { keys: ["n"], shown: "N", name: "None of these", help: "You know what it is, and it belongs to no class of the list.", where: "one", place: "verdicts", run: event => answer("none_of_these", event) },
    { keys: ["enter"], shown: "Enter", name: "Take the likelier label", help: "Mode “check”: the label that the model finds more likely is right.", where: "one", mode: "check", place: "accept", run: event => one.accept(event.timeStamp) },
    { keys: ["k"], shown: "K", name: "Keep the given label", help: "Mode “check”: the label that was given is right.", where: "one", mode: "check", place: "keep", run: event => one.keep(event.timeStamp) },
    { keys: ["y"], shown: "Y", name: "Yes, it is right", help: "Mode “audit”: the label to check is right. If not, press the key of the right class.", where: "one", mode: "audit", place: "right", run: event => one.right(event.timeStamp) },
    { keys: ["backspace", "ctrl+z"], shown: "Backspace", name: "Undo", help: "Takes your last act back, then the one before, and so on. Ctrl+Z does the same.", place: "tools", run: () => page.undo() },
    { keys: ["g"], shown: "G", name: "Guess", help: "Shows what the model would say. It is hidden at first, so that it does not lead you; your answer tells that you saw it.", place: "tools", run: () => (document.body.dataset.view === "grid" ? grid.showGuesses() : one.showGuess()) },
    { keys: ["c"], shown: "C", name: "Comment", help: "A remark on this example. It is saved at once.", where: "one", place: "tools", run: () => open.comment() },
    { keys: ["j"], shown: "J", name: "More like this", help: "A grid of the open examples that look, read or sound most alike.", place: "tools", run: () => page.moreLikeThis() },
    { keys: ["h"], shown: "H", name: "History", help: "What you answered, newest first; every answer can be changed.", place: "menu", run: () => open.history() },
    { keys: ["e"], shown: "E", name: "Classes", help: "Add, rename or merge classes, and choose their keys.", place: "menu", run: () => open.classes() },
    { keys: ["l"], shown: "L", name: "Grid", help: "Many examples at once, and back to one by one.", place: "menu", run: () => page.switchView() },
    { keys: ["?"], shown: "?", name: "Help", help: "This list.", place: "menu", run: () => open.help() },
    { keys: ["/"], shown: "/", name: "Find", help: "Find a class by its letters (Enter takes the first one). In the grid: find examples by words.", place: "find", run: () => page.find() },
    { keys: ["m"], shown: "M", name: "Next mode", help: "What is asked: what teaches most, the labels that a certificate needs, the unsure ones, labels that are probably wrong.", where: "one", run: () => page.nextMode() },
    { keys: ["+", "="], shown: "+", name: "Larger", help: "Pictures: closer. Texts: larger letters. Sounds: faster.", where: "one", place: "sizes", run: () => view.resize(1) },
    { keys: ["-"], shown: "-", name: "Smaller", help: "Pictures: farther. Texts: smaller letters. Sounds: slower.", where: "one", place: "sizes", run: () => view.resize(-1) },
    { keys: ["f"], shown: "F", name: "Fit", help: "Pictures: the whole picture, or its own size (1:1). Texts and sounds: normal size or speed.", where: "one", place: "sizes", run: () => view.fitOrOriginal() },
    { keys: ["escape"], shown: "Esc", name: "As it was", help: "Pictures: no zoom, own brightness and contrast. In the grid: back to one by one.", run: () => (document.body.dataset.view === "grid" ? page.switchView() : view.reset()) },
    { keys: ["b"], shown: "B", name: "Brighter", help: "Shift+B: darker.", where: "one", modality: "image", place: "sizes", run: () => view.light(1) },
    { keys: ["shift+b"], shown: "Shift+B", name: "Darker", help: "", where: "one", modality: "image", run: () => view.light(-1) },
    { keys: ["v"], shown: "V", name: "More contrast", help: "Shift+V: less.", where: "one", modality: "image", place: "sizes", run: () => view.contrast(1) },
    { keys: ["shift+v"], shown: "Shift+V", name: "Less contrast", help: "", where: "one", modality: "image", run: () => view.contrast(-1) },
    { keys: [" "], shown: "Space", name: "Play or pause", help: "A sound plays when it is shown.", where: "one", modality: "audio", run: () => view.playOrPause() },
    { keys: ["r"], shown: "R", name: "Play again", help: "From the beginning. In the grid: plays the example in focus.", modality: "audio", run: () => (document.body.dataset.view === "grid" ? grid.play() : view.again()) },
    { keys: ["arrowleft"], shown: "←", name: "Left", help: "Moves the picture, the text, the place in the sound, or the focus in the grid; so do the other arrows.", run: () => arrow(page, -1, 0) },
    { keys: ["arrowright"], shown: "→", name: "Right", help: "", run: () => arrow(page, 1, 0) },
    { keys: ["arrowup"], shown: "↑", name: "Up", help: "", run: () => arrow(page, 0, -1) },
    { keys: ["arrowdown"], shown: "↓", name: "Down", help: "", run: () => arrow(page, 0, 1) },
    { keys: [" "], shown: "Space", name: "Leave out", help: "Grid: leaves the example in focus out, or takes it in again.", where: "grid", run: () => grid.toggle() },
    { keys: ["enter"], shown: "Enter", name: "Label the rest", help: "Grid: labels all that are not left out; what is left out stays open.", where: "grid", place: "save-grid", run: () => grid.save() },
    { keys: ["f"], shown: "F", name: "Alone", help: "Grid: shows the example in focus alone.", where: "grid", place: "grid-tools", run: () => grid.alone() },
  ];
}

function arrow({ grid, example }, across, down) {
  if (document.body.dataset.view === "grid") grid.move(across, down);
  else example.view.pan(across, down);
}
