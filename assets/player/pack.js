// Data that arrives as bytes: sounds for the engine, notes of cards to come, and files to save. The
// bytes are the length of a JSON header, little-endian, the header and the rest. The header: {kit:
// name, voices: those that play it}, {program: number}, {ahead: key of a deck, and see ahead.js} or
// {save: name, number}.

import { NotesAhead } from "./ahead.js";
import { engine } from "./engine.js";
import { decodePack } from "./kit.js";

const saved = new Set(); // numbers of the saved files, so that a rerun does not save one twice
const decoded = new Map(); // name of a kit or number of a program → a promise of its sounds
const wanted = new Map(); // voice → the kit that was asked for last

async function take({ kit: name, voices = [], program }, bytes) {
  const key = name ?? program;
  for (const voice of voices) wanted.set(voice, name);
  try {
    if (!decoded.has(key)) decoded.set(key, decodePack(bytes));
    const sounds = await decoded.get(key);
    if (name === undefined) engine.setInstrument(program, sounds);
    else engine.setKit(sounds, voices.filter((voice) => wanted.get(voice) === name));
  } catch (error) {
    decoded.delete(key);
    engine.fail(`The sounds of ${name ?? `instrument ${program}`} cannot be played: reload the page. ${error.message}`);
  }
}

function saveFile(name, number, bytes) {
  if (saved.has(number)) return;
  saved.add(number);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([bytes]));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export default function mount({ data }) {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const length = view.getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(data.subarray(4, 4 + length)));
  const rest = data.slice(4 + length);
  if (header.save) saveFile(header.save, header.number, rest);
  else if (header.ahead) engine.ahead.set(header.ahead, new NotesAhead(header, rest.buffer));
  else take(header, rest.buffer);
}
