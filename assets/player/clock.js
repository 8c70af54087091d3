// Converts between the clock of an AudioContext and the page's clock, at the loudspeaker: latency included.
//
// The browser reports which moment of the context is being heard. One
// reading may be off by an audio block, so the median of many is used.

const N_READINGS = 41;

export class OutputClock {
  #context;
  #leads = []; // seconds by which the context, as heard, is ahead of the page's clock, newest last

  constructor(context) {
    this.#context = context;
  }

  // Takes a reading; call it often. While the context is paused, only the newest counts.
  read() {
    const { contextTime, performanceTime } = this.#context.getOutputTimestamp?.() ?? {};
    const { currentTime, outputLatency, state } = this.#context;
    const lead = performanceTime
      ? contextTime - performanceTime / 1000
      : currentTime - (outputLatency || 0) - performance.now() / 1000;
    const isRunning = state === "running" && performanceTime;
    this.#leads = isRunning ? [...this.#leads, lead].slice(-N_READINGS) : [];
    this.#now = lead;
  }

  // The time of the context, in seconds, that is heard at a time of the page's clock, in ms.
  contextTimeAt(timeMs) {
    return timeMs / 1000 + this.#lead;
  }

  // The time of the page's clock, in ms, at which a time of the context, in seconds, is heard.
  pageTimeOf(seconds) {
    return 1000 * (seconds - this.#lead);
  }

  #now = null; // the newest reading

  get #lead() {
    if (this.#leads.length === 0) this.read();
    if (this.#leads.length === 0) return this.#now;
    const sorted = [...this.#leads].sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length / 2)];
  }
}
