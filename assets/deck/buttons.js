// The buttons of a card, with its name and its note: what they are called, when each is shown, and how
// they show the card's state.

import { button, dragsOut, element, icon, labelled } from "./elements.js";
import { Menu } from "./menu.js";

const pressed = (control, isPressed) => control.setAttribute("aria-pressed", String(isPressed));

export class Buttons {
  // on: what each does: {rename(name), compare(whether with the earlier version), star(), toggle(),
  // more(), edit(), tools(), undo(), redo(), send(destination), midi(), wav(), prepareWav()}, and the
  // files that the last two become when dragged out: {midiFile(), wavFile()}.
  constructor(on) {
    this.on = on;
    this.#build();
    const { compare, play, more, edit, shape, undo, redo, hint, send, midi, wav } = this;
    const header = [element("div", {}, this.name, this.note), compare, this.keep];
    this.header = element("header", {}, ...header);
    this.footer = element("footer", {}, play, more, edit, shape, undo, redo, hint, send.root, midi, wav);
  }

  // All that can have the focus.
  get controls() {
    const { name, before, after, keep, play, more, edit, shape, undo, redo, midi, wav } = this;
    return [name, before, after, keep, play, more, edit, shape, undo, redo, midi, wav, this.send.button];
  }

  // Labels the buttons that a card has, and hides the others.
  update(card, { can, destinations }) {
    const { name, plays, editable } = card;
    if (this.name !== this.header.getRootNode().activeElement) this.name.value = name;
    this.name.setAttribute("aria-label", `Name of ${name}`);
    this.name.readOnly = !can.rename;
    this.note.textContent = card.note;
    labelled(this.more, `More like this: ${name}`, can.more);
    this.#allowMore(true);
    labelled(this.edit, "Edit the notes: click a cell, drag a hit", editable);
    const hasTools = editable && plays === "drums" && can.change;
    labelled(this.shape, "Tools: keep voices, humanize, tempo", hasTools);
    labelled(this.undo, "Undo the last edit");
    labelled(this.redo, "Make the edit again");
    const taken = destinations.filter(([, , forms]) => forms.includes(plays));
    this.send.update(can.send ? taken : []);
    labelled(this.send.button, `Send to another page: ${name}`);
    this.compare.hidden = !card.before;
  }

  // Its name is the same in both states; the tooltip says what a click does.
  showStar(name, isKept, isShown) {
    labelled(this.keep, `Keep ${name} among the favourites`, isShown);
    this.keep.title = isKept ? `Remove ${name} from favourites` : `Add ${name} to favourites`;
    pressed(this.keep, isKept);
  }

  showComparing(isComparing) {
    pressed(this.before, isComparing);
    pressed(this.after, !isComparing);
  }

  // file: the name that downloads get, without its ending; problem: why there is no sound, or null.
  showFiles(file, isMuting, problem) {
    const muted = isMuting ? ", without the muted voices" : "";
    labelled(this.midi, `MIDI: download ${file}.mid`);
    labelled(this.wav, problem ?? `WAV: download ${file}.wav${muted}`);
  }

  // hint: what clicks do where no button explains it.
  showModes(isEditing, hasToolsOpen, hint) {
    this.hint.textContent = this.hint.title = hint;
    pressed(this.edit, isEditing);
    this.shape.setAttribute("aria-expanded", String(hasToolsOpen));
  }

  showUndo(canUndo, canRedo, isEditing) {
    this.undo.hidden = this.redo.hidden = !(canUndo || canRedo || isEditing);
    this.undo.disabled = !canUndo;
    this.redo.disabled = !canRedo;
  }

  showPlaying(isPlaying, name, problem) {
    this.play.replaceChildren(icon(isPlaying ? "stop" : "play"));
    labelled(this.play, problem ?? `${isPlaying ? "Stop" : "Play"} ${name}`);
    this.play.disabled = this.wav.disabled = Boolean(problem);
  }

  #build() {
    const { on } = this;
    this.name = element("input", { class: "name", maxlength: "60", spellcheck: "false" });
    this.name.addEventListener("change", () => on.rename(this.name.value));
    this.name.addEventListener("keydown", (event) => event.key === "Enter" && this.name.blur());
    this.note = element("p", { class: "note" });
    this.hint = element("p", { class: "hint" });
    this.before = button("before", "", "Before", () => on.compare(true));
    this.after = button("after", "", "After", () => on.compare(false));
    const group = { class: "compare", role: "group", "aria-label": "Compare" };
    this.compare = element("div", group, this.before, this.after);
    this.keep = button("keep", "keep", "", on.star);
    this.play = button("play", "play", "", on.toggle);
    this.more = button("more", "more", "More like this", () => this.#askForMore());
    this.edit = button("edit", "", "Edit", on.edit);
    this.shape = button("shape", "", "Tools", on.tools);
    this.undo = button("undo", "undo", "", on.undo);
    this.redo = button("redo", "redo", "", on.redo);
    this.send = new Menu("send", "Send to", on.send);
    this.midi = button("file", "", "MIDI", on.midi);
    this.wav = button("file", "", "WAV", on.wav);
    dragsOut(this.midi, on.midiFile);
    dragsOut(this.wav, on.wavFile);
    for (const kind of ["pointerenter", "pointerdown"]) this.wav.addEventListener(kind, on.prepareWav);
  }

  // Only once until Python has answered; a `disabled` button would lose the focus.
  #askForMore() {
    if (this.more.getAttribute("aria-disabled") === "true") return;
    this.#allowMore(false);
    this.on.more();
  }

  #allowMore(allowed) {
    this.more.setAttribute("aria-disabled", String(!allowed));
  }
}
