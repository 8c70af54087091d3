// The deck: cards of grooves that are drawn, played, morphed, edited and saved in the browser.
//
// Streamlit calls the default export again with every rerun. The deck is kept by its parent
// element, so that a loop plays on through reruns.
//
// Data: {key, labels, problem, can: {event: whether Python listens}, mix: [muted rows, soloed
// rows, volume, revision], destinations: [[id, label], …], play: [card id, token] or null,
// cards: [{id, name, note, kept, file, description, steps, tempo, hits: [[step, row, velocity,
// offset], …], midi (base64), sound (address of a FLAC or WAV file, or null), editable,
// revisions: {edit, keep}, before: {file, hits, description, midi, sound} or null, morph: {rows,
// columns, ends, at: [x, y], places: [{hits, description, midi, sound}, …]} or null}]}.
// Events to Python: more(id), keep([[id, revision, whether it is kept], …]), rename([id, name]),
// move([id, x, y]), edit([[id, revision, hits], …]), mix([muted, soloed, volume, revision]),
// send([id, destination]), bar([id, bar]). Of two that come close together the second may take the
// place of the first, so `keep` and `edit` tell of all cards that Python has not confirmed.
//
// Each card's element says in data-sound whether what it shows is "none", "loading", "ready" or
// "failed", and in data-ahead how many sounds of its morph are decoded; for the rest that tests
// may want to know, see hook.js.

import { barOf } from "./bars.js";
import { CardView } from "./card.js";
import { element, save } from "./elements.js";
import { hookOf } from "./hook.js";
import { moveFocus, wantsKey } from "./keyboard.js";
import { Loader } from "./loading.js";
import { Mixer } from "./mixing.js";
import { Player } from "./player.js";
import { sameHits } from "./score.js";
import { Sounds } from "./sounds.js";

const player = new Player();
const sounds = new Sounds();
const loader = new Loader(sounds);
const decks = new Map(); // parent element → Deck
const histories = new Map(); // deck and card → edits, for when the page is left and found again
const played = new Set(); // deck and token of all that was asked to be played
let lastUsed = null; // the deck that the space bar speaks to

const stillness = window.matchMedia("(prefers-reduced-motion: reduce)");

class Deck {
  views = new Map(); // card id → CardView
  playing = null; // the view that sounds
  wanted = null; // {view} of what is to sound as soon as its file is there
  #listening = new AbortController();
  #resizing = new ResizeObserver(() => this.#drawAll());

  constructor(parent) {
    this.list = element("ol", { role: "list", "aria-label": "Grooves" });
    this.voice = element("p", { class: "announcement", "aria-live": "polite" });
    this.mixer = new Mixer({
      volume: (level) => (player.volume = level),
      send: (mix) => this.send("mix", mix),
      draw: () => this.#drawAll(),
    });
    this.root = element("div", { class: "deck" }, this.mixer.root, this.list, this.voice);
    this.root.deck = hookOf(this, player, sounds);
    parent.append(this.root);
    const { signal } = this.#listening;
    document.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    document.addEventListener("pointerdown", () => this.#unlockIfAsked(), { signal });
    this.root.addEventListener("focusin", (event) => this.#onFocus(event), { signal });
    this.#resizing.observe(this.root);
  }

  update(data) {
    this.data = data;
    this.mixer.update(data.mix, data.labels, data.can.mix);
    for (const [id, view] of this.views) {
      if (!data.cards.some((card) => card.id === id)) this.#remove(id, view);
    }
    data.cards.forEach((card, index) => this.#place(card, index));
    if (!this.views.has(this.current?.card.id)) this.current = this.#firstView();
    for (const view of this.views.values()) view.setCurrent(view === this.current);
    sounds.keepOnly(new Set([...decks.values()].flatMap((deck) => deck.#addresses())));
    loader.load(data.cards.map(({ id }) => this.views.get(id)));
    this.#playIfAsked(data);
  }

  async toggle(view) {
    if (this.#isOn(view)) this.stop();
    else await this.play(view, 0);
  }

  // phase: of what loops, the whole or one bar.
  async play(view, phase) {
    const { sound } = view.shown;
    if (!sound) return;
    lastUsed = this;
    this.#setCurrent(view);
    player.unlock();
    const wish = { view };
    this.wanted = wish;
    try {
      const buffer = await sounds.buffer(sound);
      if (this.wanted !== wish) return; // stopped, or another wish came meanwhile
      player.owner?.silence();
      player.start(loopOf(view, buffer), this, phase);
      this.playing = view;
      view.showPlaying(true);
      view.showProblem(null);
      this.#announce(`Playing ${view.card.name}`);
      this.#follow();
      if (view.shown.sound !== sound) this.#playOn(view);
      if (view.card.before?.sound) sounds.buffer(view.card.before.sound).catch(() => {});
    } catch (error) {
      this.#fail(view, error);
    } finally {
      if (this.wanted === wish) this.wanted = null;
    }
  }

  stop() {
    this.wanted = null;
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
    view?.drawPlayhead(null, false);
  }

  destroy() {
    this.stop();
    this.#listening.abort();
    this.#resizing.disconnect();
    for (const view of this.views.values()) loader.forget(view);
    if (lastUsed === this) lastUsed = null;
  }

  // Says on the card, too, that its sound cannot be had.
  #fail(view, error) {
    const text = `${view.card.name} could not be loaded: reload the page. ${error.message}`;
    loader.show(view, "failed");
    view.showProblem(text);
    this.#announce(text);
  }

  // Whether a view sounds, or is about to.
  #isOn(view) {
    return view === this.playing || view === this.wanted?.view;
  }

  #add(id) {
    const tell = (event, value) => this.data.can[event] && this.send(event, value);
    const view = new CardView({
      toggle: (card) => this.toggle(card),
      seek: (card, step) => this.#seek(card, step),
      bar: (card, bar) => {
        this.#loopBar(card, bar);
        tell("bar", [card.card.id, bar]);
      },
      place: (card) => {
        loader.moveTo(card);
        this.#playOn(card);
        loader.show(card);
        card.redrawSoon();
      },
      compare: (card) => {
        this.#playOn(card);
        loader.show(card);
      },
      moved: (card, at) => tell("move", [card.card.id, ...at]),
      edited: (card) => (card.editedInPass = Math.floor(player.passes)),
      edit: () => tell("edit", this.#unconfirmed("edit")),
      mute: (row, alone) => this.data.can.mix && this.mixer.toggle(row, alone),
      silent: () => this.mixer.silent,
      say: (text) => this.#announce(text),
      keep: () => tell("keep", this.#unconfirmed("keep")),
      rename: (card, name) => tell("rename", [card.card.id, name]),
      more: ({ card }) => tell("more", card.id),
      send: (card, destination) => tell("send", [card.card.id, destination]),
      midi: ({ shown }) => {
        const bytes = Uint8Array.from(atob(shown.midi), (letter) => letter.charCodeAt(0));
        save(new Blob([bytes], { type: "audio/midi" }), `${shown.file}.mid`);
      },
      wav: (card) => this.#saveWav(card),
    });
    this.views.set(id, view);
    return view;
  }

  async #saveWav(view) {
    const { file, sound } = view.shown;
    try {
      save(await sounds.wav(sound), `${file}.wav`);
      view.showProblem(null);
    } catch (error) {
      this.#fail(view, error);
    }
  }

  #remove(id, view) {
    if (this.#isOn(view)) this.stop();
    loader.forget(view);
    const { root } = view;
    const { activeElement } = this.root.getRootNode();
    if (root.contains(activeElement)) (root.nextSibling ?? root.previousSibling)?.focus();
    root.remove();
    this.views.delete(id);
  }

  #place(card, index) {
    const view = this.views.get(card.id) ?? this.#add(card.id);
    const old = view.card && { ...view.card, sound: view.shown.sound };
    const edits = `${this.data.key}/${card.id}`;
    view.update(card, this.data, histories.get(edits));
    if (view.editor) histories.set(edits, view.editor.history);
    if (this.list.children[index] !== view.root) {
      this.list.insertBefore(view.root, this.list.children[index] ?? null);
      view.redraw(); // now that it has a width
    }
    if (view !== this.playing || old.sound === view.shown.sound) return;
    // Another groove comes in where the loop begins anew, or at once when the listener has
    // waited for that already; another tempo, kit or mix at once.
    const isEdit = !card.morph && !sameHits(old.hits, card.hits);
    const waited = view.editedInPass < Math.floor(player.passes);
    const ratio = view.bar === null ? old.steps / card.steps : 1;
    this.#playOn(view, { atSeam: isEdit && !waited, passes: (passes) => passes * ratio });
    if (isEdit) view.editedInPass = undefined;
  }

  // Lets what the card shows now take over from what it showed, in phase.
  #playOn(view, options) {
    const { sound } = view.shown;
    if (view !== this.playing) return;
    if (!sound) {
      this.stop();
      return;
    }
    const takeOver = (buffer) => player.switchTo(loopOf(view, buffer), options);
    const ready = sounds.ready(sound);
    if (ready) {
      takeOver(ready);
      return;
    }
    const stillWanted = () => view === this.playing && view.shown.sound === sound;
    sounds.buffer(sound).then(
      (buffer) => stillWanted() && takeOver(buffer),
      (error) => stillWanted() && this.#fail(view, error),
    );
  }

  #seek(view, step) {
    const { bar, bars } = view;
    const phase = step / view.card.steps;
    if (bar !== null && Math.floor(phase * bars) !== bar) {
      view.bar = null;
      view.redraw();
    }
    this.play(view, view.bar === null ? phase : phase * bars - bar);
  }

  // bar: the one to loop alone, or null for the whole.
  #loopBar(view, bar) {
    const { bar: old, bars } = view;
    view.bar = bar;
    view.redraw();
    if (view !== this.playing) {
      this.play(view, 0);
      return;
    }
    const passes = (count) => {
      if (old === null) return count * bars;
      return bar === null ? (old + (count % 1)) / bars : count;
    };
    this.#playOn(view, { passes });
  }

  // What was set on cards and Python has not confirmed yet: [[id, revision, what], …].
  #unconfirmed(event) {
    const own = [...this.views].map(([id, view]) => [id, view.own[event]]);
    const open = own.filter(([, one]) => one?.revision.isUnconfirmed);
    return open.map(([id, { now, revision }]) => [id, revision.number, now]);
  }

  #follow() {
    const frame = () => {
      const view = this.playing;
      if (!view || player.owner !== this) return;
      const { steps } = view.card;
      const phase = wholePhase(view);
      const shown = stillness.matches ? Math.floor(phase * steps) / steps : phase;
      view.drawPlayhead(shown, !stillness.matches);
      this.frame = requestAnimationFrame(frame);
    };
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(frame);
  }

  #drawAll() {
    for (const view of this.views.values()) view.redraw();
  }

  // What a page asks to be played comes after the click that it answers; some browsers let
  // sound begin only within one.
  #unlockIfAsked() {
    if (this.data?.play) player.unlock();
  }

  // A page may ask for a card to be played, once a token; it sounds only on a page that the
  // listener has touched.
  #playIfAsked({ key, play }) {
    const asked = `${key} ${play?.[1]}`;
    if (!play || played.has(asked)) return;
    played.add(asked);
    const view = this.views.get(play[0]);
    if (view && navigator.userActivation?.hasBeenActive !== false) this.play(view, 0);
  }

  #addresses() {
    return [...this.views.values()].flatMap((view) => view.sounds);
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
    const isFocused = this.root.getRootNode().activeElement === this.current?.root;
    if (event.key === " " && this.current) {
      event.preventDefault();
      this.toggle(isFocused ? this.current : (this.playing ?? this.current));
    } else if (isFocused) {
      moveFocus(event, this.current.root);
    }
  }

  #announce(text) {
    this.voice.textContent = text;
  }
}

function loopOf({ bar, bars }, buffer) {
  return bar === null ? buffer : barOf(buffer, bar, bars);
}

// Where in the whole groove the ear is.
function wholePhase({ bar, bars }) {
  return bar === null ? player.phase : (bar + player.phase) / bars;
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
