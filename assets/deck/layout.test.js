import assert from "node:assert/strict";
import test from "node:test";

import { layOut } from "./layout.js";

const HEIGHTS = [10, 10];
const WALTZ = { steps_per_beat: 4, steps_per_bar: 12 };
const TRIPLETS = { steps_per_beat: 6, steps_per_bar: 24 };

const placeOf = (width, bars, grid) =>
  layOut(width, bars * grid.steps_per_bar, grid, HEIGHTS, { leastStepPx: 4.5 });

test("a system holds whole bars of any grid", () => {
  for (const grid of [WALTZ, TRIPLETS]) {
    const place = placeOf(600, 8, grid);
    assert.equal(place.line % grid.steps_per_bar, 0);
    assert.equal(place.systems * place.line, place.steps);
    assert.ok(place.stepPx >= 4.5);
  }
});

test("a bar number stands over the first step of its bar", () => {
  const place = placeOf(600, 8, WALTZ);
  const firsts = Array.from({ length: 8 }, (_, bar) => bar * 12);
  assert.deepEqual(firsts.map(place.systemOf), [0, 0, 0, 0, 1, 1, 1, 1]);
  assert.deepEqual(new Set(firsts.map((step) => place.x(step, place.systemOf(step)))).size, 4);
});

test("a narrow card has fewer bars of more steps on a system", () => {
  const bars = (grid) => placeOf(400, 4, grid).line / grid.steps_per_bar;
  assert.deepEqual([bars(WALTZ), bars(TRIPLETS)], [4, 2]);
});

test("every step of a groove in 3/4 is found where it is drawn", () => {
  const place = placeOf(500, 6, WALTZ);
  for (let step = 0; step < place.steps; step += 1) {
    const system = place.systemOf(step);
    const found = place.at(place.x(step + 0.5, system), place.y(1, system) + 5);
    assert.deepEqual([Math.floor(found.step), found.row], [step, 1]);
  }
});
