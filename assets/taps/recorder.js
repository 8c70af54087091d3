// One recording: a bar of count-in, then taps timed against the beat as heard.

import { OutputClock } from "../player/clock.js";
import { Metronome } from "./metronome.js";

const READ_EVERY_MS = 20;

export class Recorder {
  taps = []; // [steps from the first beat, velocity]
  #clock;
  #metronome;
  #first; // when the first beat after the count-in sounds, seconds of the context
  #reading;

  // beat: called with each beat as it is heard, negative in the count-in; end: when all is over.
  constructor(context, { tempo, bars, late, grid }, { beat, end }) {
    this.bars = bars;
    this.grid = grid;
    this.late = late; // ms by which taps arrive late, apart from output latency
    this.secondsPerBeat = 60 / tempo;
    this.#clock = new OutputClock(context);
    this.#metronome = new Metronome(context);
    const beatsPerBar = grid.steps_per_bar / grid.steps_per_beat;
    const start = this.#metronome.start(1 + bars, beatsPerBar, this.secondsPerBeat);
    this.#first = start + beatsPerBar * this.secondsPerBeat;
    this.#reading = setInterval(() => this.#follow(beat, end), READ_EVERY_MS);
  }

  get steps() {
    return this.bars * this.grid.steps_per_bar;
  }

  // When the first beat after the count-in is heard, in ms of the page's clock.
  get firstBeatTime() {
    return this.#clock.pageTimeOf(this.#first);
  }

  // Steps from the first beat to what was heard at a time of the page's clock, in ms.
  stepAt(timeMs) {
    const seconds = this.#clock.contextTimeAt(timeMs - this.late) - this.#first;
    return (seconds / this.secondsPerBeat) * this.grid.steps_per_beat;
  }

  // Records a tap, and returns its position; null during the count-in, except its last half step.
  tap(timeMs, velocity) {
    const step = this.stepAt(timeMs);
    if (step < -0.5 || step >= this.steps) return null;
    this.taps.push([step, velocity]);
    return step;
  }

  stop() {
    clearInterval(this.#reading);
    this.#metronome.stop();
  }

  #follow(beat, end) {
    this.#clock.read();
    const step = this.stepAt(performance.now());
    if (step < this.steps) {
      beat(Math.floor(step / this.grid.steps_per_beat));
      return;
    }
    this.stop();
    end();
  }
}
