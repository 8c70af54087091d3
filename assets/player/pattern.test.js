import assert from "node:assert/strict";
import { test } from "node:test";

import { ACCENT, CLICK, N_VOICES, eventsBetween, levelOf, passOf, performed } from "./pattern.js";
import { countInOf, performedNotes, ticksBetween } from "./pattern.js";

const RATE = 44_100;
const HOW = { tempo: null, swing: 0, feel: 1, clicks: false, isAudible: () => true };
const PATTERN = {
  steps: 32,
  stepsPerBeat: 4,
  stepsPerBar: 16,
  tempo: 120,
  bar: null,
  hits: [
    [0, 0, 1, -0.25],
    [4, 1, 0.5, 0],
    [31, 2, 0.01, 0.25],
  ],
};

test("a pass is as long as the groove, and an early first hit is heard at its end", () => {
  const { frames, events } = passOf(PATTERN, HOW, RATE);
  assert.equal(frames, 4 * RATE);
  assert.deepEqual(
    events.map(({ frame, voice }) => [frame, voice]),
    [
      [22_050, 1],
      [172_266, 2], // 31.25 steps of 5512.5 frames: half a frame, to the even one
      [4 * RATE - 1378, 0],
    ],
  );
});

test("a tempo of the transport's takes the place of the groove's", () => {
  assert.equal(passOf(PATTERN, { ...HOW, tempo: 60 }, RATE).frames, 8 * RATE);
});

test("a bar loops alone, without the hits of the others", () => {
  const pass = passOf({ ...PATTERN, bar: [16, 16] }, HOW, RATE);
  assert.equal(pass.frames, 2 * RATE);
  assert.deepEqual(pass.events.map(({ voice }) => voice), [2]);
});

test("voices that are not heard have no events", () => {
  const pass = passOf(PATTERN, { ...HOW, isAudible: (voice) => voice === 1 }, RATE);
  assert.deepEqual(pass.events.map(({ voice }) => voice), [1]);
});

test("the metronome clicks on beats, louder on the first of a bar", () => {
  const { events } = passOf({ ...PATTERN, hits: [] }, { ...HOW, clicks: true }, RATE);
  const voices = events.map(({ voice }) => voice);
  assert.deepEqual(voices, [ACCENT, CLICK, CLICK, CLICK, ACCENT, CLICK, CLICK, CLICK]);
  assert.deepEqual(
    events.map(({ frame }) => frame),
    [0, 1, 2, 3, 4, 5, 6, 7].map((beat) => (beat * RATE) / 2),
  );
});

test("swing delays every second sixteenth by up to a third of a step", () => {
  const hits = [
    [0, 2, 0.8, 0],
    [1, 2, 0.8, 0],
  ];
  const offsets = performed(hits, { swing: 1, feel: 1 }, 4).map(([, , , offset]) => offset);
  assert.deepEqual(offsets, [0, 1 / 3]);
  const thirds = performed(hits, { swing: 1, feel: 1 }, 3); // the second beat begins at an odd step
  assert.deepEqual(thirds.map(([, , , offset]) => offset), [0, 0]);
});

test("without feel, hits lie on the grid at the mean velocity of their voice", () => {
  const hits = [
    [0, 2, 0.9, 0.2],
    [2, 2, 0.5, -0.2],
    [0, 0, 1, 0.1],
  ];
  const flat = performed(hits, { swing: 0, feel: 0 }, 4);
  assert.deepEqual(flat.map(([, , velocity]) => Math.round(100 * velocity)), [70, 70, 100]);
  assert.ok(flat.every(([, , , offset]) => offset === 0));
});

test("cutting time into pieces finds each event once", () => {
  const pass = passOf(PATTERN, HOW, RATE);
  const whole = eventsBetween(pass, 1000, 0, 30 * RATE);
  const pieces = [];
  for (let from = 0; from < 30 * RATE; from += 777) {
    pieces.push(...eventsBetween(pass, 1000, from, Math.min(from + 777, 30 * RATE)));
  }
  assert.deepEqual(pieces, whole);
  assert.equal(whole.length, 3 * 7 + 1); // seven whole passes, and one hit of the eighth
});

test("velocities become the levels of MIDI, never 0", () => {
  assert.deepEqual([0, 0.001, 0.5, 1].map(levelOf), [1, 1, 64, 127]);
});

const NOTE = [4, 2, 60, 0.5];
const TUNE = { ...PATTERN, hits: [], lines: [{ name: "bass", program: 33, notes: [NOTE] }] };

test("a line's notes have a channel after the drums, a pitch, an instrument and a length", () => {
  assert.deepEqual(passOf(TUNE, HOW, RATE).events, [
    { frame: 22_050, voice: N_VOICES, level: 64, pitch: 60, program: 33, gain: 1, length: 11_025 },
  ]);
  assert.deepEqual(passOf(TUNE, { ...HOW, isAudible: (at) => at < N_VOICES }, RATE).events, []);
});

test("swing moves the ends of notes, too", () => {
  const swung = performedNotes([[0, 1, 60, 0.5], [1, 1, 62, 0.5]], { swing: 1, feel: 1 }, 4);
  assert.deepEqual(
    swung.map(([step, steps]) => [step, step + steps].map((at) => Math.round(3 * at))),
    [[0, 4], [4, 6]],
  );
});

test("cutting time into pieces finds each tick of the clock once", () => {
  const pass = passOf(PATTERN, { ...HOW, tempo: 97 }, RATE);
  const whole = ticksBetween(pass, 1000.5, 0, 5 * RATE);
  const pieces = [];
  for (let from = 0; from < 5 * RATE; from += 1) {
    if (from % 777 === 0) pieces.push(...ticksBetween(pass, 1000.5, from, Math.min(from + 777, 5 * RATE)));
  }
  assert.deepEqual(pieces, whole);
  assert.equal(whole.find(({ frame }) => frame >= 1000.5).tick, 0);
});

test("a groove in 3/4 is counted in with three beats, and clicks on each, the first of a bar higher", () => {
  const waltz = { ...PATTERN, hits: [], steps: 24, stepsPerBar: 12 };
  const { steps, stepsPerBar } = countInOf(waltz);
  assert.deepEqual([steps, stepsPerBar], [12, 12]);
  const { frames, ticks, events } = passOf(waltz, { ...HOW, clicks: true }, RATE);
  assert.deepEqual([frames, ticks], [3 * RATE, 6 * 24]);
  assert.deepEqual(events.map(({ voice }) => voice), [ACCENT, CLICK, CLICK, ACCENT, CLICK, CLICK]);
});

test("a groove of 24 steps a bar lasts as long as its beats", () => {
  const fine = { ...PATTERN, steps: 24, stepsPerBeat: 6, stepsPerBar: 24, hits: [[9, 0, 1, 0]] };
  const { frames, ticks, events } = passOf(fine, HOW, RATE);
  assert.deepEqual([frames, ticks], [2 * RATE, 96]);
  assert.deepEqual(events, [{ frame: 0.75 * RATE, voice: 0, level: 127 }]);
});
