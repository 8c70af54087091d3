// Hits as they travel, [step, row, velocity, offset] in the order of steps and rows, and what an
// edit makes of them. Nothing here changes a list in place.

export const STEPS_PER_BEAT = 4;
export const STEPS_PER_BAR = 16;
export const SOFTEST = 1 / 127;
export const LATEST = 0.499; // offsets are below half a step
const USUAL_VELOCITY = 0.8;
const HEARD_VELOCITY = 0.5 / 127; // differences below these are nobody's doing
const HEARD_OFFSET = 0.005;
const COUNTS = ["", " e", " and", " a"]; // how drummers count the four sixteenths of a beat

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const rounded = (value) => Math.round(value * 10_000) / 10_000;

export function findHit(hits, step, row) {
  return hits.find((hit) => hit[0] === step && hit[1] === row) ?? null;
}

export function withoutHit(hits, step, row) {
  return hits.filter((hit) => hit[0] !== step || hit[1] !== row);
}

// Velocity and offset are moved into their ranges.
export function withHit(hits, step, row, velocity, offset) {
  const hit = [
    step,
    row,
    rounded(clamp(velocity, SOFTEST, 1)),
    rounded(clamp(offset, -0.5, LATEST)),
  ];
  return [...withoutHit(hits, step, row), hit].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

// A new hit is as loud as its voice is on average.
export function toggledHit(hits, step, row) {
  if (findHit(hits, step, row)) return withoutHit(hits, step, row);
  const alike = hits.filter((hit) => hit[1] === row).map((hit) => hit[2]);
  const mean = alike.reduce((sum, velocity) => sum + velocity, 0) / alike.length;
  return withHit(hits, step, row, alike.length ? mean : USUAL_VELOCITY, 0);
}

export function sameHits(some, others) {
  return (
    some.length === others.length &&
    some.every((hit, index) => hit.every((value, place) => value === others[index][place]))
  );
}

// What differs between two lists of hits: [{step, row, other: hit or null}, …], where `other` is
// what stands in that cell of the second.
export function differences(hits, others) {
  const key = ([step, row]) => step * 64 + row;
  const there = new Map(others.map((hit) => [key(hit), hit]));
  const found = [];
  for (const hit of hits) {
    const other = there.get(key(hit)) ?? null;
    there.delete(key(hit));
    const alike =
      other &&
      Math.abs(other[2] - hit[2]) < HEARD_VELOCITY &&
      Math.abs(other[3] - hit[3]) < HEARD_OFFSET;
    if (!alike) found.push({ step: hit[0], row: hit[1], other });
  }
  for (const other of there.values()) found.push({ step: other[0], row: other[1], other });
  return found;
}

// A cell in words: "snare, bar 1, 2 and: velocity 96, 12% late".
export function sayCell(hits, step, row, labels) {
  const [bar, within] = [Math.floor(step / STEPS_PER_BAR), step % STEPS_PER_BAR];
  const count = `${Math.floor(within / STEPS_PER_BEAT) + 1}${COUNTS[within % STEPS_PER_BEAT]}`;
  const hit = findHit(hits, step, row);
  return `${labels[row]}, bar ${bar + 1}, ${count}: ${hit ? sayHit(hit) : "no hit"}`;
}

export function sayHit([, , velocity, offset]) {
  const percent = Math.round(100 * Math.abs(offset));
  const timing = percent ? `${percent}% ${offset > 0 ? "late" : "early"}` : "on the grid";
  return `velocity ${Math.round(127 * velocity)}, ${timing}`;
}
