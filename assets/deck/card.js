// One card: a groove's picture, its name and its buttons. It knows nothing of sound.

import { Editor } from "./editing.js";
import { button, element, icon, labelled } from "./elements.js";
import { Grid } from "./grid.js";
import { undoOf } from "./keyboard.js";
import { Menu } from "./menu.js";
import { MorphControl } from "./morph.js";
import { Revision } from "./revision.js";
import { STEPS_PER_BAR, differences } from "./score.js";

const WIDE_STEPS = 4 * STEPS_PER_BAR; // longer grooves, and those that are played on, take a row

export class CardView {
  bar = null; // the bar that loops alone, or null
  comparing = false; // whether what stood before is shown
  editor = null;
  playing = false;
  star = { now: false, revision: new Revision() };

  // act: functions of this view, see `#add` in deck.js.
  constructor(act) {
    this.act = act;
    this.#buildControls();
    this.root = element(
      "li",
      { class: "card" },
      element("header", {}, element("div", {}, this.name, this.note), this.compare, this.keep),
      element("div", { class: "instrument" }, this.morph.root, this.grid.root),
      element(
        "footer",
        {},
        this.play,
        this.more,
        this.undo,
        this.redo,
        element("i"),
        this.send.root,
        this.midi,
        this.wav,
      ),
    );
    this.root.view = this;
    this.root.addEventListener("keydown", (event) => this.#onKey(event));
    this.name.addEventListener("change", () => this.#rename(act));
    this.name.addEventListener("keydown", (event) => event.key === "Enter" && this.name.blur());
  }

  // A card is never without a name.
  #rename(act) {
    if (this.name.value.trim()) act.rename(this, this.name.value);
    else this.name.value = this.card.name;
  }

  // What is shown and played: {file, hits, description, sound, midi}.
  get shown() {
    const { card } = this;
    if (card.morph) {
      const { index } = this.morph;
      return { file: `${card.file}-step-${index + 1}`, ...card.morph.places[index] };
    }
    if (this.comparing && card.before) return { ...card, ...card.before };
    return { ...card, hits: this.#hits };
  }

  // Where what is shown and what it is compared with differ.
  get differing() {
    const { before } = this.card;
    return before ? differences(this.shown.hits, this.comparing ? this.#hits : before.hits) : [];
  }

  // For tests: the card's data, and what is made of it.
  get state() {
    const { hits, sound } = this.shown;
    const { bar, comparing, card } = this;
    const [place, differing] = [card.morph && this.morph.index, this.differing.length];
    return { ...card, shown: { hits, sound }, place, bar, comparing, differing };
  }

  // What the listener sets on the card and Python confirms, by event: {now, revision} or null.
  get own() {
    return { keep: this.star, edit: this.card.editable ? this.editor : null };
  }

  get bars() {
    return this.card.steps / STEPS_PER_BAR;
  }

  // The sounds that one gesture can call for.
  get sounds() {
    const { sound, before, morph } = this.card;
    const all = morph ? morph.places.map((place) => place.sound) : [sound, before?.sound];
    return all.filter(Boolean);
  }

  // data: what the deck was given, see deck.js; history: the edits of before a change of page.
  update(card, data, history) {
    if (this.card && this.card.steps !== card.steps) this.bar = null;
    this.card = { ...card, editable: card.editable && data.can.edit };
    this.data = data;
    if (this.card.editable) {
      this.editor ??= this.#newEditor();
      this.editor.update(card.hits, card.revisions.edit, data.labels, history);
    }
    if (!card.before) this.comparing = false;
    this.morph.update(card.morph, card.name);
    this.root.dataset.card = card.id;
    const isWide = card.steps > WIDE_STEPS || card.morph || this.card.editable;
    this.root.classList.toggle("wide", Boolean(isWide));
    this.#labelControls(data);
    if (this.star.revision.accepts(card.revisions.keep)) this.star.now = card.kept;
    this.#showStar();
    this.showPlaying(this.playing);
    this.redraw();
  }

  // Draws what stands still: the groove, its bars, what differs, which voices are heard.
  redraw() {
    const { card, data, shown } = this;
    if (this.editor) this.editor.active = card.editable && !this.comparing;
    const scene = {
      hits: shown.hits,
      description: shown.description,
      labels: data.labels,
      silent: this.act.silent(),
      canMix: data.can.mix,
      bar: this.bar,
      differing: this.differing,
    };
    this.grid.show(scene, card.steps, Boolean(this.editor?.active));
    this.undo.disabled = !this.editor?.canUndo;
    this.redo.disabled = !this.editor?.canRedo;
  }

  // The same, but not more often than the screen.
  redrawSoon() {
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(() => this.redraw());
  }

  showPlaying(playing) {
    this.playing = playing;
    this.root.classList.toggle("playing", playing);
    this.play.replaceChildren(icon(playing ? "stop" : "play"));
    const { sound } = this.shown;
    labelled(this.play, sound ? `${playing ? "Stop" : "Play"} ${this.card.name}` : this.data.problem);
    this.play.disabled = this.wav.disabled = !sound;
  }

  // text: why the sound cannot be had, in place of the note, or null.
  showProblem(text) {
    this.note.textContent = text ?? this.card.note;
    this.note.classList.toggle("problem", Boolean(text));
  }

  // Roving focus: only the current card's controls are reached by Tab.
  setCurrent(current) {
    this.root.tabIndex = current ? 0 : -1;
    for (const control of this.#controls) control.tabIndex = current ? 0 : -1;
    if (this.card.editable) this.grid.still.tabIndex = current ? 0 : -1;
    else this.grid.still.removeAttribute("tabindex"); // a click on it means the card
  }

  // phase: of the whole groove, 0 to 1, or null in silence.
  drawPlayhead(phase, glow) {
    this.grid.drawPlayhead(phase === null ? null : phase * this.card.steps, glow);
  }

  #buildControls() {
    const { act } = this;
    this.name = element("input", { class: "name", maxlength: "60", spellcheck: "false" });
    this.note = element("p", { class: "note" });
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
      moved: (at) => act.moved(this, at),
      listens: () => this.data.can.move,
    });
    this.before = button("before", "", "Before", () => this.#showBefore(true));
    this.after = button("after", "", "After", () => this.#showBefore(false));
    const group = { class: "compare", role: "group", "aria-label": "Compare" };
    this.compare = element("div", group, this.before, this.after);
    this.play = button("play", "play", "", () => act.toggle(this));
    this.keep = button("keep", "keep", "", () => this.#toggleStar());
    this.more = button("more", "more", "More like this", () => this.#askForMore());
    this.undo = button("undo", "undo", "", () => this.editor?.undo());
    this.redo = button("redo", "redo", "", () => this.editor?.redo());
    this.send = new Menu("send", "Send to", (destination) => act.send(this, destination));
    this.midi = button("file", "", "MIDI", () => act.midi(this));
    this.wav = button("file", "", "WAV", () => act.wav(this));
  }

  // The groove itself, as it is edited. The editor stays while a card cannot be edited, and then
  // knows no more of what happens to it.
  get #hits() {
    return (this.card.editable && this.editor?.hits) || this.card.hits;
  }

  get #controls() {
    const { name, before, after, keep, play, more, undo, redo, send, midi, wav, morph } = this;
    const fixed = [name, before, after, keep, play, more, undo, redo, send.button, midi, wav];
    return [...fixed, morph.field, ...this.grid.controls];
  }

  #labelControls({ can, destinations }) {
    const { card } = this;
    this.root.setAttribute("aria-label", card.name);
    if (this.name !== this.root.getRootNode().activeElement) this.name.value = card.name;
    this.name.setAttribute("aria-label", `Name of ${card.name}`);
    this.name.readOnly = !can.rename;
    this.showProblem(null);
    labelled(this.more, `More like ${card.name}`, can.more);
    this.#allowMore(true);
    labelled(this.undo, "Undo the last edit", card.editable);
    labelled(this.redo, "Make the edit again", card.editable);
    this.send.update(can.send ? destinations : []);
    labelled(this.send.button, `Send ${card.name} to another page`);
    this.compare.hidden = !card.before;
    this.#showComparing();
  }

  #newEditor() {
    return new Editor(this.grid, {
      draw: () => this.redraw(),
      changed: () => this.act.edited(this),
      send: () => this.act.edit(),
      say: (text) => this.act.say(text),
    });
  }

  // Once until Python has answered; a button that is `disabled` would lose the focus.
  #askForMore() {
    if (this.more.getAttribute("aria-disabled") === "true") return;
    this.#allowMore(false);
    this.act.more(this);
  }

  #allowMore(allowed) {
    this.more.setAttribute("aria-disabled", String(!allowed));
  }

  // At once; Python confirms it.
  #toggleStar() {
    this.star.now = !this.star.now;
    this.star.revision.next();
    this.#showStar();
    this.act.keep();
  }

  // Its name is the same in both states; the tooltip says what a click does.
  #showStar() {
    const { name } = this.card;
    const kept = this.star.now;
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
    const { file, sound } = this.shown;
    const heard = this.act.silent().size ? ", without the muted voices" : "";
    labelled(this.midi, `Download ${file}.mid`);
    labelled(this.wav, sound ? `Download ${file}.wav${heard}` : this.data.problem);
  }

  #onKey(event) {
    const direction = this.editor?.active ? undoOf(event) : 0;
    if (!direction || event.composedPath()[0] === this.name) return;
    event.preventDefault();
    if (direction > 0) this.editor.undo();
    else this.editor.redo();
  }
}
