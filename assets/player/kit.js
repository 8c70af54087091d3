// Sounds, sent once as packs: see musicvae_core/sound/kit_pack.py. A kit has the nine
// voices of the drums, an instrument has notes of a few pitches.

import { N_VOICES } from "./pattern.js";

const VERSION = 2;
const CLICK_SECONDS = 0.03;

// Returns the Kit or Instrument of a pack's bytes, an ArrayBuffer.
export async function decodePack(bytes) {
  const view = new DataView(bytes);
  const headerBytes = view.getUint32(0, true);
  const text = new TextDecoder().decode(new Uint8Array(bytes, 4, headerBytes));
  const header = JSON.parse(text);
  if (header.version !== VERSION) throw new Error("These sounds are of another version: reload the page.");
  // At the rate of the data: at any other the browser would resample.
  const decoder = new OfflineAudioContext({ numberOfChannels: 2, length: 1, sampleRate: header.rate });
  const sounds = await decoder.decodeAudioData(bytes.slice(4 + headerBytes));
  return header.voices ? new Kit(header, sounds) : new Instrument(header, sounds);
}

// All sounds: a kit for each voice, and instruments by program.
export class Sounds {
  kits = Array(N_VOICES).fill(null);
  instruments = new Map();

  // The sound of an event: {buffer, gain, …}; null for silence.
  /** @param {any} event */
  of({ voice, level, program, pitch }) {
    if (voice < N_VOICES) return this.kits[voice]?.note(voice, level) ?? null;
    return this.instruments.get(program)?.note(pitch, level) ?? null;
  }

  // Whether all sounds that a pattern needs have loaded.
  canPlay({ lines = [] }) {
    return this.kits.every(Boolean) && lines.every(({ program }) => this.instruments.has(program));
  }
}

class Kit {
  #voices; // of each voice, its layers from the loudest down: [{buffer, low, high, peak}, …]

  constructor({ voices, knee, ceiling }, sounds) {
    this.mastering = { knee, ceiling };
    this.#voices = voices.map((layers) =>
      layers.map(([start, length, low, high, peak]) => ({
        buffer: cut(sounds, start, length),
        low,
        high,
        peak,
      })),
    );
  }

  // The sound of a voice at a level of 1 to 127.
  note(voice, level) {
    const layer = this.#voices[voice]?.find(({ low }) => level >= low);
    return layer?.buffer ? { buffer: layer.buffer, gain: layer.peak * (level / layer.high) ** 2 } : null;
  }
}

class Instrument {
  #notes; // [{pitch, buffer, gain, loop: [start, end] in seconds or null, falls}, …]

  // levels: at which the notes were struck, and at which a soft release was measured.
  constructor({ rate, levels, notes }, sounds) {
    this.levels = levels;
    this.#notes = notes.map(([pitch, start, length, gain, loopStart, ...falls]) => ({
      pitch,
      buffer: cut(sounds, start, length),
      gain,
      loop: loopStart === null ? null : [loopStart / rate, length / rate],
      falls, // decibels a second after the end of the note, at the two levels
    }));
  }

  // The sound of a pitch: the nearest note, resampled.
  note(pitch, level) {
    const away = (note) => Math.abs(note.pitch - pitch);
    const near = this.#notes.reduce((best, note) => (away(note) < away(best) ? note : best));
    if (!near.buffer) return null;
    const { buffer, loop, falls } = near;
    const [usual, soft] = this.levels;
    const gain = near.gain * (level / usual) ** 2;
    const fall = falls[0] * (falls[1] / falls[0]) ** ((usual - level) / (usual - soft));
    return { buffer, gain, loop, fall, rate: 2 ** ((pitch - near.pitch) / 12) };
  }
}

function cut(sounds, start, length) {
  if (!length) return null;
  const { numberOfChannels, sampleRate } = sounds;
  const buffer = new AudioBuffer({ length, numberOfChannels, sampleRate });
  for (let channel = 0; channel < numberOfChannels; channel += 1) {
    buffer.copyToChannel(sounds.getChannelData(channel).subarray(start, start + length), channel);
  }
  return buffer;
}

// The sound of a metronome: a short decaying tone.
export function clickSound(sampleRate, hertz) {
  const length = Math.round(CLICK_SECONDS * sampleRate);
  const buffer = new AudioBuffer({ length, numberOfChannels: 1, sampleRate });
  const samples = buffer.getChannelData(0);
  for (let frame = 0; frame < length; frame += 1) {
    const decay = (1 - frame / length) ** 3;
    samples[frame] = decay * Math.sin((2 * Math.PI * hertz * frame) / sampleRate);
  }
  return buffer;
}
