// Converts between the clock of an AudioContext and the page's clock, for what is heard when.
//
// The browser reports which moment of the context is heard now, including output latency. One
// reading may be off by an audio block, so the median of many is used.

const MANY = 41;

export class HeardClock {
  #context;
  #leads = []; // seconds by which the heard context is ahead of the page's clock, newest last

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
    this.#leads = isRunning ? [...this.#leads, lead].slice(-MANY) : [];
    this.#now = lead;
  }

  // Seconds of the context that were heard at a time of the page's clock, in ms.
  heardAt(timeMs) {
    return timeMs / 1000 + this.#lead;
  }

  // The time of the page's clock, in ms, at which seconds of the context are heard.
  timeOf(seconds) {
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
