// What a card shows, as rows and marks; hits as they travel, [step, row, velocity, offset] in the
// order of steps and rows, and what an edit makes of them. Nothing here changes a list in place.
//
// Rows are counted from the bottom: the drums, then the lines, the first of them on top. A row is
// {channel: of the mixer, label, isPitch, isBand: whether it is shaded, isTonic, isTop: of its
// part}. A mark is a hit, or [step, row, velocity, 0, steps] of a note. A grid is {steps_per_beat,
// steps_per_bar}.

export const SOFTEST = 1 / 127;
export const LATEST = 0.499; // offsets are below half a step
const USUAL_VELOCITY = 0.8;
const HEARD_VELOCITY = 0.5 / 127; // smaller differences are rounding
const HEARD_OFFSET = 0.005;
const SIXTEENTHS = ["", "e", "and", "a"]; // how drummers count the sixteenths of a beat

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const rounded = (value) => Math.round(value * 1e6) / 1e6;

const PITCH_CLASSES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const LEAST_PITCHES = 12; // the fewest rows of a line
const N_VOICES = 9;

export const pitchName = (pitch) => `${PITCH_CLASSES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;

// The rows of a card that shows, now or at another time, any of several places: {hits, lines}.
export function rowsOf(hasDrums, places, labels, room = 0) {
  const rows = [];
  if (hasDrums) {
    labels.forEach((label, row) => rows.push({ channel: row, label, isBand: row % 2 === 0 }));
  }
  for (let index = places[0].lines.length - 1; index >= 0; index -= 1) {
    const lines = places.map(({ lines: each }) => each[index]).filter(Boolean);
    rows.push(...rowsOfLine(lines, N_VOICES + index, room));
  }
  return rows;
}

// room: pitches beyond the highest and the lowest.
function rowsOfLine(lines, channel, room) {
  const pitches = lines.flatMap(({ notes }) => notes.map(([, , pitch]) => pitch));
  const [lowest, highest] = pitches.length ? [Math.min(...pitches), Math.max(...pitches)] : [60, 60];
  const missing = Math.max(2 + 2 * room, LEAST_PITCHES - (highest - lowest + 1));
  const first = clamp(lowest - Math.floor(missing / 2), 0, 127);
  const last = clamp(highest + Math.ceil(missing / 2), 0, 127);
  const { name, scale } = lines[0];
  return Array.from({ length: last - first + 1 }, (_, index) => {
    const pitch = first + index;
    return {
      channel,
      pitch,
      label: pitchName(pitch),
      name,
      isPitch: true,
      isBand: scale.includes(pitch % 12),
      isTonic: pitch % 12 === scale[0],
      isTop: pitch === last,
    };
  });
}

// The marks of a place on the rows of its card.
export function marksOf({ hits, lines }, rows) {
  if (!lines.length) return hits;
  const rowOf = new Map(rows.map(({ channel, pitch }, row) => [`${channel} ${pitch}`, row]));
  const notes = lines.flatMap(({ notes: each }, index) =>
    each.map(([step, steps, pitch, velocity]) => {
      const row = rowOf.get(`${N_VOICES + index} ${pitch}`);
      return [step, row, velocity, 0, steps];
    }),
  );
  return [...hits, ...notes];
}

// Whether every note of a place has a row.
export function fits(place, rows) {
  return marksOf(place, rows).every(([, row]) => row < rows.length);
}

// The inverse of `marksOf`: {hits, lines} of marks, the lines with the names and programs of those of before.
export function placeOf(marks, rows, lines) {
  const hits = marks.filter((mark) => !isNote(mark));
  const noted = lines.map((line, index) => {
    const own = marks.filter((mark) => isNote(mark) && rows[mark[1]].channel === N_VOICES + index);
    const notes = own.map(([step, row, velocity, , steps]) => [step, steps, rows[row].pitch, velocity]);
    return { ...line, notes };
  });
  return { hits, lines: noted };
}

export const isNote = (mark) => mark[4] !== undefined;

// Adds a note to a monophonic line: a note starting at the same step is removed, a note held into it
// ends there, and it ends where the next one starts.
export function withNote(marks, rows, step, row, velocity, steps, end) {
  const { channel } = rows[row];
  const isOwn = (mark) => isNote(mark) && rows[mark[1]].channel === channel;
  const next = Math.min(end, ...marks.filter((mark) => isOwn(mark) && mark[0] > step).map(([at]) => at));
  const note = [step, row, rounded(clamp(velocity, SOFTEST, 1)), 0, clamp(steps, 1, next - step)];
  const others = marks
    .filter((mark) => !(isOwn(mark) && mark[0] === step))
    .map((mark) => (isOwn(mark) && mark[0] < step ? endedBy(mark, step) : mark));
  return [...others, note].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

function endedBy(note, step) {
  const [from, row, velocity, offset, steps] = note;
  return from + steps <= step ? note : [from, row, velocity, offset, step - from];
}

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

// A new mark is as loud as those of its channel are on average; a new note lasts an eighth.
export function toggledMark(marks, rows, step, row, end, { steps_per_beat: stepsPerBeat }) {
  if (findHit(marks, step, row)) return withoutHit(marks, step, row);
  const { channel, isPitch } = rows[row];
  const alike = marks.filter((mark) => rows[mark[1]].channel === channel).map((mark) => mark[2]);
  const mean = alike.reduce((sum, velocity) => sum + velocity, 0) / alike.length;
  const velocity = alike.length ? mean : USUAL_VELOCITY;
  const eighth = Math.max(1, Math.round(stepsPerBeat / 2));
  if (isPitch) return withNote(marks, rows, step, row, velocity, eighth, end);
  return withHit(marks, step, row, velocity, 0);
}

export function sameHits(some, others) {
  return (
    some.length === others.length &&
    some.every((hit, index) => hit.every((value, place) => value === others[index][place]))
  );
}

// The differences between two lists of hits: [{step, row, other: hit or null}, …], where `other` is
// the hit in that cell of the second list.
export function differences(hits, others) {
  const key = ([step, row]) => step * 256 + row;
  const there = new Map(others.map((hit) => [key(hit), hit]));
  const found = [];
  for (const hit of hits) {
    const other = there.get(key(hit)) ?? null;
    there.delete(key(hit));
    const alike =
      other &&
      Math.abs(other[2] - hit[2]) < HEARD_VELOCITY &&
      Math.abs(other[3] - hit[3]) < HEARD_OFFSET &&
      other[4] === hit[4];
    if (!alike) found.push({ step: hit[0], row: hit[1], other });
  }
  for (const other of there.values()) found.push({ step: other[0], row: other[1], other });
  return found;
}

// Blends lists of hits by their weights, which add up to 1: a hit sounds if the lists that have it
// weigh at least half, with their mean velocity and offset. The same as `Morph.groove_at` in
// pages/shared/card.py.
export function blended(lists, weights) {
  const cells = new Map();
  lists.forEach((hits, list) => {
    for (const [step, row, velocity, offset] of hits) {
      const sum = cells.get(64 * step + row) ?? { step, row, share: 0, velocity: 0, offset: 0 };
      sum.share += weights[list];
      sum.velocity += weights[list] * velocity;
      sum.offset += weights[list] * offset;
      cells.set(64 * step + row, sum);
    }
  });
  return [...cells.values()]
    .filter(({ share }) => share > 0.5 - 1e-6)
    .map(({ step, row, share, velocity, offset }) => [step, row, velocity / share, offset / share])
    .sort((a, b) => a[0] - b[0] || a[1] - b[1]);
}

// A cell in words: "snare, bar 1, 2 and: velocity 96, 12% late".
export function sayCell(hits, step, row, rows, grid) {
  const bar = Math.floor(step / grid.steps_per_bar) + 1;
  const hit = findHit(hits, step, row);
  const said = hit ? sayHit(hit, grid) : rows[row].isPitch ? "no note" : "no hit";
  return `${rows[row].label}, bar ${bar}, ${countOf(step, grid)}: ${said}`;
}

// The count of a step in its bar: "2 and", or "2 step 6 of 6" if drummers have no word for it; the
// same as `_count_of` in pages/shared/names.py.
function countOf(step, { steps_per_beat: stepsPerBeat, steps_per_bar: stepsPerBar }) {
  const beat = Math.floor((step % stepsPerBar) / stepsPerBeat) + 1;
  const place = step % stepsPerBeat;
  if (!place) return `${beat}`;
  if (2 * place === stepsPerBeat) return `${beat} and`;
  return `${beat} ${stepsPerBeat === 4 ? SIXTEENTHS[place] : `step ${place + 1} of ${stepsPerBeat}`}`;
}

export function sayHit([, , velocity, offset, steps], { steps_per_beat: stepsPerBeat }) {
  const noun = stepsPerBeat === 4 ? "sixteenths" : "steps";
  if (steps !== undefined) return `velocity ${Math.round(127 * velocity)}, ${steps} ${noun}`;
  const percent = Math.round(100 * Math.abs(offset));
  const timing = percent ? `${percent}% ${offset > 0 ? "late" : "early"}` : "on the grid";
  return `velocity ${Math.round(127 * velocity)}, ${timing}`;
}
