import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { MidiOut } from "./midi.js";
import { passOf } from "./pattern.js";
import { Timeline } from "./timeline.js";

const RATE = 44_100;
const BEAT = RATE / 2; // at 120 bpm
const PATTERN = {
  steps: 32,
  stepsPerBeat: 4,
  stepsPerBar: 16,
  tempo: 120,
  bar: null,
  lines: [],
  hits: [0, 4, 8, 12, 16, 20, 24, 28].map((step) => [step, 0, 1, 0]),
};
const OTHER = { ...PATTERN, hits: PATTERN.hits.map(([step]) => [step, 1, 1, 0]) };

let playback;
let timeline;

beforeEach(() => {
  playback = { tempo: null, swing: 0, feel: 1, clicks: false, isAudible: () => true };
  timeline = new Timeline((pattern, isCountIn) =>
    passOf(pattern, isCountIn ? { ...playback, clicks: true } : playback, RATE),
  );
});

// In beats, to a thousandth.
const struck = (from, to) =>
  timeline.eventsBetween(Math.floor(from), to).map(({ frame, voice }) => [Math.round((1000 * frame) / BEAT) / 1000, voice]);

test("a bar is counted in, and the playhead waits meanwhile", () => {
  timeline.start(PATTERN, 0, { countIn: true });
  assert.deepEqual(struck(0, 6 * BEAT).slice(0, 6), [[0, -2], [1, -1], [2, -1], [3, -1], [4, 0], [5, 0]]);
  assert.equal(timeline.passesAt(2 * BEAT), 0);
  assert.equal(timeline.passesAt(8 * BEAT), 0.5);
});

test("another pattern during the count-in begins where the first would have", () => {
  timeline.start(PATTERN, 0, { countIn: true });
  timeline.replace(OTHER, Math.floor(1.5 * BEAT));
  assert.deepEqual(struck(1.5 * BEAT, 6 * BEAT), [[2, -1], [3, -1], [4, 1], [5, 1]]);
  assert.equal(timeline.passesAt(2 * BEAT), 0);
});

test("a tempo during the count-in is that of its remaining clicks, and the bar stays whole", () => {
  timeline.start(PATTERN, 0, { countIn: true });
  playback.tempo = 60;
  timeline.remake(Math.floor(1.5 * BEAT));
  assert.deepEqual(struck(1.5 * BEAT, 9 * BEAT), [[2.5, -1], [4.5, -1], [6.5, 0], [8.5, 0]]);
});

test("a change while a takeover waits for its beat does not bring it in early", () => {
  timeline.start(PATTERN, 0);
  timeline.replace(OTHER, Math.floor(2.25 * BEAT), { onBeat: true, passes: () => 0 });
  playback.swing = 0.5;
  timeline.remake(Math.floor(2.5 * BEAT));
  timeline.replace({ ...OTHER }, Math.floor(2.75 * BEAT));
  assert.deepEqual(struck(2.25 * BEAT, 4.9 * BEAT), [[3, 1], [4, 1]]);
  assert.ok(Math.abs(timeline.passesAt(3 * BEAT)) < 1e-4);
});

test("a second takeover comes on the same beat in place of the first", () => {
  timeline.start(PATTERN, 0);
  timeline.replace(OTHER, Math.floor(2.25 * BEAT), { onBeat: true, passes: () => 0 });
  const third = { ...OTHER, hits: [[0, 5, 1, 0]] };
  timeline.replace(third, Math.floor(2.5 * BEAT), { onBeat: true, passes: () => 0 });
  assert.deepEqual(struck(2.5 * BEAT, 4 * BEAT), [[3, 5]]);
});

test("a waiting takeover keeps its musical place when the tempo changes", () => {
  timeline.start(PATTERN, 0);
  timeline.replace(OTHER, Math.floor(2.5 * BEAT), { onBeat: true, passes: () => 0 });
  playback.tempo = 60;
  timeline.remake(Math.floor(2.5 * BEAT));
  assert.deepEqual(struck(2.5 * BEAT, 6 * BEAT), [[3.5, 1], [5.5, 1]]);
});

test("a change of tempo goes on from the same place", () => {
  timeline.start(PATTERN, 100);
  playback.tempo = 97;
  timeline.remake(100 + Math.floor(3.5 * BEAT));
  assert.ok(Math.abs(timeline.passesAt(100 + 3.5 * BEAT) - 3.5 / 8) < 1e-5);
});

// What a port gets: [ms, bytes]; the clock of the test isAudible frame 0 at 0 ms.
class FakePort {
  sent = [];
  send(bytes, at) {
    this.sent.push([at, ...bytes]);
  }
  of(status) {
    return this.sent.filter(([, first]) => first === status).map(([at]) => Math.round(at));
  }
}

const timeOf = (frame) => (1000 * frame) / RATE;

// Schedules from one frame to another in steps of a ticker, as the engine does.
function run(midi, from, to, aheadFrames = 0.4 * RATE) {
  for (let now = from; now < to; now += 0.025 * RATE) {
    const end = Math.floor(now + aheadFrames);
    if (end > run.scheduledTo) {
      const events = timeline.eventsBetween(run.scheduledTo, end);
      for (const event of events) if (event.voice >= 0) midi.strike(event);
      for (const tick of timeline.ticksBetween(run.scheduledTo, end)) midi.tick(tick);
      run.scheduledTo = end;
    }
    midi.sendTo(Math.floor(now + 0.03 * RATE), timeOf);
  }
}

function change(midi, at) {
  midi.cancelFrom(at);
  run.scheduledTo = at;
}

beforeEach(() => (run.scheduledTo = 0));

test("a port gets each note once, however often a change calls notes off", () => {
  const midi = new MidiOut(new FakePort());
  timeline.start(PATTERN, 0);
  for (let at = 0; at < 4 * BEAT; at += 0.1 * BEAT) {
    run(midi, at, at + 0.1 * BEAT);
    timeline.remake(Math.ceil(at + Math.floor(0.1 * BEAT) + 600));
    change(midi, Math.ceil(at + 0.1 * BEAT + 600));
  }
  assert.deepEqual(midi.port.of(0x99).slice(0, 4), [0, 500, 1000, 1500]);
  assert.deepEqual(midi.port.of(0x89).slice(0, 3), [60, 560, 1060]);
});

test("nothing goes to a port more than a moment before it sounds", () => {
  const midi = new MidiOut(new FakePort());
  timeline.start(PATTERN, 0);
  run(midi, 0, BEAT - 0.05 * RATE);
  assert.deepEqual(midi.port.of(0x99), [0]);
});

test("the clock ticks 24 times a quarter and follows the tempo", () => {
  const midi = new MidiOut(new FakePort());
  timeline.start(PATTERN, 0);
  run(midi, 0, 2 * BEAT - 0.03 * RATE);
  assert.equal(midi.port.of(0xf8).length, 48);
  assert.deepEqual(midi.port.of(0xf8).slice(0, 3), [0, 21, 42]);
  playback.tempo = 60;
  timeline.remake(2 * BEAT);
  change(midi, 2 * BEAT);
  run(midi, 2 * BEAT - 0.03 * RATE, 4 * BEAT - 0.03 * RATE);
  assert.equal(midi.port.of(0xf8).length, 72);
  assert.deepEqual(midi.port.of(0xf8).slice(48, 50), [1000, 1042]);
});

test("a port is started at bar one, after the count-in", () => {
  const midi = new MidiOut(new FakePort());
  timeline.start(PATTERN, 0, { countIn: true });
  run(midi, 0, 5 * BEAT);
  assert.deepEqual(midi.port.of(0xfa), [2000]);
  assert.equal(midi.port.of(0x99)[0], 2000);
});

test("a port that is chosen while it plays goes on from the place where the music is", () => {
  const midi = new MidiOut(new FakePort());
  timeline.start(PATTERN, 0);
  const at = Math.round(1.1 * BEAT);
  run.scheduledTo = at;
  run(midi, at, 2 * BEAT);
  assert.deepEqual(midi.port.of(0xfa), []);
  assert.deepEqual(midi.port.sent.find(([, status]) => status === 0xf2).slice(1), [0xf2, 5, 0]);
  assert.deepEqual(midi.port.of(0xfb), [625]);
  assert.ok(midi.port.of(0xf8).length > 0);
});

test("a stop ends the notes that sound, and the clock", () => {
  const midi = new MidiOut(new FakePort());
  timeline.start(PATTERN, 0);
  run(midi, 0, 0.01 * RATE);
  midi.stop();
  const last = midi.port.sent.slice(-2).map(([, ...bytes]) => bytes);
  assert.deepEqual(last, [[0x89, 36, 0], [0xfc]]);
});

test("mute, swing there and back, and the same pattern again move no hit by a frame", () => {
  const end = 40 * BEAT;
  timeline.start(PATTERN, 0);
  const undisturbed = timeline.eventsBetween(0, end + BEAT);
  const acts = [
    () => (playback.isAudible = (channel) => channel !== 0),
    () => (playback.isAudible = () => true),
    () => (playback.swing = 0.5),
    () => (playback.swing = 0),
    () => {},
  ];
  const heard = [];
  const muted = [];
  let from = 0;
  for (let at = 0; at < 60; at += 1) {
    const to = Math.floor(((at + 1) * end) / 60 + 137 * (at % 3)); // never on a beat for long
    const act = acts[at % acts.length];
    act();
    if (at % acts.length === 4) timeline.replace(structuredClone(PATTERN), from);
    else timeline.remake(from);
    heard.push(...timeline.eventsBetween(from, to));
    if (!playback.isAudible(0)) muted.push([from, to]);
    from = to;
  }
  const isMuted = ({ frame }) => muted.some(([start, stop]) => start <= frame && frame < stop);
  const expected = undisturbed.filter((event) => event.frame < from && !isMuted(event));
  assert.deepEqual(heard.map(({ frame }) => frame), expected.map(({ frame }) => frame));
});

test("a tempo there and back leaves the music where the beats that passed have brought it", () => {
  timeline.start(PATTERN, 0);
  playback.tempo = 60;
  timeline.remake(3 * BEAT);
  playback.tempo = null;
  timeline.remake(7 * BEAT); // two beats on
  assert.ok(Math.abs(timeline.passesAt(7 * BEAT) * 8 - 5) < 1e-3);
  assert.deepEqual(struck(7 * BEAT + 1, 10 * BEAT), [[8, 0], [9, 0]]);
});
