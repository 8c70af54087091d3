// The picture of a groove: its canvases, its bar numbers, and what is under the pointer.

import { boxOf, drawLive, drawStill, readPalette } from "./drawing.js";
import { button, element } from "./elements.js";
import { layOut } from "./layout.js";
import { clamp, findHit } from "./score.js";

const REACH_PX = 3; // how far beside a hit a click still selects it
// Heights of a row, of all pitches of a line together, and least widths of a step, in pixels.
const USUAL = { rowPx: 16, linePx: 144, leastStepPx: 4.5 };
const LONG = { rowPx: 12, linePx: 120, leastStepPx: 7 };
const EDITED = { rowPx: 22, linePx: 260, leastStepPx: 13 };
const SMALL = { rowPx: 9, linePx: 81, leastStepPx: 0, isSmall: true }; // beside one shown large
const LARGE = { rowPx: 20, linePx: 180, leastStepPx: 7 };
const [LEAST_PITCH_PX, MOST_PITCH_PX] = [4, 12];
const LONG_BARS = 4; // more are long

export class Grid {
  palette; // colours, read off the page
  // on: {seek(step), bar(bar), mute(channel, alone)}.
  constructor(on) {
    this.on = on;
    this.still = element("canvas", { class: "still", role: "img" });
    this.live = element("canvas", { class: "live", "aria-hidden": "true" });
    this.cursor = element("div", { class: "cursor", hidden: "" });
    this.bubble = element("div", { class: "bubble", hidden: "" });
    this.numbers = element("div", { class: "numbers", role: "group", "aria-label": "Loop one bar" });
    this.root = element(
      "div",
      { class: "stage" },
      this.still,
      this.live,
      this.cursor,
      this.bubble,
      this.numbers,
    );
    this.still.addEventListener("click", (event) => this.#onClick(event));
    this.still.addEventListener("pointermove", (event) => this.#onHover(event));
  }

  // scene: see drawing.js, without the place; {steps, grid} as of a card; editable says that clicks are for the editor; stage is
  // "large", "small" or "" on a deck where all are alike.
  show(scene, { steps, grid }, editable, stage = "") {
    this.scene = { ...scene, tall: editable };
    this.steps = steps;
    this.metre = grid;
    this.editable = editable;
    this.size = this.#sizeOf(stage);
    this.still.setAttribute("aria-label", scene.description);
    this.still.classList.toggle("editable", editable);
    this.draw();
  }

  #sizeOf(stage) {
    if (stage === "small") return SMALL;
    if (this.editable) return EDITED;
    if (this.bars > LONG_BARS) return LONG;
    return stage === "large" ? LARGE : USUAL;
  }

  // Redraws the static part; the layout follows the width.
  draw() {
    const width = this.root.clientWidth;
    if (!width || !this.scene) return;
    const heights = heightsOf(this.scene.rows, this.size);
    this.place = layOut(width, this.steps, this.metre, heights, this.size);
    this.root.style.height = `${this.place.height}px`;
    this.palette ??= readPalette(this.root);
    Object.assign(this.scene, { place: this.place, palette: this.palette });
    drawStill(this.still, this.scene);
    this.#placeNumbers();
  }

  // at: the playhead in steps, or null when stopped.
  drawPlayhead(at, glow) {
    if (this.scene?.place) drawLive(this.live, this.scene, at, glow); // a hidden grid has no layout
  }

  // What is at a point of the canvas: {step, row, hit or null}, or null outside the cells.
  cellAt(x, y) {
    if (!this.place) return null;
    const { step, row, isLabel } = this.place.at(x, y);
    const { hits, rows } = this.scene;
    const inRow = row >= 0 && row < rows.length;
    if (isLabel || !inRow) return null;
    const touched = hits.filter((hit) => hit[1] === row && this.#touches(hit, x, y)).at(-1);
    if (touched) return { step: touched[0], row, hit: touched };
    const cell = Math.floor(step);
    if (cell < 0 || cell >= this.steps) return null;
    return { step: cell, row, hit: findHit(hits, cell, row) };
  }

  // Frames a cell, or clears the frame.
  pointAt(cell) {
    this.cursor.hidden = !cell;
    if (!cell) return;
    const { place } = this;
    const system = place.systemOf(cell.step);
    this.#put(this.cursor, place.x(cell.step, system), place.y(cell.row, system));
    this.cursor.style.width = `${place.stepPx}px`;
    this.cursor.style.height = `${place.rowPx(cell.row)}px`;
  }

  // Shows a label beside a hit, or clears it.
  explain(hit, text) {
    this.bubble.hidden = !hit;
    if (!hit) return;
    const { x, y } = boxOf(this.scene, hit);
    this.bubble.textContent = text;
    const most = this.place.width - this.bubble.offsetWidth;
    this.#put(this.bubble, clamp(x, 0, most), Math.max(0, y - this.bubble.offsetHeight - 6));
  }

  get bars() {
    return this.steps / this.metre.steps_per_bar;
  }

  get controls() {
    return [...this.numbers.children];
  }

  #put({ style }, x, y) {
    style.transform = `translate(${x}px, ${y}px)`;
  }

  #touches(hit, x, y) {
    const box = boxOf(this.scene, hit);
    const system = this.place.systemOf(hit[0]);
    const inside = y >= this.place.top(system) && y < this.place.bottom(system);
    return inside && x >= box.x - REACH_PX && x <= box.x + box.width + REACH_PX;
  }

  #placeNumbers() {
    const { bars } = this;
    const stepsPerBar = this.metre.steps_per_bar;
    const count = bars > 1 && !this.size.isSmall ? bars : 0;
    while (this.numbers.children.length > count) this.numbers.lastElementChild.remove();
    for (let bar = this.numbers.children.length; bar < count; bar += 1) {
      const made = button("number", "", String(bar + 1), () => this.on.bar(bar));
      made.tabIndex = -1; // until its card becomes the current one
      this.numbers.append(made);
    }
    [...this.numbers.children].forEach((number, bar) => {
      const chosen = this.scene.bar === bar;
      const label = chosen ? `Loop the whole again` : `Loop bar ${bar + 1} alone`;
      number.setAttribute("aria-pressed", String(chosen));
      number.setAttribute("aria-label", label);
      number.title = label;
      const system = this.place.systemOf(bar * stepsPerBar);
      const x = this.place.x(bar * stepsPerBar, system);
      this.#put(number, x, this.place.top(system) - this.place.numbersPx);
      number.style.width = `${stepsPerBar * this.place.stepPx}px`;
    });
  }

  #onClick({ offsetX, offsetY, altKey, shiftKey }) {
    const { row, step, isLabel } = this.place.at(offsetX, offsetY);
    const { channel } = this.scene.rows[row] ?? {};
    if (isLabel) {
      if (channel !== undefined) this.on.mute(channel, altKey || shiftKey);
    } else if (!this.editable) {
      this.on.seek(clamp(step, 0, this.steps - 0.01));
    }
  }

  #onHover({ offsetX, offsetY }) {
    if (!this.place) return;
    const { isLabel } = this.place.at(offsetX, offsetY);
    const canMute = isLabel && this.scene.canMix;
    this.still.title = canMute ? "Click to mute, with Shift to solo" : "";
    this.still.classList.toggle("beside", isLabel && !canMute);
  }
}

function heightsOf(rows, { rowPx, linePx }) {
  const counts = new Map();
  for (const { channel } of rows) counts.set(channel, (counts.get(channel) ?? 0) + 1);
  const pitchPx = (count) => clamp(Math.floor(linePx / count), LEAST_PITCH_PX, MOST_PITCH_PX);
  return rows.map(({ channel, isPitch }) => (isPitch ? pitchPx(counts.get(channel)) : rowPx));
}
