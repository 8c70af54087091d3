// The choice of kits, told to Python until it knows: Streamlit loses an event if the next one comes
// before the run for it has begun.

import { RESEND_MS } from "../deck/revision.js";

export class KitChoice {
  send = null; // tells Python
  #open = new Map(); // voice, or null for all → the name that Python has not confirmed
  #again; // a Later

  constructor(again) {
    this.#again = again;
  }

  get isUnconfirmed() {
    return this.#open.size > 0;
  }

  // name: null for a voice that returns to the common kit.
  choose([name, voice]) {
    this.#open.set(voice, name);
    this.#tell([name, voice], RESEND_MS);
  }

  // Takes the kits that Python knows; returns the common one as chosen here.
  hear({ kit, voice_kits: voiceKits }) {
    const known = new Map([[null, kit], ...voiceKits]);
    for (const [voice, name] of this.#open) {
      if ((known.get(voice) ?? null) === name) this.#open.delete(voice);
    }
    if (!this.#open.size) this.#again.cancel();
    return this.#open.get(null) ?? kit;
  }

  /** @param {any} one @param {number[]} delays */
  #tell(one, delays) {
    const [delay, ...later] = delays;
    this.send("kit", one);
    this.#again.start(() => this.#tellNext(later), delay);
  }

  // One at a time; what Python does not accept is not told for ever.
  #tellNext(delays) {
    const [next] = this.#open;
    if (!next) return;
    const [voice, name] = next;
    if (delays.length) this.#tell([name, voice], delays);
    else this.#open.clear();
  }
}
