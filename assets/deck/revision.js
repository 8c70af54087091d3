// Counts the changes of something set here and confirmed by Python: data from Python is out of date
// until it has seen the last change.

// Time after which an unconfirmed change is sent again: an event can be lost as its page is left, or
// while the connection is down.
export const RESEND_MS = [2000, 4000, 8000];

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

// Requests that Python answers one after the other, each once however often it is sent.
export class Requests {
  now = null; // the one that is sent
  revision = new Revision();
  #later = [];

  add(value) {
    this.#later.push(value);
  }

  // Turns to the next, unless Python has yet to answer one; returns whether it did.
  next() {
    if (this.now !== null || !this.#later.length) return false;
    this.now = this.#later.shift();
    this.revision.next();
    return true;
  }

  // seen: see `Revision.accepts`.
  receive(seen) {
    if (this.revision.accepts(seen)) this.now = null;
  }
}

// A value that is set here and that Python confirms.
export class Setting {
  now = null;
  revision = new Revision();

  set(value) {
    this.now = value;
    this.revision.next();
  }

  // Takes Python's value, unless a newer one is on its way there; seen: see `Revision.accepts`.
  receive(value, seen) {
    if (this.revision.accepts(seen)) this.now = value;
  }
}
