// The mixer of a deck: its volume, and which voices are heard.

import { button, element, icon, labelled } from "./elements.js";
import { Revision } from "./revision.js";

const TELL_AFTER_MS = 90; // of quiet: a slider that is dragged by keys is one change for Python

export class Mixer {
  muted = new Set();
  soloed = new Set();
  #revision = new Revision();
  #timer = null;
  #strips = [];

  // on: {volume(level): at once, send(mix): see deck.js, draw(): other voices are heard}.
  constructor(on) {
    this.on = on;
    this.slider = element("input", {
      type: "range",
      min: "0",
      max: "1",
      step: "0.01",
      value: "1",
      "aria-label": "Volume",
      title: "Volume",
    });
    this.slider.addEventListener("input", () => {
      this.#revision.next();
      this.#showVolume();
    });
    this.slider.addEventListener("change", () => this.#send());
    this.voices = element("div", { class: "voices", role: "toolbar", "aria-label": "Voices heard" });
    this.voices.addEventListener("keydown", (event) => this.#onKey(event));
    this.all = button("all", "", "All voices", () => this.#hearAll());
    this.root = element(
      "div",
      { class: "mixer", hidden: "" },
      element("label", { class: "volume" }, icon("volume"), this.slider),
      this.voices,
      this.all,
    );
  }

  // Rows that are not heard.
  get silent() {
    const rows = this.#strips.map((_, row) => row);
    return new Set(rows.filter((row) => !this.#hears(row)));
  }

  get state() {
    const sorted = (set) => [...set].sort((a, b) => a - b);
    const volume = Number(this.slider.value);
    return { muted: sorted(this.muted), soloed: sorted(this.soloed), volume };
  }

  // mix: [muted, soloed, volume, revision]
  update(mix, labels, shown) {
    this.root.hidden = !shown;
    if (!this.#strips.length) this.#build(labels);
    if (!this.#revision.accepts(mix[3])) return;
    [this.muted, this.soloed] = [new Set(mix[0]), new Set(mix[1])];
    this.slider.value = mix[2];
    if (shown) this.#showVolume(); // a deck without a mixer leaves the others' volume alone
    this.#show();
  }

  toggle(row, alone) {
    const [of, other] = alone ? [this.soloed, this.muted] : [this.muted, this.soloed];
    if (!of.delete(row)) {
      of.add(row);
      other.delete(row);
    }
    this.#changed();
  }

  #hears(row) {
    return this.soloed.size ? this.soloed.has(row) : !this.muted.has(row);
  }

  #hearAll() {
    this.muted.clear();
    this.soloed.clear();
    this.#changed();
  }

  #changed() {
    this.#show();
    this.on.draw();
    this.#send();
  }

  #build(labels) {
    this.#strips = labels.map((label, row) => {
      const mute = button("mute", "", label, (event) =>
        this.toggle(row, event.altKey || event.shiftKey),
      );
      const solo = button("solo", "", "S", () => this.toggle(row, true));
      const strip = element("div", { class: "strip" }, mute, solo);
      mute.tabIndex = row ? -1 : 0;
      solo.tabIndex = -1;
      strip.style.setProperty("--voice", `var(--deck-voice-${row})`);
      this.voices.append(strip);
      return { strip, mute, solo, label };
    });
  }

  // One stop of the Tab key for all voices; the arrows move between them.
  #onKey(event) {
    const right = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!right) return;
    const buttons = this.#strips.flatMap(({ mute, solo }) => [mute, solo]);
    const at = buttons.indexOf(event.target);
    const next = buttons[(at + right + buttons.length) % buttons.length];
    for (const each of buttons) each.tabIndex = each === next ? 0 : -1;
    next.focus();
    event.preventDefault();
  }

  #showVolume() {
    this.slider.style.setProperty("--level", this.slider.value);
    this.on.volume(Number(this.slider.value));
  }

  #show() {
    this.#strips.forEach(({ strip, mute, solo, label }, row) => {
      strip.classList.toggle("silent", !this.#hears(row));
      mute.setAttribute("aria-pressed", String(this.muted.has(row)));
      solo.setAttribute("aria-pressed", String(this.soloed.has(row)));
      labelled(mute, `Mute ${label}`);
      labelled(solo, `Solo ${label}`);
    });
    this.all.hidden = !this.muted.size && !this.soloed.size;
  }

  #send() {
    this.#revision.next();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const { muted, soloed, volume } = this.state;
      this.on.send([muted, soloed, volume, this.#revision.number]);
    }, TELL_AFTER_MS);
  }
}
