// The panel above the transport bar: mute, solo, level and kit of each channel, the MIDI ports, and a
// list of keys and gestures.

import { element } from "../deck/elements.js";
import { chip, dial, picker } from "./controls.js";
import { N_VOICES } from "./pattern.js";

const HELP = [
  ["Space", "Play, and stop"],
  ["Arrow keys", "From card to card; in a grid, from cell to cell; on the map, from groove to groove"],
  ["Enter, Delete", "Set and remove a hit; Shift and arrows change its velocity and timing"],
  ["Ctrl Z, Ctrl Y", "Undo and redo an edit"],
  ["Click a picture", "Play from there; in a grid that can be edited, set or remove a hit"],
  ["Drag a hit", "Up and down for velocity, sideways for timing"],
  ["Click a voice's name", "Mute it; with Shift, hear it alone"],
  ["Click a bar number", "Loop that bar alone"],
  ["Click a card's name", "Rename it"],
  ["Drag MIDI or WAV", "Out of a card, into a folder or another program"],
  ["Drag the tempo", "Or type it, tap it, use the arrow keys"],
  ["Drag a voice below", "Up and down for its level; a click mutes, Shift and a click solos"],
  ["Double-click a slider", "Back to its usual value"],
  ["?", "This list"],
];

export class Mixer {
  #rows = [];

  // on: {changed(): Python is to be notified, kit([name or null, voice]), kitOf(voice): name or null}.
  constructor(engine, ports, on) {
    this.engine = engine;
    this.ports = ports;
    this.on = on;
    this.rows = element("div", { class: "rows", role: "group", "aria-label": "Channels" });
    this.output = picker("MIDI out", (id) => ports.chooseOutput(id));
    this.input = picker("MIDI in", (id) => ports.chooseInput(id, this.pads));
    const row = (label, { root }) => element("div", { class: "port" }, label, root);
    this.midi = element("div", { class: "midi" }, row("MIDI out", this.output), row("MIDI in", this.input));
    const stems = "A WAV file of each voice of what plays, in one zip";
    this.stems = chip("Save stems", stems, () => this.#saveStems());
    this.words = element("p", { class: "words", "aria-live": "polite" });
    this.root = element("div", { class: "mixer", role: "region", "aria-label": "Mixer" });
    this.root.append(this.rows, this.midi, this.stems, this.words);
    for (const { select } of [this.output, this.input]) {
      select.addEventListener("pointerdown", () => ports.open());
      select.addEventListener("focus", () => ports.open());
    }
  }

  update({ kits, pads }) {
    this.pads = new Map(pads);
    this.kits = kits.map(([name]) => [name, name]);
  }

  // channels: their names.
  show(channels) {
    if (this.#rows.map(({ name }) => name).join() !== channels.join()) this.#build(channels);
    for (const row of this.#rows) this.#showRow(row);
    this.#showPorts();
  }

  #saveStems() {
    const isThere = this.engine.saveStems();
    this.words.textContent = isThere ? "" : "Go to the page of what plays to save its stems.";
  }

  #build(channels) {
    this.#rows = channels.map((name, channel) => this.#row(name, channel));
    this.rows.replaceChildren(...this.#rows.map(({ root }) => root));
  }

  #row(name, channel) {
    const { engine } = this;
    const mute = chip("M", `Mute ${name}`, () => engine.toggleVoice(channel));
    const solo = chip("S", `Hear ${name} alone`, () => engine.toggleVoice(channel, true));
    const level = dial(`Level of ${name}`, "How loud it is", [0, 1, 1], (value) => {
      engine.setLevel(channel, value);
      this.on.changed();
    });
    const kit = picker(`Kit of ${name}`, (value) => this.on.kit([value || null, channel]));
    mute.ariaLabel = mute.title;
    solo.ariaLabel = solo.title;
    const root = element("div", { class: "row" }, element("span", { class: "label" }, name), mute, solo, level.root);
    root.style.setProperty("--voice", `var(--voice-${channel})`);
    if (channel < N_VOICES) root.append(kit.root);
    return { name, channel, root, mute, solo, level, kit };
  }

  #showRow({ channel, mute, solo, level, kit }) {
    const { engine } = this;
    mute.ariaPressed = String(engine.muted.has(channel));
    solo.ariaPressed = String(engine.soloed.has(channel));
    level.show(engine.levels[channel]);
    kit.show([["", "kit of all"], ...this.kits], this.on.kitOf(channel) ?? "");
  }

  #showPorts() {
    const { engine, ports } = this;
    const list = (all) => [["", "off"], ...all.map(({ id, name }) => [id, name])];
    this.output.show(list(ports.outputs), engine.midi?.id ?? "");
    this.input.show(list(ports.inputs), ports.input?.id ?? "");
    if (ports.problem) this.words.textContent = ports.problem;
    this.midi.hidden = Boolean(ports.problem);
  }
}

// A dialog that lists keys and gestures.
export function helpDialog() {
  const rows = HELP.flatMap(([keys, text]) => [element("dt", {}, keys), element("dd", {}, text)]);
  const title = element("h2", {}, "Keys and gestures");
  const dialog = element("dialog", { class: "help", "aria-label": "Keys and gestures" });
  dialog.append(title, element("dl", {}, ...rows), chip("Close", "Close (Escape)", () => dialog.close()));
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  return dialog;
}
