// What plays when: a sequence of segments on the frames of the audio clock, without sound.
//
// A segment, {at, origin, pass, pattern, isCountIn}, is a pattern that loops from frame `at` on until
// the next one begins; its passes are counted from frame `origin`. The last one may be still to
// come: after a count-in, or because it waits for a beat.

import { eventsBetween, ticksBetween, countInOf } from "./pattern.js";

export class Timeline {
  #segments = [];

  // passOf(pattern, isCountIn): one pass of a pattern as everything is played now.
  constructor(passOf) {
    this.passOf = passOf;
  }

  get isEmpty() {
    return this.#segments.length === 0;
  }

  clear() {
    this.#segments = [];
  }

  // Starts at a frame, at a phase of 0 to 1, after any count-in.
  start(pattern, at, { phase = 0, countIn = false } = {}) {
    this.clear();
    const bar = countIn ? this.#segment(countInOf(pattern), at, 0, true) : null;
    if (bar) this.#segments.push(bar);
    this.#segments.push(this.#segment(pattern, at + (bar?.pass.frames ?? 0), phase));
  }

  // Lets another pattern take over from a frame on, or on the next beat after it. What was still to
  // come begins as another pattern, but no sooner. passes(count): how many passes into the new
  // pattern the place lies that is so many into the old.
  replace(pattern, from, { passes = (count) => count, onBeat = false } = {}) {
    const [now, last] = [this.segmentAt(from), this.#segments.at(-1)];
    const takesOver = last.at <= from || (onBeat && !now.isCountIn);
    const old = takesOver ? now : last;
    const at = takesOver ? from + (onBeat ? toNextBeat(from, now) : 0) : last.at;
    const place = passes((at - old.origin) / old.pass.frames);
    const past = this.#segments.slice(0, this.#segments.indexOf(now) + 1);
    this.#segments = [...past, this.#segment(pattern, at, place)];
  }

  // Continues from a frame, at the same position, with the current `passOf`.
  remake(from) {
    const index = this.#segments.indexOf(this.segmentAt(from));
    const past = this.#segments.slice(0, index + 1);
    const made = [];
    let old = null;
    for (const segment of this.#segments.slice(index)) {
      const before = made.at(-1);
      const begins = before ? placeIn(old, segment.at, before) : Math.max(from, segment.at);
      const place = ((before ? segment.at : begins) - segment.origin) / segment.pass.frames;
      made.push(this.#segment(segment.pattern, begins, place, segment.isCountIn));
      old = segment;
    }
    this.#segments = [...past, ...made];
  }

  segmentAt(frame) {
    return this.#segments.findLast(({ at }) => at <= frame) ?? this.#segments[0] ?? null;
  }

  // The segment that is heard, or that follows the count-in.
  audibleAt(frame) {
    const segment = this.segmentAt(frame);
    return segment?.isCountIn ? this.#segments.at(-1) : segment;
  }

  // Passes since the start, whole and parts, at a frame; a count-in leads to where it begins.
  passesAt(frame) {
    const { at, origin, pass } = this.audibleAt(frame);
    return (Math.max(frame, at) - origin) / pass.frames;
  }

  // The events from a frame on and before another: see `eventsBetween`.
  eventsBetween(from, to) {
    return this.#cut(from, to, ({ pass, origin }, start, stop) =>
      eventsBetween(pass, origin, start, stop),
    );
  }

  // The ticks of a MIDI clock; those of a count-in have the number null.
  ticksBetween(from, to) {
    return this.#cut(from, to, ({ pass, origin, isCountIn }, start, stop) => {
      const ticks = ticksBetween(pass, origin, start, stop);
      return isCountIn ? ticks.map((tick) => ({ ...tick, tick: null })) : ticks;
    });
  }

  forgetBefore(frame) {
    while (this.#segments[1]?.at < frame) this.#segments.shift();
  }

  #segment(pattern, at, place, isCountIn = false) {
    const pass = this.passOf(pattern, isCountIn);
    return { at, origin: at - Math.round(place * pass.frames), pass, pattern, isCountIn };
  }

  #cut(from, to, find) {
    return this.#segments.flatMap((segment, index) => {
      const end = this.#segments[index + 1]?.at ?? Infinity;
      const [start, stop] = [Math.max(from, segment.at), Math.min(to, end)];
      return start < stop ? find(segment, start, stop) : [];
    });
  }
}

// The frame of a remade segment that lies where `frame` does in the old one; a frame early rather
// than late, so that what is taken over from does not strike once more.
function placeIn(old, frame, made) {
  const place = (frame - old.origin) / old.pass.frames;
  return made.origin + Math.floor(place * made.pass.frames - 0.5);
}

// Frames from `frame` to the next beat of a segment, or a part of a frame less.
function toNextBeat(frame, { origin, pass, pattern }) {
  const steps = pattern.bar?.[1] ?? pattern.steps;
  const beat = (pass.frames * pattern.stepsPerBeat) / steps;
  return Math.floor(Math.ceil((frame - origin) / beat) * beat - (frame - origin));
}
