// The parts of the map that change while its chart stays: the user's grooves, the selected one, the
// path, and the point that moves along it. The overlay lies over the Plotly chart, follows its zoom,
// and moves without the server.
//
// Data: {chart: selector of what contains the chart, marks: [{id, kind, name, at}], now: {id,
// name, at} or null, path: {stops: [at], trail: [at], strip, piece} or null, deck: the key of the one
// that shows the selected groove, model: its name, edited: the ids of points that were edited, and
// sound otherwise than the model plays them, hover: whether the point under the pointer plays,
// answered: the time of the last click that Python has handled, or null}, with coordinates of the
// chart, two or three. To Python,
// as states: picked, [id, when] of the last mark or point that was clicked (an event could be lost
// among others, and Streamlit's own selection takes two quick clicks on two points for one double
// click); view, [x0, x1, y0, y1] of a flat chart that was
// moved or zoomed, else null; and webgl, false where the browser has none.
//
// For tests and debugging, the root element has a property `overlay`: {place: on the trail,
// or null; view: whether the chart was found}.

import { listenForClicks } from "./clicks.js";
import { pointOf, pointsOf, rangesOf, viewOf } from "./place.js";
import { between, placeOnPath } from "./traveller.js";
import { nextPoint } from "./walk.js";
import { playAhead } from "../deck/preview.js";
import { Debounce, Delay } from "../debounce.js";

const SHAPES = {
  favourite: "M0-9 2.6-2.9 9.1-2.4 4.1 1.9 5.7 8.3 0 4.9-5.7 8.3-4.1 1.9-9.1-2.4-2.6-2.9z",
  upload: "M0-8 8 6H-8z",
  other: "M0-7 7 0 0 7-7 0z",
};
const HAS_WEBGL = Boolean(document.createElement("canvas").getContext("webgl"));
const HOVER_MS = 80; // pause of the pointer after which the point under it plays
const REST_MS = 400; // pause in moving after which the view is reported
const MARGIN = 12; // pixels beyond the edge at which a mark is hidden
const AIM = "Groove on the map: the arrow keys lead to others, with Shift farther, Enter plays";
const [NEAR_PX, FAR_PX] = [4, 60]; // the least distance that an arrow key moves
const overlays = new Map(); // parent element → Overlay

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

class Overlay {
  pick; // plays and selects a groove, {id, name, at}, and tells Python; set by whoever mounts it
  see; // sends Python what is in view; likewise
  play; // plays a groove, if its notes are here; likewise
  #hovering = new Delay();
  #clicked = null; // {now, when}: what was clicked last, until Python has answered
  #marks = svg("g");
  #markOf = new Map(); // id → node: nodes are reused, since removing one loses the focus
  #trail = svg("polyline", { class: "trail" });
  #stops = svg("g");
  #now = svg("circle", { class: "now", r: 11 });
  // The keyboard cursor, visible while it has the focus.
  #aim = svg("circle", { class: "aim", r: 14, tabindex: 0, role: "slider", "aria-label": AIM });
  #aimed = null; // the chart's point that the cursor was moved to, or null: at the selected groove
  #taken = null; // the id of the groove last selected by keyboard
  #dot = svg("circle", { class: "dot", r: 8 });
  #listenedTo = new WeakSet(); // charts whose clicks are handled
  // Not while the view is moving: the reply to an earlier view would move the chart back.
  #resting = new Debounce(() => this.see(rangesOf(this.chart)), REST_MS, (event) => this.#isOnChart(event));
  #items = []; // {node, at} of everything static on the map

  constructor(parent) {
    const layers = [this.#trail, this.#stops, this.#marks, this.#now, this.#dot, this.#aim];
    this.canvas = svg("svg", {}, ...layers);
    /** @type {any} */
    this.root = document.createElement("div");
    this.root.className = "overlay";
    this.root.append(this.canvas);
    this.root.overlay = { place: null, view: false };
    parent.append(this.root);
    this.#aim.addEventListener("keydown", (event) => this.#onKey(event));
    this.frame = requestAnimationFrame(() => this.#follow());
  }

  // Draws what Python sends; what was clicked since then stays selected.
  update(data) {
    if (this.#clicked && data.answered >= this.#clicked.when) this.#clicked = null;
    this.#show({ ...data, now: this.#clicked?.now ?? data.now });
  }

  // Selects a groove, {id, name, at}, before Python does.
  select(now, when) {
    this.#clicked = { now, when };
    this.#show({ ...this.data, now });
  }

  #show(data) {
    if (data.now?.id !== this.data?.now?.id && data.now?.id !== this.#taken) this.#aimed = null;
    this.data = data;
    this.#showMarks(data.marks);
    const stops = data.path?.stops ?? [];
    this.#stops.replaceChildren(...stops.map((_, index) => stop(index + 1)));
    this.#now.replaceChildren(title(data.now?.name ?? ""));
    this.#items = [
      ...data.marks.map(({ at }, index) => ({ node: this.#marks.children[index], at })),
      ...stops.map((at, index) => ({ node: this.#stops.children[index], at })),
      { node: this.#now, at: data.now?.at ?? null },
    ];
    this.#showAim();
  }

  destroy() {
    cancelAnimationFrame(this.frame);
    this.#resting.cancel();
    this.#hovering.cancel();
  }

  #showMarks(marks) {
    const ids = new Set(marks.map(({ id }) => id));
    for (const [id, node] of this.#markOf) {
      if (ids.has(id)) continue;
      node.remove();
      this.#markOf.delete(id);
    }
    marks.forEach((mark, index) => {
      const node = this.#markOf.get(mark.id) ?? this.#newMark(mark.id);
      const there = this.#marks.children[index] ?? null;
      if (there !== node) this.#marks.insertBefore(node, there);
      label(node, mark);
    });
  }

  #newMark(id) {
    const mark = svg("g", { tabindex: 0, role: "button" }, svg("path"), svg("title"));
    mark.dataset.mark = id;
    this.#markOf.set(id, mark);
    const pick = () => this.pick(this.data.marks.find((groove) => groove.id === id));
    mark.addEventListener("click", pick);
    mark.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return; // the space bar plays and stops
      event.preventDefault();
      pick();
    });
    return mark;
  }

  // The arrow keys move from point to point; Enter selects the current one.
  #onKey(event) {
    const view = viewOf(this.chart);
    const from = this.#aimed?.place ?? this.data.now?.at;
    if (!view || !from || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") {
      const groove = this.#aimed ? grooveOf(this.#aimed) : this.data.now;
      this.#taken = groove.id;
      this.pick(groove);
    } else {
      const inView = pointsOf(this.chart, view).filter(({ at }) => isIn(at, view.box, 0));
      const next = nextPoint(inView, view.at(from), event.key, event.shiftKey ? FAR_PX : NEAR_PX);
      if (!next && !event.key.startsWith("Arrow")) return;
      this.#aimed = next ?? this.#aimed;
      this.#showAim();
    }
    event.preventDefault();
    event.stopPropagation();
  }

  #showAim() {
    const { now } = this.data;
    const text = this.#aimed?.text.replaceAll("<br>", ", ") ?? now?.name ?? "";
    this.#aim.setAttribute("aria-valuetext", text);
    this.#aim.setAttribute("aria-valuenow", String(this.#aimed?.id ?? 0));
    this.key = null;
  }

  #follow() {
    this.frame = requestAnimationFrame(() => this.#follow());
    if (!this.chart?.isConnected) this.chart = this.#findChart();
    const view = this.chart && viewOf(this.chart);
    this.root.overlay.view = Boolean(view);
    this.canvas.style.display = view ? "" : "none";
    if (!view) return;
    this.#listenTo(this.chart);
    this.chart.classList.toggle("journey", Boolean(this.data.path)); // see page.css
    this.#lieOver(view);
    this.#draw(view);
    this.#move(view);
  }

  #findChart() {
    return document.querySelector(`${this.data.chart} .js-plotly-plot`);
  }

  // Listens to moves of the chart, and to clicks.
  #listenTo(chart) {
    if (this.#listenedTo.has(chart)) return;
    this.#listenedTo.add(chart);
    chart.on("plotly_relayout", () => this.#resting.start());
    chart.on("plotly_hover", ({ points: [point] }) => this.#hover(point));
    chart.on("plotly_unhover", () => this.#hovering.cancel());
    listenForClicks(chart, (point) => {
      this.#resting.now();
      if (point && point.id !== null) this.pick(grooveOf(point));
    });
  }

  #hover(hovered) {
    const point = pointOf(hovered);
    if (!this.data.hover || point.id === null) return;
    this.#hovering.start(() => this.play(grooveOf(point), "hover"), HOVER_MS);
  }

  #isOnChart(event) {
    return event.composedPath().includes(this.chart);
  }

  #lieOver({ box }) {
    const chart = this.chart.getBoundingClientRect();
    const root = this.root.getBoundingClientRect();
    const { style } = this.canvas;
    style.left = `${chart.left - root.left + box.left}px`;
    style.top = `${chart.top - root.top + box.top}px`;
    style.width = `${box.width}px`;
    style.height = `${box.height}px`;
  }

  // Only when the view or the data has changed.
  #draw(view) {
    if (this.key === view.key) return;
    this.key = view.key;
    const aim = { node: this.#aim, at: this.#aimed?.place ?? this.data.now?.at };
    for (const { node, at } of [...this.#items, aim]) put(node, at && view.at(at), view.box);
    const trail = this.data.path?.trail ?? [];
    this.#trail.setAttribute("points", trail.map((at) => view.at(at).join()).join(" "));
  }

  #move(view) {
    const { path } = this.data;
    const place = path && placeOnPath(path);
    this.root.overlay.place = place;
    put(this.#dot, place === null ? null : view.at(between(path.trail, place)), view.box);
  }
}

// The groove at a point: the id of its card, its name and its coordinates.
function grooveOf({ id, text, place }) {
  const [name] = text.split("<br>");
  return { id: `point.${id}`, name, at: place };
}

function label(node, { kind, name }) {
  const [shape, text] = node.children;
  const title = `${name}, ${kind}`;
  node.setAttribute("class", `mark ${kind}`);
  node.setAttribute("aria-label", title);
  shape.setAttribute("d", SHAPES[kind] ?? SHAPES.other);
  text.textContent = title;
}

function stop(number) {
  const text = svg("text", { dy: "0.35em" });
  text.textContent = number;
  return svg("g", { class: "stop" }, svg("circle", { r: 9 }), text);
}

function title(text) {
  const made = svg("title");
  made.textContent = text;
  return made;
}

// Whether a position in pixels is in a box, or this close to its edge.
function isIn([x, y], { width, height }, margin) {
  return x > -margin && x < width + margin && y > -margin && y < height + margin;
}

// Moves a node to a position in pixels, or hides it if that is out of view.
function put(node, at, box) {
  const shown = at && isIn(at, box, MARGIN);
  node.style.display = shown ? "" : "none";
  if (shown) node.setAttribute("transform", `translate(${at[0].toFixed(2)} ${at[1].toFixed(2)})`);
}

export default function mount({ data, parentElement, setStateValue }) {
  const overlay = overlays.get(parentElement) ?? new Overlay(parentElement);
  overlays.set(parentElement, overlay);
  overlay.see = (view) => setStateValue("view", view);
  if (!HAS_WEBGL && !overlay.hasReported) setStateValue("webgl", false);
  overlay.hasReported = true;
  overlay.play = ({ id: card, name }, when) => {
    const { deck, model, edited } = data;
    if (!edited.includes(card)) playAhead({ deck, model, card, name, token: `${model}.${when}` });
  };
  overlay.pick = (groove) => {
    const when = Date.now();
    overlay.play(groove, when);
    overlay.select(groove, when);
    setStateValue("picked", [groove.id, when]);
  };
  overlay.update(data);
  return () =>
    setTimeout(() => {
      if (overlay.root.isConnected) return;
      overlay.destroy();
      overlays.delete(parentElement);
    });
}
