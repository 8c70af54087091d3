// Web MIDI: sends notes and clock to a port, in time, and receives pads from other ports.
//
// Events are sent only shortly before they sound, since most ports cannot cancel what was sent: a
// change of the tempo or the pattern cancels everything still waiting.

import { N_VOICES } from "./pattern.js";

const DRUM_CHANNEL = 9; // the tenth, counted from 0; lines use channels from the first on
const PITCHES = [36, 38, 42, 46, 43, 47, 50, 49, 51]; // General MIDI, of the nine voices
const DRUM_FRAMES = 2646; // 60 ms
const [NOTE_OFF, NOTE_ON] = [0x80, 0x90];
const [POSITION, CLOCK, START, CONTINUE, STOP] = [0xf2, 0xf8, 0xfa, 0xfb, 0xfc];
const TICKS_A_POSITION = 6; // a song position counts sixteenths

// Plays the engine's events to a port.
export class MidiOut {
  #held = []; // {frame, onset: the frame by which it is called off, bytes or tick}
  #sentTo = -Infinity; // the frame up to which everything was sent
  #sounding = new Map(); // channel and pitch → the bytes that end the note
  #isRunning = false; // whether the port was told to start

  constructor(port) {
    this.port = port;
    this.id = port.id;
  }

  strike({ frame, voice, level, pitch = PITCHES[voice], length = DRUM_FRAMES }) {
    const channel = voice < N_VOICES ? DRUM_CHANNEL : voice - N_VOICES;
    this.#hold({ frame, onset: frame, bytes: [NOTE_ON | channel, pitch, level] });
    this.#hold({ frame: frame + length, onset: frame, bytes: [NOTE_OFF | channel, pitch, 0] });
  }

  // tick: its number within the pass, or null where the start is still to come.
  tick({ frame, tick }) {
    this.#hold({ frame, onset: frame, tick });
  }

  // Cancels events that start at a frame or later.
  cancelFrom(frame) {
    this.#held = this.#held.filter(({ onset }) => onset < frame);
  }

  // Sends what comes before a frame; timeOf(frame): the ms of the page's clock when it is heard.
  sendTo(frame, timeOf) {
    const due = this.#held.filter((event) => event.frame < frame);
    if (due.length) this.#held = this.#held.filter((event) => event.frame >= frame);
    this.#sentTo = Math.max(this.#sentTo, frame);
    due.sort((a, b) => a.frame - b.frame);
    for (const event of due) {
      const at = timeOf(event.frame);
      if (event.bytes) this.#sendNote(event.bytes, at);
      else this.#sendTick(event.tick, at);
    }
  }

  // Ends all sounding notes.
  stop() {
    this.#held = [];
    this.#sentTo = -Infinity;
    for (const bytes of this.#sounding.values()) this.port.send(bytes);
    this.#sounding.clear();
    if (this.#isRunning) this.port.send([STOP]);
    this.#isRunning = false;
  }

  #hold(event) {
    if (event.onset >= this.#sentTo) this.#held.push(event);
  }

  #sendNote([status, pitch, level], at) {
    const key = `${status & 0x0f} ${pitch}`;
    const off = [NOTE_OFF | (status & 0x0f), pitch, 0];
    if ((status & 0xf0) === NOTE_ON) this.#sounding.set(key, off);
    else this.#sounding.delete(key);
    this.port.send([status, pitch, level], at);
  }

  // The first tick on a sixteenth starts the port, from the current position.
  #sendTick(tick, at) {
    if (!this.#isRunning && tick !== null && tick % TICKS_A_POSITION === 0) {
      this.#isRunning = true;
      if (tick === 0) this.port.send([START], at);
      else {
        const place = tick / TICKS_A_POSITION;
        this.port.send([POSITION, place & 0x7f, place >> 7], at);
        this.port.send([CONTINUE], at);
      }
    }
    this.port.send([CLOCK], at);
  }
}

// The machine's MIDI ports, and the chosen ones. Event: "change".
export class MidiPorts extends EventTarget {
  input = null;
  #access = null;

  constructor(engine) {
    super();
    this.engine = engine;
    this.problem = navigator.requestMIDIAccess
      ? null
      : "This browser has no Web MIDI: Chrome, Edge and Firefox have it.";
  }

  // Asks the user for permission the first time.
  async open() {
    if (this.#access || this.problem) return;
    try {
      this.#access = await navigator.requestMIDIAccess({ sysex: false });
      this.#access.onstatechange = () => this.#dropGone();
    } catch {
      this.problem = "The browser does not let this page use MIDI.";
    }
    this.dispatchEvent(new Event("change"));
  }

  get inputs() {
    return [...(this.#access?.inputs.values() ?? [])];
  }

  get outputs() {
    return [...(this.#access?.outputs.values() ?? [])];
  }

  // An id, or "" for none.
  chooseOutput(id) {
    const port = this.outputs.find((output) => output.id === id);
    this.engine.midi = port ? new MidiOut(port) : null;
  }

  // Plays pads received on a port; voices: a Map from pitch to voice.
  chooseInput(id, voices) {
    if (this.input) this.input.onmidimessage = null;
    this.input = this.inputs.find((input) => input.id === id) ?? null;
    if (!this.input) return;
    this.input.onmidimessage = ({ data: [status, pitch, level], timeStamp }) => {
      const isStruck = (status & 0xf0) === NOTE_ON && level > 0;
      if (isStruck && voices.has(pitch)) this.engine.strike(voices.get(pitch), level / 127, timeStamp);
    };
  }

  #dropGone() {
    const ids = new Set([...this.inputs, ...this.outputs].map(({ id }) => id));
    if (this.engine.midi && !ids.has(this.engine.midi.id)) this.engine.midi = null;
    if (this.input && !ids.has(this.input.id)) this.input = null;
    this.dispatchEvent(new Event("change"));
  }
}
