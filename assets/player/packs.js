// The sounds of this window, from packs that are fetched and decoded once, and what plays with them.

import { Delay } from "../debounce.js";
import { engine } from "./engine.js";
import { decodePack } from "./kit.js";
import { KitChoice } from "./kits.js";

class Packs {
  choice = new KitChoice(new Delay());
  fetchedAhead = Promise.resolve(); // for tests: until all that was fetched ahead is there
  #decoded = new Map(); // name of a kit or number of a program → a promise of its sounds
  #fetched = new Map(); // name of a kit that is not decoded yet → a promise of its pack
  #wanted = new Map(); // voice → the kit that was asked for last

  // Chooses a kit for a voice, or for all if that is null, and notifies Python. It is heard when its pack
  // has come from a folder of packs; a pack that is not there yet comes by way of Python.
  choose([name, voice], folder) {
    this.choice.choose([name, voice]);
    const kit = this.choice.of(voice);
    this.#play(kit, this.choice.voicesOf(voice), folder + fileOf(kit)).catch(() => {});
  }

  // Fetches the packs of kits that may be chosen soon, one after the other, so that the choice of one
  // has only to decode it. A pack that the server has not made yet is left to the choice.
  fetchAhead(names, folder) {
    if (/** @type {any} */ (navigator).connection?.saveData) return;
    this.fetchedAhead = this.#fetchAll(names, folder);
  }

  async #fetchAll(names, folder) {
    for (const name of names) {
      if (!this.#decoded.has(name)) await this.#fetch(name, folder + fileOf(name)).catch(() => {});
    }
  }

  // Takes a kit from Python, unless another has been chosen since.
  async takeKit(name, voices, address) {
    const { choice } = this;
    const own = voices.filter((voice) => !choice.isUnconfirmed || choice.of(voice) === name);
    try {
      await this.#play(name, own, address);
    } catch (error) {
      fail(name, error);
    }
  }

  async takeInstrument(program, bytes) {
    try {
      engine.setInstrument(program, await this.#sounds(program, async () => bytes));
    } catch (error) {
      fail(`instrument ${program}`, error);
    }
  }

  async #play(name, voices, address) {
    for (const voice of voices) this.#wanted.set(voice, name);
    const kit = await this.#sounds(name, () => this.#fetch(name, address));
    this.#fetched.delete(name);
    const others = voices.filter((voice) => this.#wanted.get(voice) === name && engine.kitOf(voice) !== kit);
    if (others.length) engine.setKit(kit, others);
  }

  #fetch(name, address) {
    if (!this.#fetched.has(name)) this.#fetched.set(name, fetchPack(address));
    const pack = this.#fetched.get(name);
    pack.catch(() => this.#fetched.delete(name));
    return pack;
  }

  #sounds(key, load) {
    if (!this.#decoded.has(key)) this.#decoded.set(key, load().then(decodePack));
    const sounds = this.#decoded.get(key);
    sounds.catch(() => this.#decoded.delete(key));
    return sounds;
  }
}

function fail(what, { message }) {
  engine.fail(`The sounds of ${what} cannot be played: reload the page. ${message}`);
}

async function fetchPack(address) {
  const answer = await fetch(new URL(address, document.baseURI));
  if (!answer.ok) throw new Error(`The server answers ${answer.status}.`);
  return answer.arrayBuffer();
}

// As `_file_of` in pages/shared/transport.py.
function fileOf(kit) {
  const bytes = Array.from(new TextEncoder().encode(kit), (byte) => byte.toString(16).padStart(2, "0"));
  return `${bytes.join("")}.pack`;
}

// The packs of this window, made at their first use.
const KEY = Symbol.for("groove-space.packs");
export const packs = (globalThis[KEY] ??= new Packs());
