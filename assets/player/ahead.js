// The notes of many cards, sent before any of them is chosen, so that a choice is heard at once.
//
// Bytes, little-endian: tempos, a float64 a card; ends, a uint32 a card: how many notes the cards up
// to it have; then four int32 a note, all firsts, all seconds and so on: step, voice, velocity and
// offset of a hit, the last two in millionths; step, pitch, velocity and length in steps of a note.
// Header: {model, cards: what their ids begin with, before their number, count, steps, grid as in a card,
// line: {name, program} of a melody, or null for drums}.

const MILLIONTHS = 1e6;

export class NotesAhead {
  #header;
  #tempos;
  #ends;
  #numbers; // of each kind, one for each note

  // bytes: an ArrayBuffer.
  constructor(header, bytes) {
    const { count } = header;
    this.#header = header;
    this.#tempos = new Float64Array(bytes, 0, count);
    this.#ends = new Uint32Array(bytes, 8 * count, count);
    const total = count ? this.#ends[count - 1] : 0;
    this.#numbers = [0, 1, 2, 3].map((kind) => new Int32Array(bytes, 12 * count + 4 * kind * total, total));
  }

  // The pattern of a model's card, see pattern.js, by the card's id; null if it is not known.
  patternOf(model, id) {
    const { cards, count, steps, grid, line } = this.#header;
    if (model !== this.#header.model) return null;
    const number = id.startsWith(cards) ? Number.parseInt(id.slice(cards.length), 10) : NaN;
    if (!(number < count)) return null;
    const notes = this.#notesOf(number);
    const lines = line ? [{ ...line, notes: notes.map(noteOf) }] : [];
    const { steps_per_beat: stepsPerBeat, steps_per_bar: stepsPerBar } = grid;
    const tempo = this.#tempos[number];
    return { steps, stepsPerBeat, stepsPerBar, tempo, hits: line ? [] : notes.map(hitOf), lines, bar: null };
  }

  #notesOf(number) {
    const [from, to] = [number ? this.#ends[number - 1] : 0, this.#ends[number]];
    return Array.from({ length: to - from }, (_, at) => this.#numbers.map((kind) => kind[from + at]));
  }
}

const hitOf = ([step, voice, velocity, offset]) => [step, voice, velocity / MILLIONTHS, offset / MILLIONTHS];
const noteOf = ([step, pitch, velocity, steps]) => [step, steps, pitch, velocity / MILLIONTHS];
