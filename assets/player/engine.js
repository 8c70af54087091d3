// The only player of the app, with the only clock. It belongs to the window: decks and pages come and
// go, and playback continues. Everything is scheduled slightly ahead on the audio clock; a change
// cancels whatever was scheduled but has not started, so that it is heard at once and in time.
//
// Events of the engine, for those who show something of it: "state" (what plays, how), "mix" (which
// channels are heard), "kit" (other sounds have come), "pad" (a pad was struck on a MIDI port, its
// detail {voice, velocity, time: ms of the page's clock}), "stems" (the stems of what plays are to be
// saved; the deck whose card it is prevents the default), "settled" (Python knows the settings).

import { OutputClock } from "./clock.js";
import { Sounds } from "./kit.js";
import { N_CHANNELS, eventsBetween, levelOf, passOf } from "./pattern.js";
import { ticker } from "./ticker.js";
import { Timeline } from "./timeline.js";
import { Voices } from "./voices.js";

const SAMPLE_RATE = 44_100; // that of the packs, so that nothing is resampled
const LOOK_AHEAD_SECONDS = 0.4; // as long as a busy page may stall; a change cancels what is scheduled
const LEAD_SECONDS = 0.012; // beyond the block that the browser is computing
const MIDI_AHEAD_SECONDS = 0.03; // how long before it sounds an event is sent to its port
const RING_SECONDS = 6; // longer than the longest note
const MAX_UNDERRUNS = 5; // of the sound card's shortest blocks

export class Engine extends EventTarget {
  now = null; // {key, name, pattern} of what plays
  last = null; // the same, of what the space bar plays: the last that played, or what is cued
  playback = { tempo: null, swing: 0, feel: 1, clicks: false };
  muted = new Set();
  soloed = new Set();
  levels = Array(N_CHANNELS).fill(1);
  countIn = false;
  problem = null; // why there is no sound, found in the browser
  /** @type {any} */
  settings = null; // what reports to Python how everything is played: {isUnconfirmed, now()}, see transport.js
  sounds = new Sounds();
  ahead = new Map(); // key of a deck → the NotesAhead of cards that may come onto it
  #hasPlayed = false;
  #phase = 0; // where playback will start once its sounds arrive
  #volume = 1;
  #context = null;
  /** @type {AudioContextLatencyCategory | number} */
  #latency = 0; // the shortest that the sound card can do, or what the browser thinks is safe
  #clock = null;
  #voices = null;
  #timeline = new Timeline((pattern, isCountIn) => this.#passOf(pattern, isCountIn));
  #scheduledTo = 0; // the frame up to which everything is scheduled
  #midi = null; // a MidiOut
  #ticker = ticker(() => this.#schedule());

  // Sets what the space bar plays before anything has played.
  cue(pattern, { key, name = "" }) {
    if (this.#hasPlayed) return;
    this.last = { key, name, pattern };
    this.#changed();
  }

  // Plays a pattern as a loop from a phase of 0 to 1; `key` identifies its owner. It starts when its
  // sounds have loaded.
  play(pattern, { key, name = "", phase = 0 }) {
    this.#halt();
    this.#relaxLatency();
    this.unlock();
    this.#hasPlayed = true;
    this.now = this.last = { key, name, pattern };
    this.#phase = phase;
    this.#beginIfReady();
    this.#changed();
  }

  // Lets another pattern take over. options.passes says how many passes into the new one the place
  // lies that is so many into the old; options.onBeat waits for the next beat; options.now: {key,
  // name} of what takes over. In silence it is what the space bar will play.
  /** @param {any} pattern @param {any} [options] */
  replace(pattern, { passes, onBeat = false, now = {} } = {}) {
    if (!this.now) {
      this.last = { ...this.last, ...now, pattern };
      this.#changed();
      return;
    }
    this.now = this.last = { ...this.now, ...now, pattern };
    if (!this.#timeline.isEmpty) {
      const soon = this.#soon();
      this.#timeline.replace(pattern, soon, { passes, onBeat });
      this.#rescheduleFrom(soon);
      this.#voices.releaseAt(this.#timeline.segmentAt(Infinity).at); // the old lines
    }
    this.#beginIfReady();
    this.#changed();
  }

  // Play and stop, as the space bar and the transport's button do.
  toggle() {
    if (this.now) this.stop();
    else if (this.last) this.play(this.last.pattern, this.last);
  }

  stop() {
    if (!this.now) return;
    this.#halt();
    this.#ticker.stop();
    this.now = null;
    this.#changed();
  }

  // Changes playback settings: any of {tempo, swing, feel, clicks}.
  setPlayback(playback) {
    this.playback = { ...this.playback, ...playback };
    this.#replay();
  }

  // Which channels sound: sets of them.
  setMix(muted, soloed) {
    [this.muted, this.soloed] = [new Set(muted), new Set(soloed)];
    this.#applyStrips();
    this.#replay();
    this.dispatchEvent(new Event("mix"));
  }

  // Mutes or unmutes a channel; with `alone`, solos or unsolos it.
  toggleVoice(voice, alone = false) {
    const [muted, soloed] = [new Set(this.muted), new Set(this.soloed)];
    const [of, other] = alone ? [soloed, muted] : [muted, soloed];
    if (!of.delete(voice)) {
      of.add(voice);
      other.delete(voice);
    }
    this.setMix(muted, soloed);
  }

  // 0 to 1, as loudness is felt. A channel at 0 is not played, as in the server's renderer.
  setLevel(voice, level) {
    const wasAudible = this.isAudible(voice);
    this.levels[voice] = level;
    this.#applyStrips();
    if (this.isAudible(voice) === wasAudible) this.#changed();
    else this.setMix(this.muted, this.soloed);
  }

  // The silent channels.
  get silent() {
    return new Set(this.levels.map((_, voice) => voice).filter((voice) => !this.isAudible(voice)));
  }

  isAudible(voice) {
    return !this.isMuted(voice) && this.levels[voice] > 0;
  }

  isMuted(voice) {
    return this.soloed.size ? !this.soloed.has(voice) : this.muted.has(voice);
  }

  // 0 to 1, as loudness is felt: the amplitude is the square.
  set volume(level) {
    this.#volume = level;
    this.#voices?.setVolume(level ** 2);
    this.#changed();
  }

  get volume() {
    return this.#volume;
  }

  // The kit of some of the voices.
  setKit(kit, voices) {
    for (const voice of voices) this.sounds.kits[voice] = kit;
    this.#onSoundsLoaded();
  }

  kitOf(voice) {
    return this.sounds.kits[voice];
  }

  setInstrument(program, instrument) {
    this.sounds.instruments.set(program, instrument);
    this.#onSoundsLoaded();
  }

  get hasKit() {
    return this.sounds.canPlay({});
  }

  // Sends everything from now on to a MIDI port, starting with the song position.
  set midi(port) {
    this.#midi?.stop();
    this.#midi = port;
    this.#replay();
  }

  get midi() {
    return this.#midi;
  }

  // Plays one voice now, as a pad does; time: the ms of the page's clock when it was struck.
  strike(voice, velocity, time) {
    this.unlock();
    const event = { frame: this.#soon(), voice, level: levelOf(velocity) };
    if (this.isAudible(voice)) this.#voices.strike(this.sounds.of(event), event);
    this.dispatchEvent(new CustomEvent("pad", { detail: { voice, velocity, time } }));
  }

  // Requests that the stems of what plays be saved; returns whether its page is open.
  saveStems() {
    return !this.dispatchEvent(new Event("stems", { cancelable: true }));
  }

  // Schedules what plays so far ahead that the page may stall meanwhile.
  scheduleAhead(seconds) {
    this.#schedule(seconds);
  }

  // Reports why there is no sound.
  fail(text) {
    this.problem = text;
    this.#changed();
  }

  // Must run inside a click or key press: browsers block sound before one.
  unlock() {
    this.#open().resume();
  }

  get context() {
    return this.#context;
  }

  // An AnalyserNode after everything that sounds, once something has played.
  get analyser() {
    return this.#voices?.analyser ?? null;
  }

  // Passes heard since the start, with fraction; null when stopped.
  get passes() {
    return this.#audible && Math.max(0, this.#timeline.passesAt(this.#audibleFrame));
  }

  get phase() {
    return this.#audible && this.passes % 1;
  }

  // Seconds of a pass at the current tempo; null when stopped.
  get loopSeconds() {
    return this.#audible && this.#audible.pass.frames / SAMPLE_RATE;
  }

  // Whether a count-in is playing.
  get isCountingIn() {
    return Boolean(this.#audible && this.#timeline.segmentAt(this.#audibleFrame).isCountIn);
  }

  // The tempo of what plays, or of what the space bar will play.
  get tempo() {
    return this.playback.tempo ?? (this.now ?? this.last)?.pattern.tempo ?? null;
  }

  // The milliseconds of performance.now() at which a frame is heard.
  timeOfFrame(frame) {
    return this.#clock.pageTimeOf(frame / SAMPLE_RATE);
  }

  // One pass of a loop as played now, including the tails of the pass before: an AudioBuffer, rendered
  // faster than real time.
  renderPass(pattern, playback = {}) {
    const all = { ...this.playback, isAudible: (voice) => this.isAudible(voice), ...playback };
    const gains = this.levels.map((level) => level ** 2);
    return renderPass(passOf(pattern, all, SAMPLE_RATE), this.sounds, gains);
  }

  #open() {
    if (this.#context) return this.#context;
    this.#context = new AudioContext({ sampleRate: SAMPLE_RATE, latencyHint: this.#latency });
    this.#clock = new OutputClock(this.#context);
    this.#voices = new Voices(this.#context, this.sounds.kits[0]?.mastering);
    this.#voices.setVolume(this.#volume ** 2);
    this.#applyStrips();
    return this.#context;
  }

  // On a machine that is too slow for the shortest blocks, so that gaps were heard, the next start is
  // with longer ones.
  #relaxLatency() {
    const { playbackStats } = /** @type {any} */ (this.#context ?? {});
    if (this.#latency !== 0 || !(playbackStats?.underrunEvents > MAX_UNDERRUNS)) return;
    this.#context.close();
    this.#context = null;
    this.#latency = "interactive";
  }

  #passOf(pattern, isCountIn) {
    const playback = { ...this.playback, isAudible: (voice) => this.isAudible(voice) };
    return passOf(pattern, isCountIn ? { ...playback, clicks: true } : playback, SAMPLE_RATE);
  }

  // The first frame that the browser cannot have rendered yet.
  #soon() {
    const { baseLatency, currentTime } = this.#context;
    return Math.ceil((currentTime + (baseLatency || 0) + LEAD_SECONDS) * SAMPLE_RATE);
  }

  get #audibleFrame() {
    const { currentTime, outputLatency } = this.#context;
    return (currentTime - (outputLatency || 0)) * SAMPLE_RATE;
  }

  get #audible() {
    return this.#timeline.isEmpty ? null : this.#timeline.audibleAt(this.#audibleFrame);
  }

  #beginIfReady() {
    if (!this.now || !this.#timeline.isEmpty || !this.sounds.canPlay(this.now.pattern)) return;
    const at = this.#soon();
    this.#timeline.start(this.now.pattern, at, { phase: this.#phase, countIn: this.countIn });
    this.#scheduledTo = at;
    this.#ticker.start();
    this.#schedule();
  }

  // Stops everything that sounds or is scheduled.
  #halt() {
    this.#voices?.silence();
    this.#midi?.stop();
    this.#timeline.clear();
  }

  #onSoundsLoaded() {
    this.#beginIfReady();
    this.#replay();
    this.dispatchEvent(new Event("kit"));
  }

  // From now on as `playback`, the mix and the sounds have it, without another place in time.
  #replay() {
    if (!this.#timeline.isEmpty) {
      const soon = this.#soon();
      this.#timeline.remake(soon);
      this.#rescheduleFrom(soon);
    }
    this.#changed();
  }

  #rescheduleFrom(from) {
    this.#voices.cancelFrom(from);
    this.#midi?.cancelFrom(from);
    this.#scheduledTo = Math.min(this.#scheduledTo, from);
    this.#schedule();
  }

  #schedule(aheadSeconds = LOOK_AHEAD_SECONDS) {
    if (this.#timeline.isEmpty) return;
    this.#clock.read();
    const now = Math.floor(this.#context.currentTime * SAMPLE_RATE);
    const to = now + Math.ceil(aheadSeconds * SAMPLE_RATE);
    const from = Math.max(this.#scheduledTo, now); // after a stall, playback skips ahead to stay in time
    for (const event of this.#timeline.eventsBetween(from, to)) this.#strike(event);
    this.#sendMidi(from, to, now + Math.ceil(MIDI_AHEAD_SECONDS * SAMPLE_RATE));
    this.#scheduledTo = Math.max(to, this.#scheduledTo);
    this.#timeline.forgetBefore(now - SAMPLE_RATE);
  }

  #strike(event) {
    this.#voices.strike(this.sounds.of(event), event);
    if (event.voice >= 0) this.#midi?.strike(event);
  }

  #sendMidi(from, to, due) {
    if (!this.#midi) return;
    for (const tick of this.#timeline.ticksBetween(from, to)) this.#midi.tick(tick);
    this.#midi.sendTo(due, (frame) => this.timeOfFrame(frame));
  }

  #applyStrips() {
    this.levels.forEach((level, voice) => {
      this.#voices?.setLevel(voice, this.isAudible(voice) ? level ** 2 : 0);
    });
  }

  #changed() {
    this.dispatchEvent(new Event("state"));
  }
}

async function renderPass(pass, sounds, gains) {
  const ring = Math.ceil((RING_SECONDS * SAMPLE_RATE) / pass.frames);
  const length = (ring + 1) * pass.frames;
  const context = new OfflineAudioContext({ numberOfChannels: 2, length, sampleRate: SAMPLE_RATE });
  const voices = new Voices(context, sounds.kits[0]?.mastering);
  gains.forEach((gain, channel) => (voices.strips[channel].gain.value = gain));
  for (const event of eventsBetween(pass, 0, 0, length)) voices.strike(sounds.of(event), event);
  const whole = await context.startRendering();
  const last = new AudioBuffer({ numberOfChannels: 2, length: pass.frames, sampleRate: SAMPLE_RATE });
  for (let channel = 0; channel < 2; channel += 1) {
    last.copyToChannel(whole.getChannelData(channel).subarray(ring * pass.frames), channel);
  }
  return last;
}

// The engine of this window, made at its first use.
const KEY = Symbol.for("groove-space.engine");
export const engine = (globalThis[KEY] ??= new Engine());
