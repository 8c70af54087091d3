// The choice of kits. Streamlit loses an event if the next one comes before the run for it has begun:
// a choice that Python does not know at the end of a run is told again.

const TRIES = 3;

export class KitChoice {
  send = null; // tells Python
  #open = new Map(); // voice, or null for all → {name, triesLeft} that Python has not confirmed

  // name: null for a voice that returns to the common kit.
  choose([name, voice]) {
    this.#open.set(voice, { name, triesLeft: TRIES });
    this.send("kit", [name, voice]);
  }

  // Takes the kits that Python knows; returns the common one as chosen here.
  hear({ kit, voice_kits: voiceKits }) {
    const known = new Map([[null, kit], ...voiceKits]);
    for (const [voice, one] of this.#open) {
      if ((known.get(voice) ?? null) === one.name || one.triesLeft === 0) this.#open.delete(voice);
    }
    const [next] = this.#open; // one at a time
    if (next) {
      const [voice, one] = next;
      one.triesLeft -= 1;
      this.send("kit", [one.name, voice]);
    }
    return this.#open.get(null)?.name ?? kit;
  }
}
