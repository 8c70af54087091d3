// The edits of one groove, with undo and redo.

export class History {
  #past = [];
  #future = [];

  constructor(now) {
    this.now = now;
    this.confirmed = now; // what Python knows
  }

  get canUndo() {
    return this.#past.length > 0;
  }

  get canRedo() {
    return this.#future.length > 0;
  }

  put(next) {
    this.#past.push(this.now);
    this.#future = [];
    this.now = next;
  }

  undo() {
    return this.#step(this.#past, this.#future);
  }

  redo() {
    return this.#step(this.#future, this.#past);
  }

  #step(from, to) {
    if (!from.length) return false;
    to.push(this.now);
    this.now = from.pop();
    return true;
  }
}
