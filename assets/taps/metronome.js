// Clicks on the beats, the first of each bar higher.

const CLICK_SECONDS = 0.03;
const LEAD_SECONDS = 0.12; // so that the first click is not late

export class Metronome {
  #context;
  #out;

  constructor(context) {
    this.#context = context;
  }

  // Starts so many bars and returns the context's time of the first beat.
  start(bars, beatsPerBar, secondsPerBeat) {
    const start = this.#context.currentTime + LEAD_SECONDS;
    this.#out = new GainNode(this.#context, { gain: 0.4 });
    this.#out.connect(this.#context.destination);
    for (let beat = 0; beat < bars * beatsPerBar; beat += 1) {
      this.#click(start + beat * secondsPerBeat, beat % beatsPerBar === 0);
    }
    return start;
  }

  stop() {
    this.#out?.disconnect();
  }

  #click(at, isFirst) {
    const tone = new OscillatorNode(this.#context, { frequency: isFirst ? 1760 : 1175 });
    const gain = new GainNode(this.#context, { gain: 0 });
    tone.connect(gain).connect(this.#out);
    gain.gain.setValueAtTime(1, at);
    gain.gain.exponentialRampToValueAtTime(0.001, at + CLICK_SECONDS);
    tone.start(at);
    tone.stop(at + CLICK_SECONDS);
  }
}
