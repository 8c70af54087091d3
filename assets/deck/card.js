// One card: a groove's picture, its name and its buttons. It has nothing to do with sound.

import { Editor } from "./editing.js";
import { button, dragsOut, element, icon, labelled } from "./elements.js";
import { Grid } from "./grid.js";
import { undoOf } from "./keyboard.js";
import { Menu } from "./menu.js";
import { MorphControl } from "./morph.js";
import { Requests, Setting } from "./revision.js";
import { differences, fits, marksOf, placeOf, rowsOf, sameHits } from "./score.js";
import { Tools } from "./tools.js";

const WIDE_BARS = 4; // longer grooves, morphs and grooves being edited take a whole row
const EDITED_ROOM = 4; // extra pitches above and below an edited line

// Whether two cards have the same steps and bars.
const sameGrid = (some, other) =>
  some.steps === other.steps && some.grid.steps_per_bar === other.grid.steps_per_bar;

// Whether two cards have the same hits and lines.
const sameNotes = (some, other) =>
  sameHits(some.hits, other.hits) && JSON.stringify(some.lines) === JSON.stringify(other.lines);

export class CardView {
  bar = null; // the looped bar, or null
  comparing = false; // whether the earlier version is shown
  editing = false; // whether clicks on the grid edit it
  editor = null;
  playing = false;
  stage = ""; // "large" or "small" where the deck shows one card large, or ""
  preview = null; // {hits} or {notes} requested by a slider and not yet confirmed by Python, or null

  // act: functions of this view, see `#add` in deck.js; kept: the settings of the same card before the
  // user left its page: what Python has not confirmed yet still holds.
  constructor(act, kept = {}) {
    this.act = act;
    const open = (event) => (kept[event]?.revision.isUnconfirmed ? kept[event] : null);
    const setting = (event) => open(event) ?? new Setting();
    this.settings = { keep: setting("keep"), rename: setting("rename"), move: setting("move") };
    this.settings.change = open("change") ?? new Requests();
    this.#buildControls();
    this.root = element(
      "li",
      { class: "card" },
      element("header", {}, element("div", {}, this.name, this.note), this.compare, this.keep),
      element("div", { class: "instrument" }, this.morph.root, this.grid.root),
      this.tools.root,
      element(
        "footer",
        {},
        this.play,
        this.more,
        this.edit,
        this.shape,
        this.undo,
        this.redo,
        this.hint,
        this.send.root,
        this.midi,
        this.wav,
      ),
    );
    this.root.view = this;
    this.root.addEventListener("keydown", (event) => this.#onKey(event));
    this.name.addEventListener("change", () => this.#rename());
    this.name.addEventListener("keydown", (event) => event.key === "Enter" && this.name.blur());
  }

  // A card always has a name.
  #rename() {
    if (this.name.value.trim()) this.#set("rename", this.name.value);
    else this.name.value = this.card.name;
  }

  #set(event, value) {
    this.settings[event].set(value);
    this.act.set(event);
  }

  // The music shown and played: {file, hits, lines, description, midi}.
  get shown() {
    const { card } = this;
    if (card.morph) {
      const { index, isBetween, hits } = this.morph;
      const file = `${card.file}-${isBetween ? "between" : `step-${index + 1}`}`;
      return { file, ...card.morph.places[index], hits };
    }
    if (this.comparing && card.before) return { ...card, ...card.before };
    if (this.preview?.notes) return { ...card, lines: [{ ...card.lines[0], ...this.preview }] };
    if (this.preview) return { ...card, ...this.preview };
    return { ...card, ...placeOf(this.#marks, this.rows, card.lines) };
  }

  // Which of the card's grooves that is, in the form that Python takes.
  get which() {
    if (this.card.morph) return this.morph.at;
    return this.comparing && this.card.before ? "before" : "now";
  }

  // Where the shown groove differs from the one it is compared with.
  get differing() {
    const { before } = this.card;
    if (!before) return [];
    const other = this.comparing ? this.#marks : marksOf(before, this.rows);
    return differences(this.#shownMarks, other);
  }

  // For tests: the card's data and state.
  get state() {
    const { hits, lines } = this.shown;
    const { bar, comparing, card } = this;
    const [place, differing] = [card.morph && this.morph.index, this.differing.length];
    return { ...card, shown: { hits, lines }, place, bar, comparing, differing };
  }

  // What the user sets on the card and Python confirms, by event: {said: what Python is told of
  // it, revision} or null.
  get own() {
    const { editor, card } = this;
    const { keep, rename, move, change } = this.settings;
    return {
      keep: { said: [keep.now], revision: keep.revision },
      rename: { said: [rename.now], revision: rename.revision },
      move: card.morph ? { said: move.now, revision: move.revision } : null,
      change: change.now && { said: change.now, revision: change.revision },
      edit: card.editable ? { said: this.#edited, revision: editor.revision } : null,
    };
  }

  // The last edit, not one that is still being dragged: the hits, and the notes of each line.
  get #edited() {
    const { hits, lines } = placeOf(this.editor.now, this.rows, this.card.lines);
    return lines.length ? [hits, lines.map(({ notes }) => notes)] : [hits];
  }

  get bars() {
    return this.card.steps / this.card.grid.steps_per_bar;
  }

  // data: see deck.js; history: the edits from before a page change.
  update(card, data, history) {
    if (this.card && !sameGrid(this.card, card)) this.bar = null;
    if (this.card && !sameNotes(this.card, card)) this.preview = null;
    const wasEditable = this.card?.editable;
    const { keep, rename, move, change } = this.settings;
    keep.hear(card.kept, card.revisions.keep);
    rename.hear(card.name, card.revisions.rename);
    change.hear(card.revisions.change);
    if (card.morph) move.hear(card.morph.at, card.revisions.move);
    this.card = { ...card, name: rename.now, editable: card.editable && data.can.edit };
    this.data = data;
    // Rows do not change during editing, since the marks of the edits refer to them.
    if (!(wasEditable && this.card.editable && fits(card, this.rows))) this.rows = this.#newRows();
    if (this.card.editable) {
      this.editor ??= this.#newEditor();
      this.editor.update(marksOf(card, this.rows), card, this.rows, history);
      this.tools.update(card, data.labels);
    }
    if (!card.before) this.comparing = false;
    this.morph.update(card.morph && { ...card.morph, at: move.now }, rename.now);
    this.root.dataset.card = card.id;
    if (!this.card.editable) this.editing = this.tools.isOpen = false;
    this.#labelControls(data);
    this.#showStar();
    this.showPlaying(this.playing);
    this.redraw();
  }

  // Draws the static part: the groove, its bars, differences, and which voices are muted.
  redraw() {
    const { card, shown } = this;
    if (this.editor) this.editor.active = this.editing && !this.comparing && this.stage !== "small";
    const isWide = this.bars > WIDE_BARS || card.morph || this.editing;
    this.root.classList.toggle("wide", Boolean(isWide));
    const scene = {
      hits: this.#shownMarks,
      description: shown.description,
      rows: this.rows,
      silent: this.act.silent(),
      canMix: true,
      bar: this.bar,
      differing: this.differing,
    };
    this.root.classList.toggle("previewing", this.preview !== null);
    this.grid.show(scene, card, Boolean(this.editor?.active), this.stage);
    const { canUndo = false, canRedo = false } = (card.editable && this.editor) || {};
    this.undo.hidden = this.redo.hidden = !(canUndo || canRedo || this.editing);
    this.undo.disabled = !canUndo;
    this.redo.disabled = !canRedo;
  }

  // The same, but at most once per screen frame.
  redrawSoon() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.redraw());
  }

  showPlaying(playing) {
    this.playing = playing;
    this.root.classList.toggle("playing", playing);
    this.play.replaceChildren(icon(playing ? "stop" : "play"));
    const { problem } = this.data;
    labelled(this.play, problem ?? `${playing ? "Stop" : "Play"} ${this.card.name}`);
    this.play.disabled = this.wav.disabled = Boolean(problem);
  }

  // text: why there is no sound, shown instead of the note, or null.
  showProblem(text) {
    this.note.textContent = text ?? this.card.note;
    this.note.classList.toggle("problem", Boolean(text));
  }

  setStage(stage) {
    if (this.stage === stage) return;
    this.stage = stage;
    this.root.classList.toggle("large", stage === "large");
    this.root.classList.toggle("small", stage === "small");
    this.redraw();
  }

  // Roving focus: Tab reaches only the current card's controls.
  setCurrent(current) {
    this.root.tabIndex = current ? 0 : -1;
    for (const control of this.#controls) control.tabIndex = current ? 0 : -1;
    if (this.editing) this.grid.still.tabIndex = current ? 0 : -1;
    else this.grid.still.removeAttribute("tabindex"); // a click on it focuses the card
  }

  // phase: position in the whole groove, 0 to 1, or null when stopped.
  drawPlayhead(phase, glow) {
    this.grid.drawPlayhead(phase === null ? null : phase * this.card.steps, glow);
  }

  #buildControls() {
    const { act } = this;
    this.name = element("input", { class: "name", maxlength: "60", spellcheck: "false" });
    this.note = element("p", { class: "note" });
    this.hint = element("p", { class: "hint" });
    this.grid = new Grid({
      seek: (step) => act.seek(this, step),
      bar: (bar) => act.bar(this, this.bar === bar ? null : bar),
      mute: (row, alone) => act.mute(row, alone),
    });
    this.morph = new MorphControl({
      place: () => {
        this.#nameFiles();
        act.place(this);
      },
      moved: (at) => this.#set("move", at),
      listens: () => this.data.can.move,
    });
    this.before = button("before", "", "Before", () => this.#showBefore(true));
    this.after = button("after", "", "After", () => this.#showBefore(false));
    const group = { class: "compare", role: "group", "aria-label": "Compare" };
    this.compare = element("div", group, this.before, this.after);
    this.play = button("play", "play", "", () => act.toggle(this));
    this.keep = button("keep", "keep", "", () => this.#toggleStar());
    this.more = button("more", "more", "More like this", () => this.#askForMore());
    this.edit = button("edit", "", "Edit", () => this.#setEditing(!this.editing));
    this.shape = button("shape", "", "Tools", () => this.#setTools(!this.tools.isOpen));
    this.tools = new Tools((what) => act.change(this, what));
    this.undo = button("undo", "undo", "", () => this.editor?.undo());
    this.redo = button("redo", "redo", "", () => this.editor?.redo());
    this.send = new Menu("send", "Send to", (destination) => act.send(this, destination));
    this.midi = button("file", "", "MIDI", () => act.midi(this));
    this.wav = button("file", "", "WAV", () => act.wav(this));
    dragsOut(this.midi, () => act.midiFile(this));
    dragsOut(this.wav, () => act.wavFile(this));
    for (const kind of ["pointerenter", "pointerdown"]) {
      this.wav.addEventListener(kind, () => act.prepareWav(this));
    }
  }

  // The groove itself, as edited. The editor stays while a card is not editable, but is then no
  // longer updated.
  get #marks() {
    return (this.card.editable && this.editor?.marks) || marksOf(this.card, this.rows);
  }

  // A melody requested by a slider may go beyond the rows: notes there are played but not drawn.
  get #shownMarks() {
    return marksOf(this.shown, this.rows).filter(([, row]) => row !== undefined);
  }

  get #controls() {
    const { name, before, after, keep, play, more, edit, shape, undo, redo, midi, wav } = this;
    const fixed = [name, before, after, keep, play, more, edit, shape, undo, redo, midi, wav];
    const parts = [this.send.button, this.morph.field, ...this.tools.controls];
    return [...fixed, ...parts, ...this.grid.controls];
  }

  #labelControls({ can, destinations }) {
    const { card } = this;
    this.root.setAttribute("aria-label", card.name);
    if (this.name !== this.root.getRootNode().activeElement) this.name.value = card.name;
    this.name.setAttribute("aria-label", `Name of ${card.name}`);
    this.name.readOnly = !can.rename;
    this.showProblem(null);
    labelled(this.more, `More like this: ${card.name}`, can.more);
    this.#allowMore(true);
    const isDrums = card.editable && card.plays === "drums";
    labelled(this.edit, "Edit the notes: click a cell, drag a hit", card.editable);
    labelled(this.shape, "Tools: keep voices, humanize, tempo", isDrums && can.change);
    this.#showModes();
    labelled(this.undo, "Undo the last edit");
    labelled(this.redo, "Make the edit again");
    const taken = destinations.filter(([, , forms]) => forms.includes(card.plays));
    this.send.update(can.send ? taken : []);
    labelled(this.send.button, `Send to another page: ${card.name}`);
    this.compare.hidden = !card.before;
    this.#showComparing();
  }

  #newRows() {
    const { card, data } = this;
    const places = [card, card.before, ...(card.morph?.places ?? [])].filter(Boolean);
    return rowsOf(card.has_drums, places, data.labels, card.editable ? EDITED_ROOM : 0);
  }

  #setEditing(editing) {
    this.editing = editing;
    this.#showModes();
    this.setCurrent(true);
    this.redraw();
  }

  #setTools(isOpen) {
    this.tools.isOpen = isOpen;
    this.#showModes();
  }

  // What clicks do, where no button explains it.
  #hint() {
    const { can } = this.data;
    const gestures = [
      this.editing ? "cell sets a hit" : "picture plays from there",
      this.bars > 1 && "bar number loops it",
      "voice mutes",
      can.rename && "name renames",
    ];
    return `Click: ${gestures.filter(Boolean).join(" · ")}. Drag MIDI out. More: ?`;
  }

  #showModes() {
    this.hint.textContent = this.hint.title = this.#hint();
    this.edit.setAttribute("aria-pressed", String(this.editing));
    this.shape.setAttribute("aria-expanded", String(this.tools.isOpen));
  }

  #newEditor() {
    return new Editor(this.grid, {
      draw: () => this.redraw(),
      changed: () => this.act.edited(this),
      send: () => this.act.edit(),
      say: (text) => this.act.say(text),
    });
  }

  // Only once until Python has answered; a `disabled` button would lose the focus.
  #askForMore() {
    if (this.more.getAttribute("aria-disabled") === "true") return;
    this.#allowMore(false);
    this.act.more(this);
  }

  #allowMore(allowed) {
    this.more.setAttribute("aria-disabled", String(!allowed));
  }

  // Takes effect at once; Python confirms it later.
  #toggleStar() {
    this.#set("keep", !this.settings.keep.now);
    this.#showStar();
  }

  // Its name is the same in both states; the tooltip says what a click does.
  #showStar() {
    const { name } = this.card;
    const kept = this.settings.keep.now;
    labelled(this.keep, `Keep ${name} among the favourites`, this.data.can.keep);
    this.keep.title = kept ? `Remove ${name} from favourites` : `Add ${name} to favourites`;
    this.keep.setAttribute("aria-pressed", String(kept));
  }

  #showBefore(before) {
    if (this.comparing === before) return;
    this.comparing = before;
    this.#showComparing();
    this.redraw();
    this.act.compare(this);
  }

  #showComparing() {
    this.before.setAttribute("aria-pressed", String(this.comparing));
    this.after.setAttribute("aria-pressed", String(!this.comparing));
    this.#nameFiles();
  }

  #nameFiles() {
    const { file } = this.shown;
    const heard = this.act.silent().size ? ", without the muted voices" : "";
    labelled(this.midi, `MIDI: download ${file}.mid`);
    labelled(this.wav, this.data.problem ?? `WAV: download ${file}.wav${heard}`);
  }

  #onKey(event) {
    const direction = this.editor?.active ? undoOf(event) : 0;
    if (!direction || event.composedPath()[0] === this.name) return;
    event.preventDefault();
    if (direction > 0) this.editor.undo();
    else this.editor.redo();
  }
}
