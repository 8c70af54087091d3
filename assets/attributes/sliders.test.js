import assert from "node:assert/strict";
import test from "node:test";

globalThis.document ??= { addEventListener() {} };
globalThis.window ??= { addEventListener() {} };
const { amountOf, nearest } = await import("./sliders.js");

test("a slider plays the groove that measures nearest to where it stands", () => {
  const ahead = [
    [10, [0, 0, 127, 0]],
    [20, [4, 1, 64, -25]],
  ];
  assert.deepEqual(nearest(ahead, 14, "drums"), { hits: [[0, 0, 1, 0]] });
  assert.deepEqual(nearest(ahead, 90, "drums"), { hits: [[4, 1, 64 / 127, -0.25]] });
  assert.equal(nearest([], 14, "drums"), null);
});

test("of a melody it plays the notes", () => {
  const ahead = [[10, [0, 3, 60, 127, 4, 2, 62, 64]]];
  assert.deepEqual(nearest(ahead, 14, "line"), { notes: [[0, 3, 60, 1], [4, 2, 62, 64 / 127]] });
});

test("a value stands with its unit, one of them in the singular", () => {
  assert.equal(amountOf(1, "semitones"), "1 semitone");
  assert.equal(amountOf(1, "hits a bar"), "1 hit a bar");
  assert.equal(amountOf(1.5, "semitones"), "1.5 semitones");
  assert.equal(amountOf(0, "notes a bar"), "0 notes a bar");
  assert.equal(amountOf(1, "velocity"), "1 velocity");
  assert.equal(amountOf(1, "% of steps"), "1% of steps");
});
