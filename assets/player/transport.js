// The bar at the foot of every page: what plays, how fast, how loud, with what. It shows the engine
// and changes it at once; Python is notified afterwards, for what it writes to files.
//
// Data: {labels: names of the voices, kits: [[name, what it is], …], kit: name, voice_kits: [[voice,
// name], …], pads: [[pitch, voice], …] of a MIDI port, problem: why there is no sound or null,
// packs: address of the folder of kits, scripts: addresses of those that other pages need, set:
// {tempo, swing, feel, muted, soloed, levels, volume, clicks, count_in} as Python keeps it, revision}.
// Events to Python: set({…the same, revision}), kit([name or null, voice or null]).

import { element } from "../deck/elements.js";
import { isTyped } from "../deck/keyboard.js";
import { RESEND_MS } from "../deck/revision.js";
import { preloadScripts } from "../preload.js";
import { Debounce, Delay } from "../debounce.js";
import { chip, clamp, dial, picker } from "./controls.js";
import { engine } from "./engine.js";
import { MidiPorts } from "./midi.js";
import { Mixer, helpDialog } from "./mixer.js";
import { packs } from "./packs.js";

const MIN_BPM = 20;
const MAX_BPM = 400;
const USUAL_BPM = 120;
const PIXELS_A_BPM = 3;
const SEND_AFTER_MS = 120; // pause before sending: dragging a slider is one change for Python
const FORGET_TAPS_MS = 2000;
const DRAG_PIXELS = 3; // less is a click
const LEVEL_PIXELS = 80; // of pointer travel from silence to full

// Reports the playback settings to Python. It belongs to the window, like the engine: a change made
// just before a page change is reported by the bar of the new page.
class Reporter {
  revision = 0;
  send = null;
  #confirmed = 0; // the last revision that Python has confirmed
  #soon = new Debounce(() => this.now(), SEND_AFTER_MS);
  #again = new Delay(); // sends the last change again
  #known = ""; // the last data received from Python or sent to it

  get isWaiting() {
    return this.#soon.isWaiting;
  }

  get isUnconfirmed() {
    return this.isWaiting || this.revision > this.#confirmed;
  }

  // After a short pause.
  soon() {
    this.#soon.start();
  }

  now() {
    this.#soon.cancel();
    const now = playedHow();
    if (JSON.stringify(now) === this.#known) return;
    this.#known = JSON.stringify(now);
    this.revision += 1;
    this.#send({ ...now, revision: this.revision });
  }

  #send(set, [delay, ...later] = RESEND_MS) {
    this.send("set", set);
    if (delay) this.#again.start(() => this.#send(set, later), delay);
  }

  // Data from Python is current unless something newer is on its way there.
  receive({ set, revision }) {
    if (this.isWaiting) return;
    if (revision < this.revision) {
      if (this.#again.isStarted) return;
      this.#known = ""; // for a new session, which has no settings yet
      this.soon();
      return;
    }
    this.#again.cancel();
    this.revision = this.#confirmed = revision;
    takeFromPython(set);
    this.#known = JSON.stringify(playedHow());
    engine.dispatchEvent(new Event("settled"));
  }
}

const KEY = Symbol.for("groove-space.transport");
const shared = (globalThis[KEY] ??= {
  reporter: new Reporter(),
  kits: packs.choice,
  ports: new MidiPorts(engine),
});
const { reporter, kits, ports } = shared;
engine.settings = reporter;

function playedHow() {
  const sorted = (set) => [...set].sort((a, b) => a - b);
  return {
    ...engine.playback,
    muted: sorted(engine.muted),
    soloed: sorted(engine.soloed),
    levels: [...engine.levels],
    volume: engine.volume,
    count_in: engine.countIn,
  };
}

// Restores the settings after a reload: the engine of a new window has none yet.
function takeFromPython(set) {
  const now = playedHow();
  if (JSON.stringify({ ...now, ...set }) === JSON.stringify(now)) return;
  const { tempo, swing, feel, muted, soloed, levels, volume, clicks, count_in: countIn } = set;
  engine.setPlayback({ tempo, swing, feel, clicks });
  levels.forEach((level, channel) => engine.setLevel(channel, level));
  engine.setMix(muted, soloed);
  engine.volume = volume;
  engine.countIn = countIn;
}

class Transport {
  #strips = [];
  #taps = [];
  #listening = new AbortController();

  constructor(parent) {
    this.#buildControls();
    this.mixer = new Mixer(engine, ports, {
      changed: () => this.#changed(),
      kit: (choice) => packs.choose(choice, this.data.packs),
      kitOf: (voice) => kits.own(voice),
    });
    this.help = helpDialog();
    const pair = (name, ...two) => element("div", { class: `pair ${name}` }, ...two);
    this.drawer = element(
      "div",
      { class: "drawer" },
      element(
        "div",
        { class: "extra" },
        pair("dials", this.swing.root, this.feel.root),
        this.voices,
        this.kit.root,
        pair("clicks", this.click, this.countIn),
        this.volume.root,
      ),
      this.mixer.root,
    );
    this.root = element("section", { class: "transport", "aria-label": "Transport" });
    const now = element("div", { class: "now" }, this.name, this.place);
    this.root.append(this.play, now, this.tempo, this.drawer, this.opens, this.asks, this.help);
    parent.append(this.root);
    this.#listen();
    this.#follow();
  }

  update(data) {
    this.data = data;
    kits.receive(data);
    this.mixer.update(data);
    reporter.receive(data);
    this.#show();
  }

  destroy() {
    this.#listening.abort();
    cancelAnimationFrame(this.frame);
  }

  get channels() {
    const { lines = [] } = (engine.now ?? engine.last)?.pattern ?? {};
    return [...(this.data?.labels ?? []), ...lines.map(({ name }) => name)];
  }

  #buildControls() {
    this.play = element("button", { class: "play", type: "button" });
    this.name = element("span", { class: "name" });
    this.place = element("span", { class: "place", "aria-hidden": "true" });
    this.bpm = element("input", { class: "bpm", type: "text", inputmode: "decimal" });
    this.bpm.ariaLabel = "Tempo in beats a minute";
    this.bpm.title = "Drag up or down, type, or use the arrow keys";
    this.tap = chip("tap", "Tap the tempo", (event) => this.#tapTempo(event.timeStamp));
    this.own = chip("own", "Play each groove at its own tempo", () => this.#set({ tempo: null }));
    const row = element("div", { class: "tempo-row" }, element("span", {}, "bpm"), this.tap, this.own);
    this.tempo = element("div", { class: "tempo" }, this.bpm, row);
    this.swing = dial("Swing", "Delays every second step", [0, 1, 0], (swing) => this.#set({ swing }));
    const feel = "How much of the drummer's timing and dynamics";
    this.feel = dial("Feel", feel, [0, 2, 1], (value) => this.#set({ feel: value }));
    this.voices = element("div", { class: "voices", role: "group", "aria-label": "Voices" });
    this.kit = picker("Drum kit", (name) => packs.choose([name, null], this.data.packs));
    this.click = chip("click", "Metronome", () => this.#set({ clicks: !engine.playback.clicks }));
    this.countIn = chip("count-in", "A bar of clicks before the start", () => {
      engine.countIn = !engine.countIn;
      this.#changed();
    });
    this.volume = dial("Volume", "How loud everything is", [0, 1, 1], (level) => {
      engine.volume = level;
      this.#changed();
    });
    this.opens = chip("Mixer", "Mute, solo, level and kit of each voice; MIDI", () => this.#open());
    this.opens.classList.add("opens");
    this.asks = chip("?", "Keys and gestures (?)", () => this.help.showModal());
    this.asks.ariaLabel = "Keys and gestures";
    this.asks.classList.add("asks");
  }

  #listen() {
    const { signal } = this.#listening;
    this.play.addEventListener("click", () => engine.toggle());
    for (const kind of ["state", "kit"]) engine.addEventListener(kind, () => this.#show(), { signal });
    engine.addEventListener("mix", () => this.#changed(), { signal });
    ports.addEventListener("change", () => this.#show(), { signal });
    document.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    for (const kind of ["pointerenter", "focus"]) {
      this.kit.select.addEventListener(kind, () => this.#fetchKits());
    }
    this.#listenToTempo();
  }

  #onKey(event) {
    if (event.key === "Escape" && this.root.classList.contains("open")) this.#open(false);
    if (event.key === "?" && !isTyped(event) && !this.help.open) this.help.showModal();
  }

  // Those that are described are likely to be tried.
  #fetchKits() {
    const described = this.data.kits.filter(isDescribed);
    packs.fetchAhead(described.map(([name]) => name), this.data.packs);
  }

  #open(isOpen = !this.root.classList.contains("open")) {
    this.root.classList.toggle("open", isOpen);
    this.opens.ariaExpanded = String(isOpen);
    if (isOpen) this.#fetchKits();
  }

  #set(playback) {
    engine.setPlayback(playback);
    this.#changed();
  }

  #changed() {
    this.#show();
    reporter.soon();
  }

  #show() {
    if (!this.data) return;
    const { now, last } = engine;
    const problem = this.data.problem ?? engine.problem;
    this.play.textContent = now ? "❚❚" : "▶";
    this.play.ariaLabel = now ? "Stop" : "Play";
    this.play.title = problem ?? (now ? "Stop (space)" : "Play (space)");
    this.play.disabled = Boolean(problem) || !(now ?? last);
    this.name.textContent = problem ?? (now ?? last)?.name ?? "";
    this.name.title = this.name.textContent;
    this.name.classList.toggle("problem", Boolean(problem));
    if (this.bpm !== this.root.getRootNode().activeElement) {
      this.bpm.value = String(Math.round(engine.tempo ?? USUAL_BPM));
    }
    this.own.hidden = engine.playback.tempo === null;
    const { swing, feel, clicks } = engine.playback;
    this.swing.show(swing);
    this.feel.show(feel);
    this.volume.show(engine.volume);
    this.click.ariaPressed = String(clicks);
    this.countIn.ariaPressed = String(engine.countIn);
    this.#showKits();
    this.#showStrips();
    this.mixer.show(this.channels);
  }

  #showKits() {
    const all = this.data.kits;
    const kit = kits.of(null) ?? "";
    const described = all.filter(isDescribed);
    const others = all.filter((one) => !isDescribed(one));
    if (described.length) this.kit.show(described, kit, { "All others": others });
    else this.kit.show(others, kit);
    this.kit.select.disabled = !all.length;
  }

  #showStrips() {
    const { channels } = this;
    if (this.#strips.map(({ label }) => label).join() !== channels.join()) this.#buildStrips(channels);
    this.#strips.forEach(({ button, label }, channel) => {
      button.style.setProperty("--level", engine.levels[channel]);
      button.classList.toggle("silent", engine.isMuted(channel));
      button.classList.toggle("solo", engine.soloed.has(channel));
      button.ariaPressed = String(engine.isMuted(channel));
      button.ariaLabel = `Mute ${label}`;
      button.title = `${label}: click to mute, Shift-click to hear it alone, drag for its level`;
    });
  }

  #buildStrips(channels) {
    this.#strips = channels.map((label, channel) => {
      const button = element("button", { type: "button", class: "voice" }, element("span", {}, label));
      button.style.setProperty("--voice", `var(--voice-${channel})`);
      this.#listenToStrip(button, channel);
      return { button, label };
    });
    this.voices.replaceChildren(...this.#strips.map(({ button }) => button));
  }

  #listenToStrip(button, channel) {
    const set = (level) => {
      engine.setLevel(channel, clamp(level, 0, 1));
      this.#changed();
    };
    const drag = dragged(button, () => engine.levels[channel], (level, up) => set(level + up / LEVEL_PIXELS));
    button.addEventListener("click", (event) => {
      if (!drag.wasMoved()) engine.toggleVoice(channel, event.shiftKey || event.altKey);
    });
    button.addEventListener("keydown", (event) => {
      const step = { ArrowUp: 0.05, ArrowDown: -0.05 }[event.key];
      if (!step) return;
      event.preventDefault();
      set(engine.levels[channel] + step);
    });
  }

  #listenToTempo() {
    const { bpm } = this;
    dragged(bpm, () => engine.tempo ?? USUAL_BPM, (tempo, up) => {
      bpm.blur();
      this.#setTempo(tempo + up / PIXELS_A_BPM);
    });
    bpm.addEventListener("focus", () => bpm.select());
    bpm.addEventListener("change", () => this.#setTempo(Number.parseFloat(bpm.value.replace(",", "."))));
    bpm.addEventListener("blur", () => this.#show());
    bpm.addEventListener("keydown", (event) => {
      const step = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
      if (event.key === "Enter") bpm.blur();
      if (!step) return;
      event.preventDefault();
      this.#setTempo(Math.round(engine.tempo ?? USUAL_BPM) + step);
      bpm.value = String(Math.round(engine.tempo));
    });
  }

  // Anything that is not a number leaves the tempo unchanged.
  #setTempo(tempo) {
    if (Number.isFinite(tempo)) this.#set({ tempo: clamp(Math.round(tempo), MIN_BPM, MAX_BPM) });
    else this.#show();
  }

  #tapTempo(time) {
    if (time - this.#taps.at(-1) > FORGET_TAPS_MS) this.#taps = [];
    this.#taps = [...this.#taps.slice(-7), time];
    const beats = this.#taps.length - 1;
    if (beats > 0) this.#setTempo((60_000 * beats) / (time - this.#taps[0]));
  }

  // The playing position, "2.3": bar and beat.
  #follow() {
    const draw = () => {
      const text = engine.isCountingIn ? "count-in" : placeOf(engine.now?.pattern, engine.phase);
      if (this.place.textContent !== text) this.place.textContent = text;
      this.frame = requestAnimationFrame(draw);
    };
    draw();
  }
}

const isDescribed = ([name, text]) => name !== text;

function placeOf(pattern, phase) {
  if (!pattern || phase === null) return "";
  const { steps, stepsPerBeat, stepsPerBar, bar } = pattern;
  const [first, count] = bar ?? [0, steps];
  const step = first + Math.min(Math.floor(phase * count), count - 1);
  return `${Math.floor(step / stepsPerBar) + 1}.${Math.floor((step % stepsPerBar) / stepsPerBeat) + 1}`;
}

// Follows a pointer that drags a control up and down: move(the value at the start, pixels up).
function dragged(control, valueAtStart, move) {
  let held = null;
  control.addEventListener("pointerdown", ({ clientY, pointerId }) => {
    control.setPointerCapture(pointerId);
    held = { y: clientY, value: valueAtStart(), isMoved: false };
  });
  control.addEventListener("pointermove", ({ clientY, buttons }) => {
    if (!held || !buttons || (!held.isMoved && Math.abs(held.y - clientY) < DRAG_PIXELS)) return;
    held.isMoved = true;
    move(held.value, held.y - clientY);
  });
  return {
    // Whether the press that just ended was a drag; resets when read.
    wasMoved() {
      const { isMoved = false } = held ?? {};
      held = null;
      return isMoved;
    },
  };
}

const transports = new Map(); // parent element → Transport

export default function mount({ data, parentElement, setTriggerValue }) {
  const transport = transports.get(parentElement) ?? new Transport(parentElement);
  transports.set(parentElement, transport);
  reporter.send = kits.send = setTriggerValue;
  transport.update(data);
  preloadScripts(data.scripts);
  return () =>
    setTimeout(() => {
      if (transport.root.isConnected) return;
      transport.destroy();
      transports.delete(parentElement);
    });
}
