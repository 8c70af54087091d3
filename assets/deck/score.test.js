import assert from "node:assert/strict";
import test from "node:test";

import { blended } from "./score.js";

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
