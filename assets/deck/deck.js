// The deck: cards of grooves that are drawn, played, morphed, edited and saved in the browser.
//
// Streamlit calls the default export again with every rerun. The deck is kept by its parent
// element. Playback belongs to the window's engine (see playback.js and ../player/engine.js): decks
// come and go with their pages, and the music plays on.
//
// Data: {key, labels, problem: why there is no sound or null, can: {event: whether Python listens},
// destinations: [[id, label, forms of music that it takes], …], play: [card id, token] or null,
// follow: whether new cards take over from one that plays and is gone, stage: whether one is shown
// large, cards: [{id, name, note, kept, file, description, grid: {steps_per_beat, steps_per_bar},
// steps, tempo, hits: [[step, row, velocity, offset], …], lines (see docs/player.md; each with its
// scale, the pitch classes from its tonic on), plays: its form, has_drums, midi (base64), editable,
// lineage: what its edits are edits of, humanized, revisions: {edit, keep, rename, move, change}, before:
// {file, hits, lines, description, midi} or null, morph: {rows, columns, ends, at: [x, y], places:
// [{hits, lines, description, midi}, …]} or null}]}.
// Events to Python: more(id), keep([[id, revision, whether it is kept], …]), rename([[id, revision,
// name], …]), move([[id, revision, x, y], …]), edit([[id, revision, hits, notes of each line], …]),
// send([id, destination]), bar([id, bar]), wav and stems([id, which: "now", "before" or the [x, y] of
// its morph]), midi(the same, where no groove lies or what is shown is newer than what Python has
// sent), change([[id, revision, tempo or null, how much to humanize or null, rows to keep while the
// others are redrawn], …]). Those with a revision report all cards that Python has not confirmed,
// see messages.js. For what tests can inspect, see hook.js.

import { CardView } from "./card.js";
import { element, save } from "./elements.js";
import { hookOf } from "./hook.js";
import { isPlayKey, moveFocus, wantsKey } from "./keyboard.js";
import { Messages } from "./messages.js";
import { patternOf, Playback } from "./playback.js";
import { onPreview } from "./preview.js";
import { engine } from "../player/engine.js";
import { prepareWav, preparedWav } from "../player/wav.js";

const decks = new Map(); // parent element → Deck
// For when the user leaves the page and returns, by deck and card:
const histories = new Map(); // edits
const settings = new Map(); // name, star, place in a morph, and changes asked of its tools
let lastUsed = null; // the deck that the space bar controls

class Deck {
  views = new Map(); // card id → CardView
  #listening = new AbortController();
  #resizing = new ResizeObserver(() => this.#drawAll());

  constructor(parent) {
    this.list = element("ol", { role: "list", "aria-label": "Grooves" });
    this.voice = element("p", { class: "announcement", "aria-live": "polite" });
    this.root = element("div", { class: "deck" }, this.list, this.voice);
    this.root.deck = hookOf(this, engine);
    parent.append(this.root);
    const { signal } = this.#listening;
    this.messages = new Messages(this);
    this.playback = new Playback(this, signal);
    document.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    this.root.addEventListener("focusin", (event) => this.#onFocus(event), { signal });
    onPreview((asked) => this.#preview(asked), signal);
    engine.addEventListener("mix", () => this.#drawAll(), { signal });
    engine.addEventListener("stems", (event) => this.#onStems(event), { signal });
    engine.addEventListener("settled", () => this.messages.sendHeld(), { signal });
    this.#resizing.observe(this.root);
  }

  // The view that is playing, or null.
  get playing() {
    return this.playback.view;
  }

  get hasFocusedCard() {
    return this.root.getRootNode().activeElement === this.current?.root;
  }

  update(data) {
    this.data = data;
    const { messages, playback } = this;
    const gone = [...this.views].filter(([id]) => !data.cards.some((card) => card.id === id));
    const lost = gone.some(([, view]) => playback.wasLast(view));
    for (const [id, view] of gone) this.#remove(id, view);
    data.cards.forEach((card, index) => this.#place(card, index));
    if (!this.views.has(this.current?.card.id)) this.current = this.list.firstElementChild?.view ?? null;
    for (const view of this.views.values()) view.setCurrent(view === this.current);
    this.#setStage(this.views.has(this.staged?.card.id) ? this.staged : this.current);
    if (lost && data.follow && this.current) playback.takeOver(this.current);
    playback.cue(this.current);
    playback.playIfAsked(data);
    playback.show();
    messages.sendNextChanges();
    messages.sendHeld();
    messages.sendLost();
  }

  // Makes a card the one that the keys control and, where one is shown large, that one.
  use(view) {
    lastUsed = this;
    this.#setCurrent(view);
    this.#setStage(view);
  }

  announce(text) {
    this.voice.textContent = text;
  }

  destroy() {
    this.#listening.abort();
    this.#resizing.disconnect();
    this.playback.destroy();
    if (lastUsed === this) lastUsed = null;
  }

  #add(id) {
    const key = `${this.data.key}/${id}`;
    const view = new CardView({ ...this.#gestures(), ...this.#files() }, settings.get(key));
    settings.set(key, view.settings);
    this.views.set(id, view);
    return view;
  }

  #remove(id, view) {
    const { root } = view;
    const { activeElement } = this.root.getRootNode();
    if (root.contains(activeElement)) (root.nextSibling ?? root.previousSibling)?.focus();
    root.remove();
    this.views.delete(id);
  }

  #place(card, index) {
    const view = this.views.get(card.id) ?? this.#add(card.id);
    const before = view.card && patternOf(view);
    const edits = `${this.data.key}/${card.id}`;
    view.update(card, this.data, histories.get(edits));
    if (view.editor) histories.set(edits, view.editor.history);
    if (this.list.children[index] !== view.root) {
      this.list.insertBefore(view.root, this.list.children[index] ?? null);
      view.redraw(); // since it has a width now
    }
    if (before) this.playback.playOnIfChanged(view, before);
  }

  // What a card does when its controls are used, apart from its files.
  #gestures() {
    const { messages, playback } = this;
    return {
      toggle: (view) => playback.toggle(view),
      seek: (view, step) => playback.seek(view, step),
      bar: (view, bar) => {
        playback.loopBar(view, bar);
        messages.sendNow("bar", [view.card.id, bar]);
      },
      place: (view) => {
        playback.playOn(view);
        view.redrawSoon();
      },
      compare: (view) => playback.playOn(view),
      edited: (view) => playback.playOn(view),
      edit: () => messages.sendSettings("edit"),
      mute: (row, alone) => engine.toggleVoice(row, alone),
      silent: () => engine.silent,
      say: (text) => this.announce(text),
      set: (event) => messages.sendSettings(event),
      more: (view) => messages.sendNow("more", view.card.id),
      change: (view, { tempo = null, humanize = null, locked = [] }) => {
        view.settings.change.add([tempo, humanize, locked]);
        messages.sendSettings("edit");
        messages.sendNextChanges();
      },
      send: (view, destination) => messages.request("send", [view.card.id, destination]),
    };
  }

  // A card's MIDI and WAV files, to be saved or dragged out of the page.
  #files() {
    const { messages } = this;
    return {
      midi: (view) => {
        if (!hasNotes(view)) return messages.request("midi", [view.card.id, view.which]);
        const { file, midi } = view.shown;
        const bytes = Uint8Array.from(atob(midi), (letter) => letter.charCodeAt(0));
        save(new Blob([bytes], { type: "audio/midi" }), `${file}.mid`);
      },
      // A drag cannot wait for Python: without a file of the notes shown it cannot start.
      midiFile: (view) => {
        if (!hasNotes(view)) {
          messages.settle();
          this.announce("These notes are new: drag again in a moment, or click MIDI");
          return null;
        }
        const [name, type] = [`${view.shown.file}.mid`, "audio/midi"];
        return { name, type, url: `data:${type};base64,${view.shown.midi}` };
      },
      wav: (view) => messages.request("wav", [view.card.id, view.which]),
      prepareWav: (view) => prepareWav(patternOf(view)),
      wavFile: (view) => preparedWav(`${view.shown.file}.wav`, patternOf(view)),
    };
  }

  // Python saves the stems of what plays, or played last, if it is one of these cards.
  #onStems(event) {
    const view = this.playback.lastView;
    if (!view || !this.data.can.stems) return;
    event.preventDefault();
    this.messages.request("stems", [view.card.id, view.which]);
  }

  #preview({ deck, card, shown }) {
    const view = deck === this.data?.key && this.views.get(card);
    if (!view || view.preview === shown) return;
    view.preview = shown;
    view.redrawSoon();
    this.playback.playOn(view);
  }

  #drawAll() {
    for (const view of this.views.values()) view.redraw();
  }

  #setCurrent(view) {
    this.current?.setCurrent(false);
    this.current = view;
    view.setCurrent(true);
    this.playback.cue(view);
  }

  // The card shown large is the one played last: clicking or focusing a card does not move it.
  #setStage(view) {
    this.staged = view;
    const stageOf = (other) => (other === view ? "large" : "small");
    for (const other of this.views.values()) other.setStage(this.data.stage ? stageOf(other) : "");
  }

  #onFocus(event) {
    lastUsed = this;
    const view = event.target.closest(".card")?.view;
    if (view) this.#setCurrent(view);
  }

  #onKey(event) {
    if ((lastUsed ?? this) !== this || !wantsKey(event)) return;
    if (this.hasFocusedCard) moveFocus(event, this.current.root);
  }
}

// Whether the MIDI file that Python has sent matches what a card shows, as played now.
function hasNotes({ card, morph, own, shown }) {
  const isBlend = card.morph && morph.isBetween;
  const isOld = engine.settings?.isUnconfirmed || own.edit?.revision.isUnconfirmed;
  return Boolean(shown.midi) && !isBlend && !isOld;
}

// Runs before all other listeners, so that the key does not also press a button. If a card has the
// focus, the key plays that card; otherwise it stops playback, or plays what was played last.
function onPlayKey(event) {
  if (event.defaultPrevented || !isPlayKey(event)) return;
  event.preventDefault();
  event.stopPropagation();
  if (event.type !== "keydown" || event.repeat) return;
  const focused = [...decks.values()].find((deck) => deck.hasFocusedCard);
  if (focused) focused.playback.toggle(focused.current);
  else engine.toggle();
}

for (const type of ["keydown", "keyup"]) document.addEventListener(type, onPlayKey, true);

export default function mount({ data, parentElement, setTriggerValue }) {
  const deck = decks.get(parentElement) ?? new Deck(parentElement);
  decks.set(parentElement, deck);
  deck.messages.send = setTriggerValue;
  deck.update(data);
  // Streamlit also runs the clean-up of a call replaced by a newer one: only a deck that has
  // left the page is torn down.
  return () =>
    setTimeout(() => {
      if (deck.root.isConnected) return;
      deck.destroy();
      decks.delete(parentElement);
    });
}
