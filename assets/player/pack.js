// Data that arrives as bytes: sounds for the engine, notes of cards to come, and files to save. The
// bytes are the length of a JSON header, little-endian, the header and the rest. The header: {kit:
// name, voices: those that play it, address: of its pack}, {program: number}, {ahead: key of a deck,
// and see ahead.js} or {save: name, number}.

import { NotesAhead } from "./ahead.js";
import { engine } from "./engine.js";
import { packs } from "./packs.js";

const saved = new Set(); // numbers of the saved files, so that a rerun does not save one twice

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
  else if (header.kit) packs.takeKit(header.kit, header.voices, header.address);
  else packs.takeInstrument(header.program, rest.buffer);
}
