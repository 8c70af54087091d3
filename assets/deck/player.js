// Plays one loop at a time through Web Audio; one player serves every deck of the page.

const FADE_SECONDS = 0.006; // long enough to hide a click, too short to hear

export class Player {
  analyser = null; // an AnalyserNode after everything that sounds, once something has played
  owner = null; // what the last start was for
  #context = null;
  #voice = null; // {source, gain, startedAt, seconds}

  // Starts a seamless loop of an AudioBuffer at a phase of 0 to 1, fading out any other.
  start(buffer, owner, phase = 0) {
    const context = this.#open(buffer.sampleRate);
    this.#fadeOut();
    const source = new AudioBufferSourceNode(context, {
      buffer,
      loop: true,
      loopStart: 0,
      loopEnd: buffer.duration,
    });
    const gain = new GainNode(context);
    source.connect(gain).connect(this.analyser);
    const offset = phase * buffer.duration;
    const now = context.currentTime;
    source.start(now, offset);
    this.#voice = { source, gain, startedAt: now - offset, seconds: buffer.duration };
    this.owner = owner;
  }

  stop() {
    this.#fadeOut();
    this.owner = null;
  }

  // Seconds since the loop's first start that have reached the ear, or null in silence.
  get elapsedSeconds() {
    if (!this.#voice) return null;
    const heard = this.#context.currentTime - (this.#context.outputLatency || 0);
    return Math.max(0, heard - this.#voice.startedAt);
  }

  // Length of the loop that sounds, or null in silence.
  get loopSeconds() {
    return this.#voice?.seconds ?? null;
  }

  // Where in the loop the ear is, 0 to 1, or null in silence.
  get phase() {
    if (!this.#voice) return null;
    return (this.elapsedSeconds / this.#voice.seconds) % 1;
  }

  // Must run inside a click or key press: browsers keep sound locked before one.
  unlock() {
    this.#open().resume();
  }

  // The context runs at the rate of the data, so that nothing is resampled.
  #open(sampleRate = 44100) {
    if (this.#context?.sampleRate !== sampleRate) {
      this.#context?.close();
      this.#voice = null;
      this.#context = new AudioContext({ sampleRate, latencyHint: "interactive" });
      this.analyser = new AnalyserNode(this.#context);
      this.analyser.connect(this.#context.destination);
    }
    return this.#context;
  }

  #fadeOut() {
    if (!this.#voice) return;
    const { source, gain } = this.#voice;
    const now = this.#context.currentTime;
    gain.gain.setValueAtTime(1, now);
    gain.gain.linearRampToValueAtTime(0, now + FADE_SECONDS);
    source.stop(now + 2 * FADE_SECONDS);
    source.onended = () => gain.disconnect();
    this.#voice = null;
  }
}
