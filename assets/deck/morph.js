// The control that moves between grooves: a strip with two ends, or a pad with four corners.

import { element } from "./elements.js";
import { blended, clamp } from "./score.js";
import { Debounce } from "../debounce.js";

const KEYS = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
  Home: [-Infinity, -Infinity],
  End: [Infinity, Infinity],
};
const BETWEEN = 12; // pointer positions from one groove of a pad to the next
const SETTLED_MS = 250; // pause after which the keys count as released

const percent = (share) => `${Math.round(100 * share)}%`;

export class MorphControl {
  #shape = { rows: 1, columns: 1, ends: [], places: [] };
  #sharedAt = ""; // the position last received from Python or sent to it
  #keys = new Debounce(() => this.#send(), SETTLED_MS);

  // on: {place(): another groove is selected, moved([x, y]): the pointer was released there}.
  constructor(on) {
    this.on = on;
    this.row = this.column = 0;
    this.held = false;
    this.marks = element("div", { class: "marks", "aria-hidden": "true" });
    this.handle = element("div", { class: "handle" });
    this.field = element("div", { class: "field", role: "slider" }, this.marks, this.handle);
    this.ends = Array.from({ length: 4 }, () => element("span", { class: "end" }));
    this.root = element("div", { class: "morph", hidden: "" }, this.field, ...this.ends);
    const { field } = this;
    field.addEventListener("pointerdown", (event) => this.#onDown(event));
    // Raw updates arrive before the browser combines moves for the next frame.
    for (const name of ["pointermove", "pointerrawupdate"]) {
      field.addEventListener(name, (event) => this.held && this.#follow(event));
    }
    field.addEventListener("lostpointercapture", () => this.#letGo());
    field.addEventListener("keydown", (event) => this.#onKey(event));
    field.addEventListener("blur", () => this.#keys.now());
  }

  // The nearest groove.
  get index() {
    return Math.round(this.row) * this.#shape.columns + Math.round(this.column);
  }

  // Whether the pointer is between the grooves of a pad.
  get isBetween() {
    return !Number.isInteger(this.row) || !Number.isInteger(this.column);
  }

  // Whether positions between grooves sound too: on a pad of drums.
  get #isBlended() {
    const { rows, places } = this.#shape;
    return rows > 1 && places.every(({ lines }) => !lines?.length);
  }

  // The music heard now.
  get hits() {
    const { columns, places } = this.#shape;
    if (!this.isBetween) return places[this.index].hits;
    const [column, row] = [Math.floor(this.column), Math.floor(this.row)];
    const [right, down] = [this.column - column, this.row - row];
    const near = [
      [row, column, (1 - down) * (1 - right)],
      [row, column + 1, (1 - down) * right],
      [row + 1, column, down * (1 - right)],
      [row + 1, column + 1, down * right],
    ].filter(([, , weight]) => weight > 0);
    const lists = near.map(([atRow, atColumn]) => places[atRow * columns + atColumn].hits);
    return blended(lists, near.map(([, , weight]) => weight));
  }

  // The pointer's position, 0 to 1 each.
  get at() {
    const { rows, columns } = this.#shape;
    return [this.column / Math.max(1, columns - 1), this.row / Math.max(1, rows - 1)];
  }

  // morph: {rows, columns, ends, at, places: [{hits}, …]}, or null.
  update(morph, name) {
    this.root.hidden = !morph;
    if (!morph) return;
    const { at } = this; // as shares, which are valid for any shape
    this.#shape = morph;
    this.root.classList.toggle("pad", morph.rows > 1);
    this.field.setAttribute("aria-label", `Morph of ${name}`);
    this.field.setAttribute("aria-valuemin", "0");
    this.field.setAttribute("aria-valuemax", String(morph.places.length - 1));
    this.ends.forEach((end, corner) => (end.textContent = morph.ends[corner] ?? ""));
    this.#mark(morph);
    if (this.held) return;
    // Ignore what Python repeats: the user may have moved the pointer since.
    const news = String(morph.at) !== this.#sharedAt;
    this.#sharedAt = String(morph.at);
    this.#goTo(...(news ? morph.at : at), false);
  }

  // A mark for each groove, larger for busier ones.
  #mark({ rows, columns, places }) {
    const energies = places.map(({ hits }) => hits.reduce((sum, hit) => sum + hit[2], 0));
    const most = Math.max(...energies, 1);
    while (this.marks.children.length > places.length) this.marks.lastElementChild.remove();
    while (this.marks.children.length < places.length) this.marks.append(element("i"));
    [...this.marks.children].forEach((mark, index) => {
      mark.style.setProperty("--x", (index % columns) / Math.max(1, columns - 1));
      mark.style.setProperty("--y", Math.floor(index / columns) / Math.max(1, rows - 1));
      mark.style.setProperty("--energy", energies[index] / most);
    });
  }

  #goTo(x, y, notify = true) {
    const { rows, columns, ends } = this.#shape;
    const before = [this.column, this.row];
    const fine = this.#isBlended ? BETWEEN : 1;
    this.column = clamp(Math.round(fine * x * (columns - 1)) / fine, 0, columns - 1);
    this.row = clamp(Math.round(fine * y * (rows - 1)) / fine, 0, rows - 1);
    this.#showHandle(x, y);
    [...this.marks.children].forEach((mark, i) => mark.classList.toggle("chosen", i === this.index));
    const [across, down] = this.at;
    const text =
      rows > 1
        ? `${percent(across)} across, ${percent(down)} down`
        : `${percent(across)} of the way from ${ends[0]} to ${ends[1]}`;
    this.field.setAttribute("aria-valuenow", String(this.index));
    this.field.setAttribute("aria-valuetext", text);
    const isMoved = this.column !== before[0] || this.row !== before[1];
    if (notify && isMoved) this.on.place();
  }

  #showHandle(x, y) {
    this.handle.style.setProperty("--x", clamp(x, 0, 1));
    this.handle.style.setProperty("--y", this.#shape.rows > 1 ? clamp(y, 0, 1) : 0.5);
  }

  #onDown(event) {
    if (event.button !== 0) return;
    this.held = true;
    this.root.classList.add("held");
    this.field.setPointerCapture(event.pointerId);
    this.#follow(event);
  }

  #follow({ clientX, clientY }) {
    const { left, top, width, height } = this.marks.getBoundingClientRect();
    this.#goTo((clientX - left) / width, (clientY - top) / height);
  }

  #letGo() {
    if (!this.held) return;
    this.held = false;
    this.root.classList.remove("held");
    this.#showHandle(...this.at);
    this.#send();
  }

  #onKey(event) {
    const [right, down] = KEYS[event.key] ?? [0, 0];
    if (event.ctrlKey || event.metaKey || event.altKey || !(right || down)) return;
    event.preventDefault();
    event.stopPropagation();
    const { rows, columns } = this.#shape;
    // On a strip, up is more and down is less, as on any slider.
    const across = rows > 1 || Math.abs(right) === 1 ? right : right - down || right;
    const column = clamp(this.column + across, 0, columns - 1);
    const row = clamp(this.row + (rows > 1 ? down : 0), 0, rows - 1);
    this.#goTo(column / Math.max(1, columns - 1), row / Math.max(1, rows - 1));
    this.#keys.start();
  }

  #send() {
    if (String(this.at) === this.#sharedAt || !this.on.listens()) return;
    this.#sharedAt = String(this.at);
    this.on.moved(this.at);
  }
}
