// Edits on the grid by pointer, touch and keys, with undo and redo.

import { LATEST, clamp, findHit, isNote, sameHits, sayCell, sayHit } from "./score.js";
import { toggledMark, withHit, withNote, withoutHit } from "./score.js";
import { History } from "./history.js";
import { Revision } from "./revision.js";
import { Debounce } from "../debounce.js";

const SLOP_PX = 4; // a press that moves less is a click
const FULL_VELOCITY_PX = 110; // of pointer travel from silence to full
const KEY_VELOCITY = 6 / 127;
const KEY_OFFSET = 0.05;
const SEND_AFTER_MS = 90; // pause before sending: a repeated key is one edit for Python

export class Editor {
  active; // whether the grid takes edits
  #history = null;
  #drag = null;
  #cell = { step: 0, row: 0 };
  revision = new Revision();

  // on: {draw(), changed(): by the user, at once; send(): to Python, soon after; say(text)}.
  constructor(grid, on) {
    this.grid = grid;
    this.on = on;
    this.sending = new Debounce(() => on.send(), SEND_AFTER_MS);
    const { still } = grid;
    still.addEventListener("pointerdown", (event) => this.#onDown(event));
    still.addEventListener("pointermove", (event) => this.#onMove(event));
    still.addEventListener("pointerup", () => this.#onUp());
    still.addEventListener("pointercancel", () => this.#endDrag());
    still.addEventListener("pointerleave", () => this.#drag || this.#aim());
    still.addEventListener("keydown", (event) => this.#onKey(event));
    still.addEventListener("focus", () => this.#aim());
    still.addEventListener("blur", () => this.grid.pointAt(null));
    // A finger on a hit drags it; anywhere else it scrolls the page.
    const hold = (event) => this.#cellOf(event.touches[0])?.hit && event.preventDefault();
    still.addEventListener("touchstart", (event) => this.active && hold(event), { passive: false });
  }

  // The marks to show: the edited ones, or Python's if they are the same.
  get marks() {
    return this.#drag?.marks ?? this.#history?.now ?? null;
  }

  // What to send to Python: the last edit, not one that is still being dragged.
  get now() {
    return this.#history.now;
  }

  get canUndo() {
    return Boolean(this.#history?.canUndo);
  }

  get canRedo() {
    return Boolean(this.#history?.canRedo);
  }

  // Takes Python's data, with the number of the last edit that it has seen: data older than an edit
  // made here is ignored. A change of the same groove by one of the card's tools counts as another
  // edit; a different groove starts a new history. An edit that was lost when the user left the page
  // is sent again.
  update(marks, { revisions, lineage, grid }, rows, kept) {
    this.rows = rows;
    this.metre = grid;
    const isNew = !this.#history;
    if (isNew && kept && [kept.now, kept.confirmed].some((known) => sameHits(known, marks))) this.#history = kept;
    if (!this.revision.accepts(revisions.edit)) return;
    const isSame = this.lineage && this.lineage === lineage;
    this.lineage = lineage;
    this.#history ??= new History(marks);
    if (!sameHits(this.#history.now, marks)) {
      if (isNew) this.#send();
      else if (isSame) this.#history.put(marks);
      else this.#history = new History(marks);
    }
    this.#history.confirmed = marks;
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
    this.#drag = { cell, marks: null, axis: null, x: event.clientX, y: event.clientY };
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
    this.#drag.axis ??= Math.abs(right) > Math.abs(up) ? "across" : "up";
    if (!cell.hit) return;
    const isAcross = this.#drag.axis === "across";
    const drag = isNote(cell.hit) ? this.#draggedNote : this.#draggedHit;
    const mark = drag.call(this, cell.hit, isAcross ? right : 0, isAcross ? 0 : up);
    this.on.draw();
    const label = isNote(mark) ? `${this.rows[mark[1]].label}, ` : "";
    this.grid.explain(mark, `${label}${sayHit(mark, this.metre)}`);
  }

  // Sideways is timing, up is loudness.
  #draggedHit([step, row, velocity, offset], right, up) {
    const later = offset + right / this.grid.place.stepPx;
    const louder = velocity + up / FULL_VELOCITY_PX;
    this.#drag.marks = withHit(this.#history.now, step, row, louder, later);
    return findHit(this.#drag.marks, step, row);
  }

  // Sideways is length, up is pitch.
  #draggedNote([step, row, velocity, , steps], right, up) {
    const { place } = this.grid;
    const to = this.#rowOfLine(row, Math.round(up / place.rowPx(row)));
    const longer = Math.round(steps + right / place.stepPx);
    const others = withoutHit(this.#history.now, step, row);
    this.#drag.marks = withNote(others, this.rows, step, to, velocity, longer, this.grid.steps);
    return findHit(this.#drag.marks, step, to);
  }

  // The row so many pitches higher, in the same line.
  #rowOfLine(row, higher) {
    const own = this.rows.flatMap(({ channel }, at) => (channel === this.rows[row].channel ? at : []));
    return clamp(row + higher, own[0], own.at(-1));
  }

  #onUp() {
    const drag = this.#drag;
    if (!drag) return;
    this.#endDrag();
    const { step, row } = drag.cell;
    if (drag.marks) this.#put(drag.marks);
    else if (!drag.axis) this.#toggle(step, row);
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
    const [right, up] = {
      ArrowLeft: [-1, 0],
      ArrowRight: [1, 0],
      ArrowUp: [0, 1],
      ArrowDown: [0, -1],
    }[event.key] ?? [0, 0];
    if (right || up) {
      if (event.shiftKey) this.#nudge(right, up);
      else this.#go(right, up);
    } else if (event.key === "Enter") {
      this.#toggle(step, row);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.#put(withoutHit(this.#history.now, step, row));
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  #go(right, up) {
    const step = clamp(this.#cell.step + right, 0, this.grid.steps - 1);
    const row = clamp(this.#cell.row + up, 0, this.rows.length - 1);
    this.#cell = { step, row };
    this.#aim();
    this.#say();
  }

  #toggle(step, row) {
    const { steps } = this.grid;
    this.#put(toggledMark(this.#history.now, this.rows, step, row, steps, this.metre));
  }

  // Like dragging, by a small amount.
  #nudge(right, up) {
    const { step, row } = this.#cell;
    const mark = findHit(this.#history.now, step, row);
    if (!mark) return;
    const [, , velocity, offset, steps] = mark;
    if (!isNote(mark)) {
      const later = clamp(offset + KEY_OFFSET * right, -0.5, LATEST);
      this.#put(withHit(this.#history.now, step, row, velocity + KEY_VELOCITY * up, later));
      return;
    }
    const to = this.#rowOfLine(row, up);
    const others = withoutHit(this.#history.now, step, row);
    this.#cell = { step, row: to };
    this.#put(withNote(others, this.rows, step, to, velocity, steps + right, this.grid.steps));
    this.#aim();
  }

  // Frames the keyboard's cell, if the keys are meant for the grid.
  #aim() {
    const focused = this.grid.still.getRootNode().activeElement === this.grid.still;
    const { step, row } = this.#cell;
    const there = step < this.grid.steps;
    this.grid.pointAt(this.active && focused && there ? { step, row } : null);
  }

  #say() {
    const { step, row } = this.#cell;
    this.on.say(sayCell(this.#history.now, step, row, this.rows, this.metre));
  }

  #put(hits) {
    if (sameHits(hits, this.#history.now)) return;
    this.#history.put(hits);
    this.#changed();
  }

  #changed(message) {
    this.#send();
    this.on.changed();
    this.on.draw();
    if (message) this.on.say(message);
    else this.#say();
  }

  #send() {
    this.revision.next();
    this.sending.start();
  }
}
