import assert from "node:assert/strict";
import { test } from "node:test";

import { gainAt } from "./voices.js";

test("the gain of a note is its level, and falls evenly in decibels while it ends", () => {
  const level = 0.8;
  assert.equal(gainAt({ level, ramp: null }, 7), level);
  const note = { level, ramp: { at: 2, seconds: 0.5, to: 1e-4 } };
  assert.equal(gainAt(note, 1.9), level);
  assert.ok(Math.abs(gainAt(note, 2.25) / (level * 1e-2) - 1) < 1e-9);
  assert.ok(Math.abs(gainAt(note, 3) / (level * 1e-4) - 1) < 1e-9);
});
