// One card: a groove's picture, its name and its buttons. It knows nothing of sound.

import { drawGroove, layOut, readPalette } from "./drawing.js";

const ICONS = {
  play: "M8 5.5v13l11-6.5z",
  stop: "M7 7h10v10H7z",
  more: "M12 4v6h6v3h-6v6H9v-6H3v-3h6V4zM18 15h2v2h2v2h-2v2h-2v-2h-2v-2h2z",
  keep: "M12 3.6l2.6 5.3 5.8.8-4.2 4.1 1 5.8-5.2-2.7-5.2 2.7 1-5.8-4.2-4.1 5.8-.8z",
  save: "M11 4h2v8l3-3 1.4 1.4L12 15.800l-5.400-5.400L8 9l3 3zM5 18h14v2H5z",
};

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function icon(name) {
  const template = document.createElement("template");
  template.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`;
  return template.content;
}

function button(name, glyph, label, onClick) {
  const made = element("button", { type: "button", class: name }, icon(glyph));
  if (label) made.append(element("span", {}, label));
  made.addEventListener("click", onClick);
  return made;
}

export class CardView {
  // act: {toggle, seek, more, rename, keep, midi, wav}, each called with this view.
  constructor(act) {
    this.name = element("input", { class: "name", maxlength: "60", spellcheck: "false" });
    this.note = element("p", { class: "note" });
    this.canvas = element("canvas", { role: "img" });
    this.play = button("play", "play", "", () => act.toggle(this));
    this.keep = button("keep", "keep", "", () => act.keep(this));
    this.more = button("more", "more", "More like this", () => act.more(this));
    this.midi = button("file", "save", "MIDI", () => act.midi(this));
    this.wav = button("file", "save", "WAV", () => act.wav(this));
    this.controls = [this.name, this.keep, this.play, this.more, this.midi, this.wav];
    this.root = element(
      "li",
      { class: "card" },
      element("header", {}, element("div", {}, this.name, this.note), this.keep),
      element("div", { class: "stage" }, this.canvas),
      element("footer", {}, this.play, this.more, element("i"), this.midi, this.wav),
    );
    this.root.view = this;
    this.name.addEventListener("change", () => act.rename(this, this.name.value));
    this.name.addEventListener("keydown", (event) => event.key === "Enter" && this.name.blur());
    this.canvas.addEventListener("click", (event) => act.seek(this, this.#stepAt(event.offsetX)));
  }

  // card, labels, problem (why there is no sound, or null) and can ({more, keep, rename}).
  update(card, { labels, problem, can }) {
    this.card = card;
    this.labels = labels;
    this.palette = null;
    this.root.dataset.card = card.id;
    this.root.classList.toggle("long", card.steps > 64);
    this.root.setAttribute("aria-label", card.name);
    if (this.name !== this.root.getRootNode().activeElement) this.name.value = card.name;
    this.name.setAttribute("aria-label", `Name of ${card.name}`);
    this.name.readOnly = !can.rename;
    this.note.textContent = card.note;
    this.canvas.setAttribute("aria-label", card.description);
    this.#label(this.more, `More like ${card.name}`, can.more);
    this.#label(this.keep, `Keep ${card.name} when sampling again`, can.keep);
    this.showKept(card.kept);
    this.#label(this.midi, `Download ${card.file}.mid`, true);
    this.#label(this.wav, card.sound ? `Download ${card.file}.wav` : problem, true);
    this.play.disabled = this.wav.disabled = !card.sound;
    this.more.disabled = false;
    this.problem = problem;
    this.showPlaying(this.playing ?? false);
  }

  showPlaying(playing) {
    this.playing = playing;
    this.root.classList.toggle("playing", playing);
    this.play.replaceChildren(icon(playing ? "stop" : "play"));
    const what = `${playing ? "Stop" : "Play"} ${this.card.name}`;
    this.#label(this.play, this.card.sound ? what : this.problem, true);
  }

  showKept(kept) {
    this.keep.setAttribute("aria-pressed", String(kept));
  }

  // Roving focus: only the current card's controls are reached by Tab.
  setCurrent(current) {
    this.root.tabIndex = current ? 0 : -1;
    for (const control of this.controls) control.tabIndex = current ? 0 : -1;
  }

  // phase: 0 to 1, or null in silence.
  draw(phase, glow) {
    this.palette ??= readPalette(this.root, this.labels.length);
    const at = phase === null ? null : phase * this.card.steps;
    drawGroove(this.canvas, this.card, this.labels, this.palette, at, glow);
  }

  #label(control, text, shown) {
    control.hidden = !shown;
    control.setAttribute("aria-label", text);
    control.title = text;
  }

  #stepAt(x) {
    const { clientWidth, clientHeight } = this.canvas;
    const place = layOut(clientWidth, clientHeight, this.card.steps, this.labels.length);
    return Math.min(Math.max(place.stepAt(x), 0), this.card.steps - 0.01);
  }
}
