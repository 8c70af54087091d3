// The deck: cards of grooves that are drawn, played and saved in the browser.
//
// Streamlit calls the default export again with every rerun. The deck is kept by its parent
// element, so that a loop plays on through reruns.
//
// Data: {labels, problem, can: {more, keep, rename}, cards: [{id, name, note, kept, file,
// description, steps, tempo, hits: [[step, row, velocity, offset], …], midi (base64),
// sound (address of a WAV file, or null)}]}.
// Events to Python: more(id), keep(id), rename([id, name]).
//
// For tests and the curious, the root element (class "deck") has a property `deck` with
// `analyser`, the AnalyserNode of all that sounds, and `state`, {playing: id or null, phase:
// 0 to 1 or null, elapsedSeconds, loopSeconds, cards}; each card's element says in data-sound
// whether its sound is "none", "loading", "ready" or "failed".

import { CardView } from "./card.js";
import { moveFocus, wantsKey } from "./keyboard.js";
import { Player } from "./player.js";
import { Sounds } from "./sounds.js";

const player = new Player();
const sounds = new Sounds();
const decks = new Map(); // parent element → Deck
let lastUsed = null; // the deck that the space bar speaks to

const stillness = window.matchMedia("(prefers-reduced-motion: reduce)");

function save(blob, fileName) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = fileName;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

class Deck {
  views = new Map(); // card id → CardView
  playing = null; // the view that sounds
  #listening = new AbortController();
  #resizing = new ResizeObserver(() => this.#drawAll());

  constructor(parent) {
    this.root = document.createElement("div");
    this.root.className = "deck";
    this.list = document.createElement("ol");
    this.list.setAttribute("role", "list");
    this.list.setAttribute("aria-label", "Grooves");
    this.voice = document.createElement("p");
    this.voice.className = "announcement";
    this.voice.setAttribute("aria-live", "polite");
    this.root.append(this.list, this.voice);
    this.root.deck = this.#describe();
    parent.append(this.root);
    const { signal } = this.#listening;
    document.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    this.root.addEventListener("focusin", (event) => this.#onFocus(event), { signal });
    this.#resizing.observe(this.root);
  }

  update(data) {
    for (const [id, view] of this.views) {
      if (!data.cards.some((card) => card.id === id)) this.#remove(id, view);
    }
    data.cards.forEach((card, index) => {
      const view = this.views.get(card.id) ?? this.#add(card.id);
      const changed = view.card && view.card.sound !== card.sound;
      view.update(card, data);
      if (this.list.children[index] !== view.root) {
        this.list.insertBefore(view.root, this.list.children[index] ?? null);
      }
      if (changed && view === this.playing) this.#playOn(view);
    });
    if (!this.views.has(this.current?.card.id)) this.current = this.#firstView();
    for (const view of this.views.values()) view.setCurrent(view === this.current);
    this.#drawAll();
    this.#fetchSounds(data.cards);
  }

  async toggle(view) {
    if (view === this.playing) this.stop();
    else await this.play(view, 0);
  }

  async play(view, phase) {
    if (!view.card.sound) return;
    lastUsed = this;
    this.#setCurrent(view);
    player.unlock();
    this.wanted = view;
    try {
      const buffer = await sounds.buffer(view.card.sound);
      if (this.wanted !== view) return; // another card was chosen meanwhile
      player.owner?.silence();
      player.start(buffer, this, phase);
      this.playing = view;
      view.showPlaying(true);
      this.#announce(`Playing ${view.card.name}`);
      this.#follow();
    } catch (error) {
      view.root.dataset.sound = "failed";
      this.#announce(`${view.card.name} could not be loaded: reload the page. ${error.message}`);
    }
  }

  stop() {
    if (!this.playing) return;
    this.#announce(`Stopped ${this.playing.card.name}`);
    this.silence();
    player.stop();
  }

  // Shows that nothing of this deck sounds any more.
  silence() {
    this.wanted = null;
    const view = this.playing;
    this.playing = null;
    view?.showPlaying(false);
    view?.draw(null, false);
  }

  destroy() {
    this.stop();
    this.#listening.abort();
    this.#resizing.disconnect();
    if (lastUsed === this) lastUsed = null;
  }

  #add(id) {
    const view = new CardView({
      toggle: (card) => this.toggle(card),
      seek: (card, step) => this.play(card, step / card.card.steps),
      keep: (card) => {
        card.showKept(!card.card.kept); // at once; Python confirms it
        this.send("keep", card.card.id);
      },
      rename: (card, name) => this.send("rename", [card.card.id, name]),
      more: (card) => {
        card.more.disabled = true;
        this.send("more", card.card.id);
      },
      midi: ({ card }) => {
        const bytes = Uint8Array.from(atob(card.midi), (letter) => letter.charCodeAt(0));
        save(new Blob([bytes], { type: "audio/midi" }), `${card.file}.mid`);
      },
      wav: async ({ card }) => save(await sounds.blob(card.sound), `${card.file}.wav`),
    });
    this.views.set(id, view);
    return view;
  }

  #remove(id, view) {
    if (view === this.playing) this.stop();
    view.root.remove();
    this.views.delete(id);
  }

  // The same card with another tempo or kit: carry on from the same place in the loop.
  async #playOn(view) {
    const buffer = await sounds.buffer(view.card.sound);
    if (view === this.playing) player.start(buffer, this, player.phase);
  }

  #follow() {
    const frame = () => {
      if (!this.playing || player.owner !== this) return;
      const { steps } = this.playing.card;
      const phase = stillness.matches ? Math.floor(player.phase * steps) / steps : player.phase;
      this.playing.draw(phase, !stillness.matches);
      this.frame = requestAnimationFrame(frame);
    };
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(frame);
  }

  #drawAll() {
    for (const view of this.views.values()) if (view !== this.playing) view.draw(null, false);
  }

  // In the order of the cards, one after the other: the first is ready soonest.
  async #fetchSounds(cards) {
    sounds.keepOnly(new Set([...decks.values()].flatMap((deck) => deck.#addresses())));
    for (const { id, sound } of cards) {
      const { dataset } = this.views.get(id)?.root ?? {};
      if (!dataset) continue;
      dataset.sound = sound ? "loading" : "none";
      if (!sound) continue;
      const arrived = await sounds.blob(sound).then(
        () => "ready",
        () => "failed",
      );
      if (this.views.get(id)?.card.sound === sound) dataset.sound = arrived;
    }
  }

  #addresses() {
    return [...this.views.values()].map((view) => view.card.sound);
  }

  #firstView() {
    return this.list.firstElementChild?.view ?? null;
  }

  #setCurrent(view) {
    this.current?.setCurrent(false);
    this.current = view;
    view.setCurrent(true);
  }

  #onFocus(event) {
    lastUsed = this;
    const view = event.target.closest(".card")?.view;
    if (view) this.#setCurrent(view);
  }

  #onKey(event) {
    if ((lastUsed ?? this) !== this || !wantsKey(event)) return;
    if (event.key === " " && this.current) {
      event.preventDefault();
      this.toggle(this.playing ?? this.current);
    } else if (this.root.getRootNode().activeElement === this.current?.root) {
      moveFocus(event, this.current.root);
    }
  }

  #announce(text) {
    this.voice.textContent = text;
  }

  #describe() {
    const deck = this;
    return {
      get analyser() {
        return player.analyser;
      },
      get state() {
        return {
          playing: deck.playing?.card.id ?? null,
          phase: deck.playing ? player.phase : null,
          elapsedSeconds: deck.playing ? player.elapsedSeconds : null,
          loopSeconds: deck.playing ? player.loopSeconds : null,
          cards: [...deck.list.children].map((item) => item.view.card),
        };
      },
    };
  }
}

export default function mount({ data, parentElement, setTriggerValue }) {
  const deck = decks.get(parentElement) ?? new Deck(parentElement);
  decks.set(parentElement, deck);
  deck.send = setTriggerValue;
  deck.update(data);
  // Streamlit also runs the clean-up of a call that a newer one overtook: only a deck that has
  // left the page is torn down.
  return () =>
    setTimeout(() => {
      if (deck.root.isConnected) return;
      deck.destroy();
      decks.delete(parentElement);
    });
}
