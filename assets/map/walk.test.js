import assert from "node:assert/strict";
import { test } from "node:test";
import { nextPoint } from "./walk.js";

const at = (x, y) => ({ at: [x, y] });

test("an arrow leads to the nearest point on its side", () => {
  const [near, far, aside, behind] = [at(10, 2), at(30, 0), at(4, 9), at(-5, 0)];
  const points = [far, aside, near, behind];
  assert.equal(nextPoint(points, [0, 0], "ArrowRight", 1), near);
  assert.equal(nextPoint(points, [0, 0], "ArrowLeft", 1), behind);
  assert.equal(nextPoint(points, [0, 0], "ArrowDown", 1), aside);
  assert.equal(nextPoint(points, [0, -3], "ArrowUp", 1), null);
  assert.equal(nextPoint([at(1, 9)], [0, 0], "ArrowRight", 1).at[1], 9, "where there is nothing else");
  assert.equal(nextPoint(points, [0, 0], "Enter", 1), null);
});

test("every point of a row is passed, there and back", () => {
  const points = [5, 1, 3, 9, 7].map((x) => at(x, 0));
  const seen = [];
  for (let here = at(0, 0); here; here = nextPoint(points, here.at, "ArrowRight", 1)) seen.push(here.at[0]);
  assert.deepEqual(seen, [0, 1, 3, 5, 7, 9]);
  assert.deepEqual(nextPoint(points, [9, 0], "ArrowLeft", 1).at, [7, 0]);
});

test("the point that one stands on is not the next, nor one that is nearer than asked", () => {
  assert.equal(nextPoint([at(8, 0), at(50, 0)], [0, 0], "ArrowRight", 40).at[0], 50);
  assert.equal(nextPoint([at(0, 0), at(0.2, 0)], [0, 0], "ArrowRight", 1), null);
});
