// A pad for tapping a rhythm to a metronome, by click, space bar or MIDI pads.
//
// Data: {tempo, bars, late: ms, grid: {steps_per_beat, steps_per_bar}}. Event to Python: taps({tempo,
// bars, taps: [[steps from the first beat, velocity], …]}), when the last bar is over.
//
// For tests and debugging, the root element (class "taps") has a property `taps` with
// {isRecording, firstBeatTime: ms of the page's clock, taps}.

import { Recorder } from "./recorder.js";
import { engine } from "../player/engine.js";

const KEY_VELOCITY = 0.8; // constant: the space bar has no dynamics
const SOFTEST = 0.3;
const FLASH_MS = 90;

const pads = new Map(); // parent element → Pad

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

class Pad {
  send; // sends to Python; set by whoever mounts it
  #context = null;
  #recorder = null;
  #listening = new AbortController();

  constructor(parent) {
    this.record = element("button", { type: "button", class: "record" }, "Record");
    this.lights = element("div", { class: "lights", "aria-hidden": "true" });
    this.words = element("p", { class: "words", "aria-live": "polite" });
    this.pad = element("button", { type: "button", class: "pad" }, "Tap here, or press space");
    this.strip = element("div", { class: "strip", "aria-hidden": "true" });
    const head = element("div", { class: "head" }, this.record, this.lights, this.words);
    this.root = element("div", { class: "taps" }, head, this.pad, this.strip);
    this.root.taps = this.#describe();
    parent.append(this.root);
    this.#listen();
  }

  update(data) {
    this.data = data;
    const lights = Array.from({ length: this.#beatsPerBar }, () => element("i"));
    if (lights.length === this.lights.children.length) return;
    this.lights.replaceChildren(...lights);
    this.#rest(`A bar of ${lights.length}/4 is counted in. Higher on the pad is louder.`);
  }

  destroy() {
    this.#recorder?.stop();
    this.#listening.abort();
    this.#context?.close();
  }

  get #beatsPerBar() {
    return this.data.grid.steps_per_bar / this.data.grid.steps_per_beat;
  }

  #listen() {
    const { signal } = this.#listening;
    this.record.addEventListener("click", () => this.#toggle());
    this.pad.addEventListener("pointerdown", (event) => this.#onPointer(event));
    const onPad = ({ detail }) => this.#recorder && this.#tap(detail.time, detail.velocity);
    engine.addEventListener("pad", onPad, { signal });
    // Runs before any other listener, such as the deck's: while recording, the pad owns the space bar.
    const first = { capture: true, signal };
    window.addEventListener("keydown", (event) => this.#onKey(event), first);
    window.addEventListener("keyup", (event) => this.#take(event), first);
  }

  async #toggle() {
    if (this.#recorder) {
      this.#recorder.stop();
      this.#rest("Stopped; nothing was kept.");
      return;
    }
    this.#context ??= new AudioContext({ latencyHint: "interactive" });
    await this.#context.resume();
    this.strip.replaceChildren();
    this.record.textContent = "Stop";
    this.pad.focus();
    this.root.classList.add("recording");
    this.#recorder = new Recorder(this.#context, this.data, {
      beat: (beat) => this.#showBeat(beat),
      end: () => this.#finish(),
    });
  }

  #finish() {
    const { taps, bars } = this.#recorder;
    const { tempo } = this.data;
    this.#rest(taps.length === 1 ? "1 tap" : `${taps.length} taps`);
    if (taps.length > 0) this.send({ tempo, bars, taps });
  }

  #rest(words) {
    this.#recorder = null;
    this.root.classList.remove("recording");
    this.record.textContent = "Record";
    this.words.textContent = words;
    for (const light of this.lights.children) light.className = "";
  }

  #showBeat(beat) {
    const beats = this.#beatsPerBar;
    const place = ((beat % beats) + beats) % beats;
    [...this.lights.children].forEach((light, at) => {
      light.className = at === place ? (beat < 0 ? "counting" : "on") : "";
    });
    const bar = Math.floor(beat / beats) + 1;
    const words = beat < 0 ? "Count-in" : `Bar ${bar} of ${this.#recorder.bars}`;
    if (this.words.textContent !== words) this.words.textContent = words;
  }

  #onPointer(event) {
    event.preventDefault();
    const box = this.pad.getBoundingClientRect();
    const height = 1 - (event.clientY - box.top) / box.height;
    const loudness = event.pointerType === "pen" ? event.pressure : height;
    const velocity = SOFTEST + (1 - SOFTEST) * Math.min(Math.max(loudness, 0), 1);
    this.#tap(event.timeStamp, velocity);
  }

  #onKey(event) {
    if (!this.#recorder) return;
    if (event.key === "Escape") this.#toggle();
    if (this.#take(event) && !event.repeat) this.#tap(event.timeStamp, KEY_VELOCITY);
  }

  // Hides presses of the space bar from all other listeners while recording.
  #take(event) {
    const isOurs = this.#recorder && event.key === " ";
    if (isOurs) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
    return isOurs;
  }

  #tap(timeMs, velocity) {
    this.pad.classList.add("struck");
    setTimeout(() => this.pad.classList.remove("struck"), FLASH_MS);
    const step = this.#recorder?.tap(timeMs, velocity) ?? null;
    if (step === null) return;
    const mark = element("i");
    mark.style.left = `${(100 * Math.max(step, 0)) / this.#recorder.steps}%`;
    mark.style.height = `${100 * velocity}%`;
    this.strip.append(mark);
  }

  #describe() {
    const pad = this;
    return {
      get isRecording() {
        return Boolean(pad.#recorder);
      },
      get firstBeatTime() {
        return pad.#recorder?.firstBeatTime ?? null;
      },
      get taps() {
        return pad.#recorder?.taps ?? [];
      },
    };
  }
}

export default function mount({ data, parentElement, setTriggerValue }) {
  const pad = pads.get(parentElement) ?? new Pad(parentElement);
  pads.set(parentElement, pad);
  pad.send = (taps) => setTriggerValue("taps", taps);
  pad.update(data);
  // Streamlit also runs the clean-up of a call replaced by a newer one, see deck.js.
  return () =>
    setTimeout(() => {
      if (pad.root.isConnected) return;
      pad.destroy();
      pads.delete(parentElement);
    });
}
