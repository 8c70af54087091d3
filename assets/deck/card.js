// One card: a groove's picture, its name and its buttons. It has nothing to do with sound.

import { Buttons } from "./buttons.js";
import { Editor } from "./editing.js";
import { element } from "./elements.js";
import { Grid } from "./grid.js";
import { undoOf } from "./keyboard.js";
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

  // act: functions of this view, see `#gestures` and `#files` in deck.js; kept: the settings of the same
  // card before the user left its page: what Python has not confirmed yet still holds.
  constructor(act, kept = {}) {
    this.act = act;
    const open = (event) => (kept[event]?.revision.isUnconfirmed ? kept[event] : null);
    const setting = (event) => open(event) ?? new Setting();
    this.settings = { keep: setting("keep"), rename: setting("rename"), move: setting("move") };
    this.settings.change = open("change") ?? new Requests();
    this.buttons = this.#newButtons();
    this.grid = this.#newGrid();
    this.morph = this.#newMorph();
    this.tools = new Tools((what) => act.change(this, what));
    const instrument = element("div", { class: "instrument" }, this.morph.root, this.grid.root);
    const { header, footer } = this.buttons;
    this.root = element("li", { class: "card" }, header, instrument, this.tools.root, footer);
    this.root.view = this;
    this.root.addEventListener("keydown", (event) => this.#onKey(event));
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

  // What the user sets on the card and Python confirms, by event: {value: as sent to Python,
  // revision} or null.
  get own() {
    const { editor, card } = this;
    const { keep, rename, move, change } = this.settings;
    return {
      keep: { value: [keep.now], revision: keep.revision },
      rename: { value: [rename.now], revision: rename.revision },
      move: card.morph ? { value: move.now, revision: move.revision } : null,
      change: change.now && { value: change.now, revision: change.revision },
      edit: card.editable ? { value: this.#edited, revision: editor.revision } : null,
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
    this.#receiveSettings(card);
    const { rename, move } = this.settings;
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
    this.#showState();
    this.redraw();
  }

  #receiveSettings({ kept, name, morph, revisions }) {
    const { keep, rename, move, change } = this.settings;
    keep.receive(kept, revisions.keep);
    rename.receive(name, revisions.rename);
    change.receive(revisions.change);
    if (morph) move.receive(morph.at, revisions.move);
  }

  #showState() {
    this.root.setAttribute("aria-label", this.card.name);
    this.buttons.update(this.card, this.data);
    this.#showModes();
    this.#showComparing();
    this.#showStar();
    this.showPlaying(this.playing);
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
    this.buttons.showUndo(canUndo, canRedo, this.editing);
  }

  // The same, but at most once per screen frame.
  redrawSoon() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.redraw());
  }

  showPlaying(playing) {
    this.playing = playing;
    this.root.classList.toggle("playing", playing);
    this.buttons.showPlaying(playing, this.card.name, this.data.problem);
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

  #newButtons() {
    const { act } = this;
    return new Buttons({
      rename: (name) => this.#rename(name),
      compare: (before) => this.#compare(before),
      star: () => this.#toggleStar(),
      toggle: () => act.toggle(this),
      more: () => act.more(this),
      edit: () => this.#setEditing(!this.editing),
      tools: () => this.#setTools(!this.tools.isOpen),
      undo: () => this.editor?.undo(),
      redo: () => this.editor?.redo(),
      send: (destination) => act.send(this, destination),
      midi: () => act.midi(this),
      wav: () => act.wav(this),
      prepareWav: () => act.prepareWav(this),
      midiFile: () => act.midiFile(this),
      wavFile: () => act.wavFile(this),
    });
  }

  #newGrid() {
    const { act } = this;
    return new Grid({
      seek: (step) => act.seek(this, step),
      bar: (bar) => act.bar(this, this.bar === bar ? null : bar),
      mute: (row, alone) => act.mute(row, alone),
    });
  }

  #newMorph() {
    return new MorphControl({
      place: () => {
        this.#showFiles();
        this.act.place(this);
      },
      moved: (at) => this.#set("move", at),
      listens: () => this.data.can.move,
    });
  }

  #newEditor() {
    return new Editor(this.grid, {
      draw: () => this.redraw(),
      changed: () => this.act.edited(this),
      send: () => this.act.edit(),
      say: (text) => this.act.say(text),
    });
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
    const parts = [this.morph.field, ...this.tools.controls, ...this.grid.controls];
    return [...this.buttons.controls, ...parts];
  }

  #newRows() {
    const { card, data } = this;
    const places = [card, card.before, ...(card.morph?.places ?? [])].filter(Boolean);
    return rowsOf(card.has_drums, places, data.labels, card.editable ? EDITED_ROOM : 0);
  }

  // A setting takes effect at once; Python confirms it later.
  #set(event, value) {
    this.settings[event].set(value);
    this.act.set(event);
  }

  // A card always has a name.
  #rename(name) {
    if (name.trim()) this.#set("rename", name);
    else this.buttons.name.value = this.card.name;
  }

  #toggleStar() {
    this.#set("keep", !this.settings.keep.now);
    this.#showStar();
  }

  #showStar() {
    this.buttons.showStar(this.card.name, this.settings.keep.now, this.data.can.keep);
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

  #showModes() {
    const gestures = [
      this.editing ? "cell sets a hit" : "picture plays from there",
      this.bars > 1 && "bar number loops it",
      "voice mutes",
      this.data.can.rename && "name renames",
    ];
    const hint = `Click: ${gestures.filter(Boolean).join(" · ")}. Drag MIDI out. More: ?`;
    this.buttons.showModes(this.editing, this.tools.isOpen, hint);
  }

  // before: whether to show the earlier version.
  #compare(before) {
    if (this.comparing === before) return;
    this.comparing = before;
    this.#showComparing();
    this.redraw();
    this.act.compare(this);
  }

  #showComparing() {
    this.buttons.showComparing(this.comparing);
    this.#showFiles();
  }

  #showFiles() {
    this.buttons.showFiles(this.shown.file, this.act.silent().size > 0, this.data.problem);
  }

  #onKey(event) {
    const direction = this.editor?.active ? undoOf(event) : 0;
    if (!direction || event.composedPath()[0] === this.buttons.name) return;
    event.preventDefault();
    if (direction > 0) this.editor.undo();
    else this.editor.redo();
  }
}
