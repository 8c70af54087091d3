// Edits on the grid by pointer, touch and keys, with undo and redo.

import { LATEST, clamp, findHit, sameHits, sayCell, sayHit } from "./score.js";
import { toggledHit, withHit, withoutHit } from "./score.js";
import { History } from "./history.js";
import { Revision } from "./revision.js";

const SLOP_PX = 4; // a press that moves less is a click
const FULL_VELOCITY_PX = 110; // of pointer travel from silence to full
const KEY_VELOCITY = 6 / 127;
const KEY_OFFSET = 0.05;
const SEND_AFTER_MS = 90; // of quiet: a key that repeats is one edit for Python

export class Editor {
  #history = null;
  #drag = null;
  #cell = { step: 0, row: 0 };
  revision = new Revision();
  #timer = null;

  // on: {draw(), changed(): by the listener, at once; send(): to Python, soon after; say(text)}.
  constructor(grid, on) {
    this.grid = grid;
    this.on = on;
    const { still } = grid;
    still.addEventListener("pointerdown", (event) => this.#onDown(event));
    still.addEventListener("pointermove", (event) => this.#onMove(event));
    still.addEventListener("pointerup", (event) => this.#onUp(event));
    still.addEventListener("pointercancel", () => this.#endDrag());
    still.addEventListener("pointerleave", () => this.#drag || this.#aim());
    still.addEventListener("keydown", (event) => this.#onKey(event));
    still.addEventListener("focus", () => this.#aim());
    still.addEventListener("blur", () => this.grid.pointAt(null));
    // A finger on a hit drags it; anywhere else it scrolls the page.
    const hold = (event) => this.#cellOf(event.touches[0])?.hit && event.preventDefault();
    still.addEventListener("touchstart", (event) => this.active && hold(event), { passive: false });
  }

  // The hits to show while they differ from what Python last said, or else those.
  get hits() {
    return this.#drag?.hits ?? this.#history?.now ?? null;
  }

  // What Python is to be told: the last edit, none that is still being dragged.
  get now() {
    return this.#history.now;
  }

  get canUndo() {
    return Boolean(this.active && this.#history?.canUndo);
  }

  get canRedo() {
    return Boolean(this.active && this.#history?.canRedo);
  }

  // What Python says, with the number of the last edit that it has seen: what is older than an
  // edit made here is passed over, and a groove that is not of this hand starts a new history.
  update(hits, revision, labels, kept) {
    this.labels = labels;
    if (!this.#history && kept && sameHits(kept.now, hits)) this.#history = kept;
    if (!this.revision.accepts(revision)) return;
    if (!this.#history || !sameHits(this.#history.now, hits)) this.#history = new History(hits);
  }

  get history() {
    return this.#history;
  }

  undo() {
    if (this.canUndo && this.#history.undo()) this.#changed("Undone");
  }

  redo() {
    if (this.canRedo && this.#history.redo()) this.#changed("Done again");
  }

  #cellOf(touch) {
    if (!touch) return null;
    const { left, top } = this.grid.still.getBoundingClientRect();
    return this.grid.cellAt(touch.clientX - left, touch.clientY - top);
  }

  #onDown(event) {
    const cell = this.active && event.button === 0 && this.#cellOf(event);
    if (!cell) return;
    this.#cell = { step: cell.step, row: cell.row };
    this.#drag = { cell, hits: null, axis: null, x: event.clientX, y: event.clientY };
    this.grid.still.setPointerCapture(event.pointerId);
  }

  #onMove(event) {
    if (!this.active) return;
    if (!this.#drag) {
      this.grid.pointAt(this.#cellOf(event));
      return;
    }
    const { cell, x, y } = this.#drag;
    const [right, up] = [event.clientX - x, y - event.clientY];
    if (!this.#drag.axis && Math.hypot(right, up) < SLOP_PX) return;
    this.#drag.axis ??= Math.abs(right) > Math.abs(up) ? "timing" : "velocity";
    if (!cell.hit) return;
    const [step, row, velocity, offset] = cell.hit;
    const isTiming = this.#drag.axis === "timing";
    this.#drag.hits = isTiming
      ? withHit(this.#history.now, step, row, velocity, offset + right / this.grid.place.stepPx)
      : withHit(this.#history.now, step, row, velocity + up / FULL_VELOCITY_PX, offset);
    this.on.draw();
    const hit = findHit(this.#drag.hits, step, row);
    this.grid.explain(hit, sayHit(hit));
  }

  #onUp() {
    const drag = this.#drag;
    if (!drag) return;
    this.#endDrag();
    const { step, row } = drag.cell;
    if (drag.hits) this.#put(drag.hits);
    else if (!drag.axis) this.#put(toggledHit(this.#history.now, step, row));
  }

  #endDrag() {
    if (!this.#drag) return;
    this.#drag = null;
    this.grid.explain(null);
    this.on.draw();
  }

  #onKey(event) {
    if (!this.active || event.ctrlKey || event.metaKey || event.altKey) return;
    const { step, row } = this.#cell;
    const hits = this.#history.now;
    const [right, up] = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, 1],
      ArrowDown: [0, -1],
    }[event.key] ?? [0, 0];
    if (right || up) {
      if (event.shiftKey) this.#nudge(KEY_VELOCITY * up, KEY_OFFSET * right);
      else this.#go(right, up);
    } else if (event.key === "Enter") {
      this.#put(toggledHit(hits, step, row));
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.#put(withoutHit(hits, step, row));
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  #go(right, up) {
    const step = clamp(this.#cell.step + right, 0, this.grid.steps - 1);
    const row = clamp(this.#cell.row + up, 0, this.labels.length - 1);
    this.#cell = { step, row };
    this.#aim();
    this.#say();
  }

  #nudge(louder, later) {
    const { step, row } = this.#cell;
    const hit = findHit(this.#history.now, step, row);
    if (!hit) return;
    const offset = clamp(hit[3] + later, -0.5, LATEST);
    this.#put(withHit(this.#history.now, step, row, hit[2] + louder, offset));
  }

  // Frames the cell of the keys, where the keys are meant for the grid.
  #aim() {
    const focused = this.grid.still.getRootNode().activeElement === this.grid.still;
    const { step, row } = this.#cell;
    const there = step < this.grid.steps;
    this.grid.pointAt(this.active && focused && there ? { step, row } : null);
  }

  #say() {
    this.on.say(sayCell(this.#history.now, this.#cell.step, this.#cell.row, this.labels));
  }

  #put(hits) {
    if (sameHits(hits, this.#history.now)) return;
    this.#history.put(hits);
    this.#changed();
  }

  #changed(said) {
    this.revision.next();
    this.on.changed();
    this.on.draw();
    if (said) this.on.say(said);
    else this.#say();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.on.send(), SEND_AFTER_MS);
  }
}
