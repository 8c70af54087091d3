// Turns a pattern into events at frames of an audio clock. Uses neither sound nor browser.
//
// A pattern: {steps, stepsPerBeat, stepsPerBar, tempo, hits: [[step, voice, velocity, offset], …],
// lines: [{name, program, gain, notes: [[step, steps, pitch, velocity], …]}, …], bar: [first step,
// number of steps] to loop a part of it alone, or null}. `playback` is how it is played: {tempo: bpm, or null
// for the pattern's own; swing: 0 to 1, of a triplet; feel: how much of its timing and dynamics is
// kept, 1 for all; isAudible(channel): whether a channel sounds; clicks: whether beats click}. Channels
// are the nine voices of the kit, and the lines after them.

export const N_VOICES = 9;
export const MAX_LINES = 4;
export const N_CHANNELS = N_VOICES + MAX_LINES;
export const CLICK = -1; // the channels of the metronome
export const ACCENT = -2;
const LEVELS = 127;
const LATEST = 0.499; // offsets stay below half a step
const TRIPLET = 1 / 3; // of a step: how late the second of two steps is when swung in full
const HATS = new Set([2, 3]); // closed and open: one instrument; each hit chokes the one before
const TICKS_A_BEAT = 24; // of a MIDI clock

export const isHat = (voice) => HATS.has(voice);
export const levelOf = (velocity) => Math.max(1, Math.min(LEVELS, rounded(velocity * LEVELS)));

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
// Rounds halves to even, like NumPy in the renderer: at 120 bpm halves are common.
function rounded(value) {
  const nearest = Math.round(value);
  return nearest - value === 0.5 && nearest % 2 ? nearest - 1 : nearest;
}

const modulo = (value, by) => ((value % by) + by) % by;

function framesOfStep({ stepsPerBeat, tempo: own }, { tempo }, rate) {
  return (60 * rate) / ((tempo ?? own) * stepsPerBeat);
}

// The delay of a step by swing: every second step of a beat, if a beat has an even number of steps.
const lateness = (step, swing, stepsPerBeat) =>
  Math.floor(step) % 2 && stepsPerBeat % 2 === 0 ? swing * TRIPLET : 0;

// The mean of the values of each key, [[key, value], …], towards which less feel draws velocities.
function means(pairs) {
  const sums = new Map();
  for (const [key, value] of pairs) {
    const [sum, count] = sums.get(key) ?? [0, 0];
    sums.set(key, [sum + value, count + 1]);
  }
  return new Map([...sums].map(([key, [sum, count]]) => [key, sum / count]));
}

const felt = (velocity, mean, feel) => clamp(mean + feel * (velocity - mean), 1 / LEVELS, 1);

// Hits as played: [step, voice, velocity, offset] with swing and feel.
export function performed(hits, { swing = 0, feel = 1 }, stepsPerBeat) {
  if (swing === 0 && feel === 1) return hits;
  const mean = means(hits.map(([, voice, velocity]) => [voice, velocity]));
  return hits.map(([step, voice, velocity, offset]) => [
    step,
    voice,
    felt(velocity, mean.get(voice), feel),
    clamp(feel * offset + lateness(step, swing, stepsPerBeat), -0.5, LATEST),
  ]);
}

// Notes of a line as played: swing moves their starts and ends.
export function performedNotes(notes, { swing = 0, feel = 1 }, stepsPerBeat) {
  if (swing === 0 && feel === 1) return notes;
  const mean = means(notes.map(([, , , velocity]) => [0, velocity])).get(0);
  return notes.map(([step, steps, pitch, velocity]) => {
    const [start, end] = [step, step + steps].map((at) => at + lateness(at, swing, stepsPerBeat));
    return [start, end - start, pitch, felt(velocity, mean, feel)];
  });
}

// One pass of a pattern: {frames, ticks: of a MIDI clock, events: [{frame, voice: its channel,
// level}, …] in the order of time}; those of lines have {pitch, program, gain, length: in
// frames}, too. The frames are those of the server's renderer.
export function passOf(pattern, playback, rate) {
  const stepFrames = framesOfStep(pattern, playback, rate);
  const [first, steps] = pattern.bar ?? [0, pattern.steps];
  const frames = rounded(steps * stepFrames);
  const isIn = (step) => step >= first && step < first + steps;
  const events = performed(pattern.hits, playback, pattern.stepsPerBeat)
    .filter(([step, voice]) => isIn(step) && playback.isAudible(voice))
    .map(([step, voice, velocity, offset]) => ({
      frame: modulo(rounded((step - first + offset) * stepFrames), frames),
      voice,
      level: levelOf(velocity),
    }));
  (pattern.lines ?? []).forEach(({ program, gain = 1, notes }, index) => {
    const voice = N_VOICES + index;
    if (!playback.isAudible(voice)) return;
    for (const [step, length, pitch, velocity] of performedNotes(notes, playback, pattern.stepsPerBeat)) {
      if (!isIn(step)) continue;
      const [start, end] = [step, step + length].map((at) => rounded((at - first) * stepFrames));
      const level = levelOf(velocity);
      events.push({ frame: start % frames, voice, level, pitch, program, gain, length: end - start });
    }
  });
  if (playback.clicks) events.push(...clicksOf(pattern, first, steps, stepFrames));
  const ticks = Math.round((TICKS_A_BEAT * steps) / pattern.stepsPerBeat);
  return { frames, ticks, events: events.sort((a, b) => a.frame - b.frame || a.voice - b.voice) };
}

function clicksOf({ stepsPerBeat, stepsPerBar }, first, steps, stepFrames) {
  const beats = Math.ceil(steps / stepsPerBeat);
  return Array.from({ length: beats }, (_, beat) => {
    const step = beat * stepsPerBeat;
    const isFirst = (first + step) % stepsPerBar === 0;
    return { frame: rounded(step * stepFrames), voice: isFirst ? ACCENT : CLICK, level: LEVELS };
  });
}

// A bar of clicks as long as the bars of a pattern.
export function countInOf({ stepsPerBeat, stepsPerBar, tempo }) {
  const empty = { hits: [], lines: [], bar: null };
  return { steps: stepsPerBar, stepsPerBeat, stepsPerBar, tempo, ...empty };
}

// The events of a looping pass that began at frame `origin`, from frame `from` on and before `to`:
// [{frame of the clock, voice, level}, …] in the order of time.
export function eventsBetween({ frames, events }, origin, from, to) {
  const found = [];
  if (!events.length) return found;
  for (let pass = Math.floor((from - origin) / frames); origin + pass * frames < to; pass += 1) {
    const start = origin + pass * frames;
    for (const event of events) {
      const frame = start + event.frame;
      if (frame >= from && frame < to) found.push({ ...event, frame });
    }
  }
  return found;
}

// The ticks of a MIDI clock in the same stretch: [{frame, tick: its number within the pass}, …].
export function ticksBetween({ frames, ticks }, origin, from, to) {
  const found = [];
  const period = frames / ticks;
  for (let number = Math.floor((from - 1 - origin) / period); ; number += 1) {
    const frame = Math.ceil(origin + number * period);
    if (frame >= to) return found;
    if (frame >= from) found.push({ frame, tick: modulo(number, ticks) });
  }
}
