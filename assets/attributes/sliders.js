// The sliders of the Attributes page. While one is dragged, the card above plays the preview that
// was sent ahead for the nearest position; when it is released, Python finds the exact groove.
//
// Data: {groove: the id of the steered music, deck, card: where it is shown, plays: "drums", or "line"
// for a melody, revision: of the last change that Python has seen, sliders: [{name, title, unit, help,
// group, min, max, step, value, isSet, why: the reason why it cannot be moved or "", result: how near it
// came or "", ahead: [[value, [step, row, velocity in 127ths, offset in 100ths, …]], …], for a melody
// [step, steps, pitch, velocity in 127ths, …]}]}. Values are as shown. Event to Python: set({groove,
// revision, targets: {name: value, or null to release it}}), all that Python has not confirmed.

import { button, element } from "../deck/elements.js";
import { preview } from "../deck/preview.js";
import { RESEND_MS } from "../deck/revision.js";
import { Debounce, Delay } from "../debounce.js";

const KEYS_SETTLE_MS = 150; // pause after which the arrow keys count as released

// What Python has not confirmed yet. It belongs to the window: a slider that was moved just before the
// user left the page is sent on the way back.
const unconfirmed = {
  groove: null, // whose sliders they are
  values: new Map(), // name → {revision, value}
  revision: 0,
};

const unpack = {
  drums: ([step, row, velocity, offset]) => [step, row, velocity / 127, offset / 100],
  line: ([step, steps, pitch, velocity]) => [step, steps, pitch, velocity / 127],
};

function unpacked(packed, plays) {
  const fours = Array.from({ length: packed.length / 4 }, (_, at) => packed.slice(4 * at, 4 * at + 4));
  return plays === "line" ? { notes: fours.map(unpack.line) } : { hits: fours.map(unpack.drums) };
}

// A value with its unit: "56% of steps", "2.5 hits a bar", "1 hit a bar".
export function amountOf(value, unit) {
  if (unit.startsWith("%")) return `${value}${unit}`;
  return `${value} ${value === 1 ? unit.replace(/^(\w+)s\b/, "$1") : unit}`;
}

// The preview nearest to a value, {hits} of drums or {notes} of a melody; null if none was sent.
export function nearest(ahead, value, plays) {
  const distance = (one) => Math.abs(one[0] - value);
  const best = ahead.reduce((one, other) => (distance(other) < distance(one) ? other : one), ahead[0]);
  return best ? unpacked(best[1], plays) : null;
}

class Slider {
  held = false;
  #keys = new Debounce(() => this.#letGo(Number(this.input.value)), KEYS_SETTLE_MS);

  // on: {drag(value): to where it is dragged, set(value or null)}.
  constructor(on) {
    this.on = on;
    this.title = element("summary", {});
    this.help = element("p", {});
    this.value = element("output", {});
    this.input = element("input", { type: "range" });
    this.rest = button("rest", "undo", "", () => this.#letGo(null));
    this.result = element("p", { class: "result" });
    this.root = element(
      "div",
      { class: "slider" },
      element("details", {}, this.title, this.help),
      this.value,
      this.rest,
      this.input,
      this.result,
    );
    this.input.addEventListener("pointerdown", () => (this.held = true));
    this.input.addEventListener("input", () => this.#drag());
    this.input.addEventListener("change", () => this.#settle());
  }

  get isMoving() {
    return this.held || this.#keys.isWaiting;
  }

  // own: {value} that Python has not confirmed, if any.
  update(data, own) {
    this.data = data;
    const { title, unit, help, min, max, step, why } = data;
    this.title.textContent = title;
    this.help.textContent = why || help;
    this.root.classList.toggle("off", Boolean(why));
    this.input.disabled = Boolean(why);
    this.input.title = why || help;
    this.input.setAttribute("aria-label", `${title}, ${unit}`);
    if (this.isMoving) return;
    Object.assign(this.input, { min, max, step }); // before the value, which they limit
    this.input.value = own?.value ?? data.value;
    this.#show(own ? own.value !== null : data.isSet);
    this.result.textContent = own ? "" : data.result;
  }

  #show(isSet) {
    const { title, unit, min, max, why } = this.data;
    const value = Number(this.input.value);
    const text = amountOf(value, unit);
    this.value.textContent = why ? "" : text;
    this.input.setAttribute("aria-valuetext", text);
    this.input.style.setProperty("--level", (value - min) / (max - min));
    this.rest.hidden = !isSet;
    this.rest.setAttribute("aria-label", `Let ${title} rest`);
    this.rest.title = `Let ${title} rest`;
  }

  #drag() {
    this.result.textContent = "";
    this.#show(true);
    this.on.drag(Number(this.input.value));
  }

  // `change` comes when a pointer lets go, and with every press of a key.
  #settle() {
    this.#keys.start();
    if (this.held) this.#keys.now();
    this.held = false;
  }

  #letGo(value) {
    this.#keys.cancel();
    this.on.set(value);
  }
}

class Sliders {
  #sliders = new Map(); // name → Slider
  #again = new Delay(); // sends what is unconfirmed again
  send; // sends to Python; set by whoever mounts it

  constructor(parent) {
    this.root = element("div", { class: "sliders" });
    parent.append(this.root);
  }

  update(data) {
    if (unconfirmed.groove !== data.groove) unconfirmed.values.clear();
    unconfirmed.groove = data.groove;
    if (namesOf(data) !== namesOf(this.data)) this.#clear();
    this.data = data;
    unconfirmed.revision = Math.max(unconfirmed.revision, data.revision);
    for (const [name, { revision }] of unconfirmed.values) {
      if (revision <= data.revision) unconfirmed.values.delete(name);
    }
    for (const one of data.sliders) this.#sliderOf(one).update(one, unconfirmed.values.get(one.name));
    const isMoving = [...this.#sliders.values()].some((slider) => slider.isMoving);
    if (!isMoving && !unconfirmed.values.size) preview(data, null);
    if (unconfirmed.values.size && !this.#again.isStarted) this.#send();
  }

  // For another form of music, which has other sliders.
  #clear() {
    this.#sliders.clear();
    this.root.replaceChildren();
  }

  #sliderOf({ name, group }) {
    if (!this.#sliders.has(name)) {
      const slider = new Slider({
        drag: (value) => this.#drag(slider.data.ahead, value),
        set: (value) => this.#set(name, value),
      });
      this.#sliders.set(name, slider);
      this.#columnOf(group).append(slider.root);
    }
    return this.#sliders.get(name);
  }

  #drag(ahead, value) {
    const shown = nearest(ahead, value, this.data.plays);
    if (shown) preview(this.data, shown);
  }

  #columnOf(group) {
    const found = [...this.root.children].find((column) => column.dataset.group === group);
    if (found) return found;
    const column = element(
      "section",
      { "data-group": group, "aria-label": group },
      element("h3", {}, group),
    );
    this.root.append(column);
    return column;
  }

  #set(name, value) {
    unconfirmed.revision += 1;
    unconfirmed.values.set(name, { revision: unconfirmed.revision, value });
    this.#send();
  }

  // Sends what was set, repeatedly until Python confirms it.
  #send([delay, ...later] = RESEND_MS) {
    this.#again.cancel();
    if (!unconfirmed.values.size || !this.root.isConnected) return;
    const targets = Object.fromEntries([...unconfirmed.values].map(([name, { value }]) => [name, value]));
    this.send("set", { groove: this.data.groove, revision: unconfirmed.revision, targets });
    if (delay) this.#again.start(() => this.#send(later), delay);
  }
}

function namesOf(data) {
  return (data?.sliders ?? []).map(({ name, unit }) => name + unit).join();
}

const mounted = new Map(); // parent element → Sliders

export default function mount({ data, parentElement, setTriggerValue }) {
  const sliders = mounted.get(parentElement) ?? new Sliders(parentElement);
  mounted.set(parentElement, sliders);
  sliders.send = setTriggerValue;
  sliders.update(data);
  return () => setTimeout(() => sliders.root.isConnected || mounted.delete(parentElement));
}
