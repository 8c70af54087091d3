// The choice of kits, sent to Python until it is confirmed: an event can be lost as its page is left, or
// while the connection is down.

import { RESEND_MS } from "../deck/revision.js";
import { N_VOICES } from "./pattern.js";

export class KitChoice {
  send = null; // sends to Python
  #open = new Map(); // voice, or null for all → the name that Python has not confirmed
  #known = new Map(); // voice, or null for all → the name that Python knows
  #again; // a `Delay`

  constructor(again) {
    this.#again = again;
  }

  get isUnconfirmed() {
    return this.#open.size > 0;
  }

  // name: null for a voice that returns to the common kit.
  choose([name, voice]) {
    this.#open.set(voice, name);
    this.#send([name, voice], RESEND_MS);
  }

  // The kit that a voice plays, or the common one for null, as chosen here.
  of(voice) {
    return this.own(voice) ?? (voice === null ? null : this.of(null));
  }

  // The voices that a choice for a voice, or for all, is about.
  voicesOf(voice) {
    if (voice !== null) return [voice];
    return [...Array(N_VOICES).keys()].filter((one) => this.own(one) === null);
  }

  // Takes the kits that Python knows; returns the common one as chosen here.
  receive({ kit, voice_kits: voiceKits }) {
    this.#known = new Map([[null, kit], ...voiceKits]);
    for (const [voice, name] of this.#open) {
      if ((this.#known.get(voice) ?? null) === name) this.#open.delete(voice);
    }
    if (!this.#open.size) this.#again.cancel();
    return this.#open.get(null) ?? kit;
  }

  // The kit that was set for a voice, as chosen here; null if it plays the common one.
  own(voice) {
    return (this.#open.has(voice) ? this.#open.get(voice) : this.#known.get(voice)) ?? null;
  }

  /** @param {any} one @param {number[]} delays */
  #send(one, delays) {
    const [delay, ...later] = delays;
    this.send("kit", one);
    this.#again.start(() => this.#sendNext(later), delay);
  }

  // One at a time; what Python does not accept is not sent for ever.
  #sendNext(delays) {
    const [next] = this.#open;
    if (!next) return;
    const [voice, name] = next;
    if (delays.length) this.#send([name, voice], delays);
    else this.#open.clear();
  }
}
