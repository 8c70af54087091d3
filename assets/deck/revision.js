// Counts the changes of something set here and confirmed by Python: data from Python is out of date
// until it has seen the last change.

// Time after which an unconfirmed change is sent again: Streamlit loses an event if the next one
// arrives before the run for it has started.
export const TELL_AGAIN_MS = [2000, 4000, 8000];

export class Revision {
  #last = 0;
  #seen = 0; // the last that Python has seen

  get number() {
    return this.#last;
  }

  get isUnconfirmed() {
    return this.#last > this.#seen;
  }

  next() {
    this.#last += 1;
  }

  // Whether data from Python is current: `seen` is the number of the last change that it knew of.
  accepts(seen) {
    this.#seen = seen;
    if (this.isUnconfirmed) return false;
    this.#last = seen;
    return true;
  }
}
