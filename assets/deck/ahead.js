// Decodes the sounds of a morph ahead of the pointer, the nearest first, within a budget.

const AT_ONCE = 4;
const BUDGET_BYTES = 128 * 2 ** 20; // decoded: 33 loops of two bars at 45 bpm, and more when faster

const bytesOf = (buffer) => 4 * buffer.length * buffer.numberOfChannels;

export class Ahead {
  #sounds;
  #all = []; // [{sound, x, y}, …]
  #places = []; // of these, the ones that can be had
  #near = []; // the same, from the nearest on
  #busy = new Set();

  // onLoaded is called with each sound, and whether it became playable.
  constructor(sounds, onLoaded) {
    this.#sounds = sounds;
    this.onLoaded = onLoaded;
  }

  // places: [{sound, x, y}, …] with x and y in steps of the grid; none stops the work.
  show(places, index) {
    this.#all = places;
    this.#places = places.filter(({ sound }) => sound);
    if (places.length) this.moveTo(index);
  }

  moveTo(index) {
    const { x, y } = this.#all[index];
    const distance = (place) => Math.hypot(place.x - x, place.y - y);
    this.#near = [...this.#places].sort((a, b) => distance(a) - distance(b));
    this.#work();
  }

  // Places are as long as one another: the budget has room for the nearest so many.
  #affordable() {
    const some = this.#near.map(({ sound }) => this.#sounds.ready(sound)).find(Boolean);
    return some ? Math.max(1, Math.floor(BUDGET_BYTES / bytesOf(some))) : AT_ONCE;
  }

  #work() {
    if (!this.#places.length) return;
    const room = this.#affordable();
    for (const { sound } of this.#near.slice(room)) this.#sounds.release(sound);
    for (const { sound } of this.#near.slice(0, room)) {
      if (this.#busy.size >= AT_ONCE) return;
      if (!this.#busy.has(sound) && !this.#sounds.ready(sound)) this.#load(sound);
    }
  }

  // What cannot be had is left out until the morph is shown again.
  async #load(sound) {
    this.#busy.add(sound);
    const arrived = await this.#sounds.buffer(sound).then(
      () => true,
      () => false,
    );
    this.#busy.delete(sound);
    const isThis = (place) => place.sound === sound;
    if (!this.#places.some(isThis)) return;
    if (!arrived) {
      this.#places = this.#places.filter((place) => !isThis(place));
      this.#near = this.#near.filter((place) => !isThis(place));
    }
    this.onLoaded(sound, arrived);
    this.#work();
  }
}
