// Plays one loop at a time through Web Audio; one player serves every deck of the page.
//
// Everything is scheduled a moment ahead and on whole frames, so that a loop which takes over from
// another one goes on at the very sample.

import { crossfade, likeness } from "./fade.js";

const FADE_SECONDS = 0.006; // long enough to hide a click, too short to hear
const STOP_SECONDS = 0.012;
const MARGIN_SECONDS = 0.003; // beyond the block that the browser is computing
const LONGEST_LEAD_SECONDS = 0.015;
const LONGEST_LATE_LEAD_SECONDS = 0.1; // on a machine that was too slow for less
const LEAD_GROWTH = 1.5;
const VOLUME_SECONDS = 0.01;

export class Player {
  analyser = null; // an AnalyserNode after everything that sounds, once something has played
  owner = null; // what the last start was for
  #context = null;
  #volume = null;
  #level = 1;
  #sounding = null; // {source, gain, out, buffer, at, origin}, frames of the context's clock
  #coming = null; // the same, of a loop that takes over later
  #wanted = null; // a switch that waits for the last one to begin
  #lastSwitch = -Infinity; // seconds of the context's clock
  #slowness = 1; // by which the lead is longer than usual

  // Starts a seamless loop of an AudioBuffer at a phase of 0 to 1, fading out any other.
  start(buffer, owner, phase = 0) {
    this.#open(buffer.sampleRate);
    this.#silence();
    const at = this.#soon();
    const position = Math.round(phase * buffer.length);
    this.#sounding = this.#begin(buffer, at, position % buffer.length, at - position);
    if (position) this.#curve(this.#sounding, crossfade(1).rise, at);
    else this.#sounding.gain.gain.value = 1;
    this.owner = owner;
    this.#putRight(at);
  }

  // Lets another loop take over. options.passes says how many passes into the new loop the place
  // lies that is so many into the old one; options.atSeam waits for the end of the pass.
  switchTo(buffer, options = {}) {
    if (!this.#sounding) return;
    if (buffer.sampleRate !== this.#context.sampleRate) {
      this.start(buffer, this.owner, this.phase);
      return;
    }
    const wait = this.#lastSwitch + FADE_SECONDS - this.#context.currentTime;
    if (wait <= 0) {
      this.#switchNow(buffer, options);
      return;
    }
    // Only the last of many switches in quick succession is heard.
    if (!this.#wanted) setTimeout(() => this.#switchWanted(), 1000 * wait);
    this.#wanted = { buffer, options };
  }

  stop() {
    this.#silence();
    this.owner = null;
  }

  // 0 to 1, as loudness is felt: the amplitude is the square.
  set volume(level) {
    this.#level = level;
    this.#volume?.gain.setTargetAtTime(level ** 2, this.#context.currentTime, VOLUME_SECONDS);
  }

  get volume() {
    return this.#level;
  }

  // Passes since the start that have reached the ear, whole and parts; null in silence.
  get passes() {
    const heard = this.#heard;
    return heard && Math.max(0, this.#earFrame - heard.origin) / heard.buffer.length;
  }

  // Seconds since the start at the tempo of now, or null in silence.
  get elapsedSeconds() {
    return this.#heard && this.passes * this.loopSeconds;
  }

  // Length of the loop that sounds, or null in silence.
  get loopSeconds() {
    return this.#heard?.buffer.duration ?? null;
  }

  // Where in the loop the ear is, 0 to 1, or null in silence.
  get phase() {
    return this.#heard && this.passes % 1;
  }

  // Must run inside a click or key press: browsers keep sound locked before one.
  unlock() {
    this.#open().resume();
  }

  get #earFrame() {
    const { currentTime, outputLatency, sampleRate } = this.#context;
    return (currentTime - (outputLatency || 0)) * sampleRate;
  }

  get #heard() {
    return this.#coming && this.#earFrame >= this.#coming.at ? this.#coming : this.#sounding;
  }

  // The context runs at the rate of the data, so that nothing is resampled.
  #open(sampleRate = this.#context?.sampleRate ?? 44100) {
    if (this.#context?.sampleRate !== sampleRate) {
      this.#context?.close();
      this.#sounding = this.#coming = null;
      this.#lastSwitch = -Infinity;
      this.#context = new AudioContext({ sampleRate, latencyHint: "interactive" });
      this.#volume = new GainNode(this.#context, { gain: this.#level ** 2 });
      this.analyser = new AnalyserNode(this.#context);
      this.#volume.connect(this.analyser).connect(this.#context.destination);
    }
    return this.#context;
  }

  // The first frame that the browser is sure not to have computed yet.
  #soon() {
    const { baseLatency, currentTime, sampleRate } = this.#context;
    const usual = Math.min((baseLatency || 0) + MARGIN_SECONDS, LONGEST_LEAD_SECONDS);
    const lead = Math.min(usual * this.#slowness, LONGEST_LATE_LEAD_SECONDS);
    return Math.ceil((currentTime + lead) * sampleRate);
  }

  // What the browser was told too late begins late, out of phase with all that follows: it gives
  // way to itself in its place, with more time from now on.
  #putRight(at) {
    const { currentTime, sampleRate } = this.#context;
    const isSlowest = this.#slowness * MARGIN_SECONDS > LONGEST_LATE_LEAD_SECONDS;
    if (currentTime * sampleRate < at || isSlowest) return;
    this.#slowness *= LEAD_GROWTH;
    this.#switchNow(this.#sounding.buffer, {});
  }

  #begin(buffer, at, position, origin) {
    const source = new AudioBufferSourceNode(this.#context, { buffer, loop: true });
    const gain = new GainNode(this.#context, { gain: 0 }); // of crossfades
    const out = new GainNode(this.#context); // of the end
    source.connect(gain).connect(out).connect(this.#volume);
    source.onended = () => out.disconnect();
    source.start(at / buffer.sampleRate, position / buffer.sampleRate);
    return { source, gain, out, buffer, at, origin };
  }

  #curve({ gain }, values, at) {
    gain.gain.setValueCurveAtTime(values, at / this.#context.sampleRate, FADE_SECONDS);
  }

  #switchWanted() {
    const wanted = this.#wanted;
    this.#wanted = null;
    if (wanted && this.#sounding) this.#switchNow(wanted.buffer, wanted.options);
  }

  #switchNow(buffer, { atSeam = false, passes = (old) => old }) {
    const soon = this.#soon();
    this.#settle(soon);
    const old = this.#sounding;
    const fadeFrames = Math.ceil(FADE_SECONDS * buffer.sampleRate) + 1;
    const length = old.buffer.length;
    let at = Math.max(soon, old.at + fadeFrames);
    if (atSeam) at = Math.round(old.origin + Math.ceil((at - old.origin) / length) * length);
    const place = Math.round(passes((at - old.origin) / length) * buffer.length);
    const position = place % buffer.length;
    this.#coming = this.#begin(buffer, at, position, at - place);
    const oldPosition = Math.round(at - old.origin) % length;
    const alike = likeness(old.buffer, oldPosition, buffer, position, fadeFrames);
    const { rise, fall } = crossfade(alike);
    this.#curve(this.#coming, rise, at);
    this.#curve(old, fall, at);
    old.source.stop((at + 2 * fadeFrames) / buffer.sampleRate);
    this.#lastSwitch = this.#context.currentTime;
    if (atSeam) return;
    this.#settle(Infinity);
    this.#putRight(at);
  }

  // What was to come has come; what still lies ahead of `soon` is called off.
  #settle(soon) {
    const coming = this.#coming;
    if (!coming) return;
    this.#coming = null;
    if (coming.at <= soon) {
      this.#sounding = coming;
      return;
    }
    coming.source.disconnect();
    coming.source.stop();
    const { gain, source } = this.#sounding;
    gain.gain.cancelScheduledValues(coming.at / this.#context.sampleRate);
    source.stop(Number.MAX_SAFE_INTEGER);
  }

  #silence() {
    this.#wanted = null;
    if (!this.#sounding) return;
    this.#settle(this.#soon());
    const { out, source } = this.#sounding;
    const now = this.#context.currentTime;
    out.gain.setValueAtTime(1, now);
    out.gain.linearRampToValueAtTime(0, now + STOP_SECONDS);
    source.stop(now + 2 * STOP_SECONDS);
    this.#sounding = null;
  }
}
