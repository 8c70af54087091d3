// WAV files made in the browser, to be dragged out of a card. A drag needs its file at once, so the
// file is made when the pointer is over the button.

import { engine } from "./engine.js";

const LONGEST_SECONDS = 60;
const HEADER_BYTES = 44;
const FULL_SCALE = 32_767;

let prepared = { key: null, url: null };

// The identity of a file: the same music played the same way is the same file.
const keyOf = (pattern) => JSON.stringify([pattern, engine.playback, [...engine.silent], engine.levels]);

const isLong = ({ steps, stepsPerBeat, tempo }) =>
  (steps / stepsPerBeat) * (60 / (engine.playback.tempo ?? tempo)) > LONGEST_SECONDS;

export async function prepareWav(pattern) {
  const key = keyOf(pattern);
  if (prepared.key === key || isLong(pattern) || !engine.sounds.canPlay(pattern)) return;
  if (prepared.url) URL.revokeObjectURL(prepared.url);
  prepared = { key, url: null };
  const bytes = wavBytes(await engine.renderPass(pattern, { clicks: false }));
  if (prepared.key === key) prepared.url = URL.createObjectURL(new Blob([bytes], { type: "audio/wav" }));
}

// {name, type, url} of a file that is ready, or null.
export function preparedWav(name, pattern) {
  const isReady = prepared.url && prepared.key === keyOf(pattern);
  return isReady ? { name, type: "audio/wav", url: prepared.url } : null;
}

// A WAV file of 16 bits of what has {numberOfChannels, length, sampleRate, getChannelData(channel)}.
export function wavBytes(sound) {
  const { numberOfChannels, length, sampleRate } = sound;
  const frameBytes = 2 * numberOfChannels;
  const view = new DataView(new ArrayBuffer(HEADER_BYTES + length * frameBytes));
  const text = (at, letters) =>
    [...letters].forEach((letter, index) => view.setUint8(at + index, letter.charCodeAt(0)));
  text(0, "RIFF");
  view.setUint32(4, HEADER_BYTES - 8 + length * frameBytes, true);
  text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); // bytes of this part
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, numberOfChannels, true);
  view.setUint32(24, sampleRate, true);
  view.setUint32(28, sampleRate * frameBytes, true);
  view.setUint16(32, frameBytes, true);
  view.setUint16(34, 16, true); // bits a sample
  text(36, "data");
  view.setUint32(40, length * frameBytes, true);
  for (let channel = 0; channel < numberOfChannels; channel += 1) {
    sound.getChannelData(channel).forEach((sample, frame) => {
      const level = Math.round(FULL_SCALE * Math.min(Math.max(sample, -1), 1));
      view.setInt16(HEADER_BYTES + frame * frameBytes + 2 * channel, level, true);
    });
  }
  return view.buffer;
}
