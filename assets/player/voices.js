// Plays notes in a Web Audio context, live or offline: one strip per channel, then the mix.

import { clickSound } from "./kit.js";
import { ACCENT, CLICK, N_CHANNELS, isHat } from "./pattern.js";

const HEADROOM = 8; // how far beyond full scale the mix may go before it is bent back
const CURVE_POINTS = 2 ** 16 + 1;
const CHOKE_GAIN = 10 ** (-96 / 20); // FluidSynth's: 96 dB down, evenly,
const CHOKE_SECONDS = 2 ** (-200 / 1200); // in so long
const SILENCE_DB = 80;
const STRIP_SECONDS = 0.004; // short enough to seem instant, long enough not to click
const STOP_SECONDS = 0.012;
const CLICK_GAIN = 0.35;
const CLICK_HERTZ = { [ACCENT]: 1760, [CLICK]: 1320 };
const USUAL_MASTERING = { knee: 0.5, ceiling: 0.99 };

export class Voices {
  #sounding = []; // notes that have been started, {voice, frame, end, source, gain, …}
  #clicks = new Map();

  constructor(context, mastering = USUAL_MASTERING) {
    this.context = context;
    this.output = new GainNode(context);
    const shaper = new WaveShaperNode(context, { curve: softCurve(mastering) });
    this.mix = new GainNode(context, { gain: 1 / HEADROOM });
    this.mix.connect(shaper).connect(this.output);
    this.strips = Array.from({ length: N_CHANNELS }, () => new GainNode(context));
    for (const strip of this.strips) strip.connect(this.mix);
    this.clicks = new GainNode(context, { gain: CLICK_GAIN });
    this.clicks.connect(this.output);
    this.analyser = new AnalyserNode(context);
    this.output.connect(this.analyser).connect(context.destination);
  }

  // Plays an event with a sound of `Sounds`.
  strike(sound, { frame, voice, gain = 1, length = Infinity }) {
    if (voice < 0) return this.#click(frame, voice);
    if (isHat(voice)) this.#chokeHats(frame);
    if (!sound) return null;
    const level = sound.gain * gain;
    return this.#start({ ...sound, gain: level }, frame, voice, this.strips[voice], frame + length);
  }

  // Cancels notes that start at a frame or later.
  cancelFrom(frame) {
    const called = this.#sounding.filter((note) => note.frame >= frame);
    for (const note of called) {
      note.source.onended = null;
      note.source.stop();
      note.gain.disconnect();
    }
    this.#sounding = this.#sounding.filter((note) => note.frame < frame);
    for (const note of this.#sounding) if (note.chokedAt >= frame) this.#unchoke(note);
  }

  // Ends the notes of lines that began before a frame and would sound beyond it.
  releaseAt(frame) {
    for (const note of this.#sounding) {
      if (note.frame < frame && note.end > frame && note.end < Infinity) this.#release(note, frame);
    }
  }

  // Ends all sounding notes.
  silence() {
    const now = this.context.currentTime;
    this.cancelFrom(now * this.context.sampleRate);
    for (const note of this.#sounding) {
      const { source, gain } = note;
      gain.gain.cancelScheduledValues(0);
      gain.gain.setValueAtTime(gainAt(note, now), now); // in a ramp it would jump back otherwise
      gain.gain.setTargetAtTime(0, now, STOP_SECONDS / 4);
      source.stop(now + 2 * STOP_SECONDS);
    }
    this.#sounding = [];
  }

  setLevel(voice, level) {
    const { currentTime } = this.context;
    this.strips[voice].gain.setTargetAtTime(level, currentTime, STRIP_SECONDS);
  }

  setVolume(level) {
    this.output.gain.setTargetAtTime(level, this.context.currentTime, STRIP_SECONDS);
  }

  #click(frame, voice) {
    const { sampleRate } = this.context;
    if (!this.#clicks.has(voice)) this.#clicks.set(voice, clickSound(sampleRate, CLICK_HERTZ[voice]));
    const sound = { buffer: this.#clicks.get(voice), gain: 1 };
    return this.#start(sound, frame, voice, this.clicks, Infinity);
  }

  #start({ buffer, gain: level, rate = 1, loop = null, fall = undefined }, frame, voice, into, end) {
    const { context } = this;
    const source = new AudioBufferSourceNode(context, { buffer, playbackRate: rate });
    if (loop) Object.assign(source, { loop: true, loopStart: loop[0], loopEnd: loop[1] });
    const gain = new GainNode(context, { gain: level });
    source.connect(gain).connect(into);
    source.start(frame / context.sampleRate);
    const note = { voice, frame, end: Infinity, source, gain, level, fall, chokedAt: Infinity, ramp: null };
    source.onended = () => {
      gain.disconnect();
      this.#sounding = this.#sounding.filter((other) => other !== note);
    };
    this.#sounding.push(note);
    if (end < Infinity) this.#release(note, end);
    return note;
  }

  // Fades a note of a line from a frame on, by its instrument's decibels per second.
  #release(note, frame) {
    const at = frame / this.context.sampleRate;
    const seconds = SILENCE_DB / note.fall;
    note.end = frame;
    note.gain.gain.cancelScheduledValues(0);
    fade(note, { at, seconds, to: 10 ** (-SILENCE_DB / 20) });
  }

  // Closed and open hi-hat are one instrument: each hit chokes the ones before it.
  #chokeHats(frame) {
    for (const note of this.#sounding) {
      if (!isHat(note.voice) || note.frame >= frame || note.chokedAt <= frame) continue;
      if (note.chokedAt < Infinity) note.gain.gain.cancelScheduledValues(0);
      const at = frame / this.context.sampleRate;
      note.chokedAt = frame;
      fade(note, { at, seconds: CHOKE_SECONDS, to: CHOKE_GAIN });
    }
  }

  #unchoke(note) {
    note.chokedAt = Infinity;
    note.ramp = null;
    note.gain.gain.cancelScheduledValues(0);
    note.gain.gain.value = note.level;
    note.source.stop(note.frame / this.context.sampleRate + note.source.buffer.duration); // its own end
  }
}

// Ends a note by a ramp that is even in decibels: {at, seconds, to: the share of its level left}.
function fade(note, ramp) {
  note.ramp = ramp;
  const { at, seconds, to } = ramp;
  note.gain.gain.setValueAtTime(note.level, at);
  note.gain.gain.exponentialRampToValueAtTime(note.level * to, at + seconds);
  note.source.stop(at + seconds);
}

// The gain of a note at a time in seconds. Firefox does not say: in a ramp, the `value` of an
// AudioParam is the one from before.
export function gainAt({ level, ramp }, now) {
  if (!ramp || now <= ramp.at) return level;
  return level * ramp.to ** Math.min(1, (now - ramp.at) / ramp.seconds);
}

// Linear up to the knee, and bent towards the ceiling above it, like the server's renderer.
function softCurve({ knee, ceiling }) {
  const curve = new Float32Array(CURVE_POINTS);
  for (let point = 0; point < CURVE_POINTS; point += 1) {
    const x = HEADROOM * ((2 * point) / (CURVE_POINTS - 1) - 1);
    const loud = Math.abs(x);
    const room = ceiling - knee;
    const bent = loud <= knee ? loud : knee + room * Math.tanh((loud - knee) / room);
    curve[point] = Math.sign(x) * bent;
  }
  return curve;
}
