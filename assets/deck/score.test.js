import assert from "node:assert/strict";
import test from "node:test";

import { blended, sayCell, sayHit, toggledMark } from "./score.js";

// As in test_deck.py: four grooves, a hit that all have and one that the upper two have.
const CORNERS = [0, 1, 2, 3].map((at) => {
  const [velocity, offset] = [0.2 + 0.2 * at, 0.1 * at];
  const snare = at < 2 ? [[4, 1, velocity, offset]] : [];
  return [[0, 0, velocity, offset], ...snare];
});

const rounded = (hits) => hits.map((hit) => hit.map((value) => Math.round(1e6 * value) / 1e6));

test("between grooves a hit is as loud and as late as those that have it play it", () => {
  const hits = blended(CORNERS, [0.375, 0.125, 0.375, 0.125]);
  assert.deepEqual(rounded(hits), [
    [0, 0, 0.45, 0.125],
    [4, 1, 0.25, 0.025],
  ]);
});

test("a hit that less than half have is not heard", () => {
  const hits = blended(CORNERS, [0.1875, 0.0625, 0.5625, 0.1875]);
  assert.deepEqual(hits.map((hit) => hit[1]), [0]);
});

const COMMON = { steps_per_beat: 4, steps_per_bar: 16 };
const WALTZ = { steps_per_beat: 4, steps_per_bar: 12 };
const TRIPLETS = { steps_per_beat: 6, steps_per_bar: 24 };
const ROWS = [{ channel: 0, label: "kick" }, { channel: 9, label: "C4", pitch: 60, isPitch: true }];

test("a cell is counted on the grid of its groove", () => {
  const count = (step, grid) => sayCell([], step, 0, ROWS, grid);
  assert.equal(count(22, COMMON), "kick, bar 2, 2 and: no hit");
  assert.equal(count(12, WALTZ), "kick, bar 2, 1: no hit");
  assert.equal(count(22, WALTZ), "kick, bar 2, 3 and: no hit");
  assert.equal(count(24, TRIPLETS), "kick, bar 2, 1: no hit");
  assert.equal(count(9, TRIPLETS), "kick, bar 1, 2 and: no hit");
  assert.equal(count(11, TRIPLETS), "kick, bar 1, 2 step 6 of 6: no hit");
  assert.equal(count(3, { steps_per_beat: 2, steps_per_bar: 6 }), "kick, bar 1, 2 and: no hit");
});

test("a note's length is said in sixteenths where they are its steps", () => {
  assert.match(sayHit([0, 1, 1, 0, 3], COMMON), /3 sixteenths/);
  assert.match(sayHit([0, 1, 1, 0, 3], TRIPLETS), /3 steps/);
});

test("a new note lasts an eighth on any grid", () => {
  const lengths = [COMMON, WALTZ, TRIPLETS, { steps_per_beat: 1, steps_per_bar: 3 }].map(
    (grid) => toggledMark([], ROWS, 0, 1, 48, grid)[0][4],
  );
  assert.deepEqual(lengths, [2, 2, 3, 1]);
});
