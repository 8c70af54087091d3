import assert from "node:assert/strict";
import { test } from "node:test";

import { NotesAhead } from "./ahead.js";

const GRID = { steps_per_beat: 4, steps_per_bar: 16 };

// The bytes of cards with these tempos and notes of four numbers.
function packed(tempos, cards) {
  const notes = cards.flat();
  const bytes = new ArrayBuffer(12 * cards.length + 16 * notes.length);
  const view = new DataView(bytes);
  tempos.forEach((tempo, at) => view.setFloat64(8 * at, tempo, true));
  let end = 0;
  cards.forEach((card, at) => view.setUint32(8 * cards.length + 4 * at, (end += card.length), true));
  [0, 1, 2, 3].forEach((kind) =>
    notes.forEach((note, at) =>
      view.setInt32(12 * cards.length + 4 * (kind * notes.length + at), note[kind], true),
    ),
  );
  return bytes;
}

const header = (count, line) => ({ model: "groove_2bar", cards: "point.", count, steps: 32, grid: GRID, line });
const FIRST = [
  [0, 0, 900_000, -250_000],
  [31, 8, 7_874, 499_000],
];

test("a card's hits are those that were sent, at its tempo", () => {
  const notes = new NotesAhead(header(3, null), packed([90, 120.5, 100], [FIRST, [], [[4, 1, 1_000_000, 0]]]));
  assert.deepEqual(notes.patternOf("groove_2bar", "point.0").hits, [
    [0, 0, 0.9, -0.25],
    [31, 8, 0.007874, 0.499],
  ]);
  assert.deepEqual(notes.patternOf("groove_2bar", "point.1").hits, []);
  assert.deepEqual(notes.patternOf("groove_2bar", "point.2").hits, [[4, 1, 1, 0]]);
  const like = { steps: 32, stepsPerBeat: 4, stepsPerBar: 16, tempo: 120.5, bar: null };
  assert.deepEqual(notes.patternOf("groove_2bar", "point.1"), { ...like, hits: [], lines: [] });
});

test("a melody's notes are those of its only line", () => {
  const line = { name: "melody", program: 4 };
  const { hits, lines } = new NotesAhead(header(1, line), packed([80], [[[8, 60, 500_000, 6]]])).patternOf("groove_2bar", "point.0");
  assert.deepEqual([hits, lines], [[], [{ ...line, notes: [[8, 6, 60, 0.5]] }]]);
});

test("a card that was not sent has no pattern", () => {
  const notes = new NotesAhead(header(1, null), packed([80], [FIRST]));
  for (const id of ["point.1", "mine.0", "middle.1f", "point."]) {
    assert.equal(notes.patternOf("groove_2bar", id), null, id);
  }
  assert.equal(notes.patternOf("drums_2bar", "point.0"), null);
});
