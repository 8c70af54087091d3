// Counts the changes of something that is set here and confirmed by Python: what Python says of it
// before it has seen the last of them is out of date.

// After which a change is told again, as long as Python has not confirmed it: Streamlit loses an
// event when the next one comes before it has begun to run for it.
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

  // Whether what Python says counts: `seen` is the number of the last change that it knew of.
  accepts(seen) {
    this.#seen = seen;
    if (this.isUnconfirmed) return false;
    this.#last = seen;
    return true;
  }
}
