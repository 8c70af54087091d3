// The deck: cards of grooves that are drawn, played, morphed, edited and saved in the browser.
//
// Streamlit calls the default export again with every rerun. The deck is kept by its parent
// element. Playback belongs to the window's engine (see ../player/engine.js): decks come and go with
// their pages, and the music plays on.
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
// others are drawn anew], …]). If two events come close together, the second may replace the first, so those with a
// revision report all cards that Python has not confirmed. For what tests can inspect, see hook.js.

import { CardView } from "./card.js";
import { element, save } from "./elements.js";
import { hookOf } from "./hook.js";
import { isPlayKey, moveFocus, wantsKey } from "./keyboard.js";
import { onAhead, onPreview } from "./preview.js";
import { TELL_AGAIN_MS } from "./revision.js";
import { sameHits } from "./score.js";
import { engine } from "../player/engine.js";
import { prepareWav, preparedWav } from "../player/wav.js";
import { Later } from "../soon.js";

const decks = new Map(); // parent element → Deck
// For when the user leaves the page and returns, by deck and card:
const histories = new Map(); // edits
const settings = new Map(); // name, star, place in a morph, and changes asked of its tools
const answered = new Set(); // deck and token of every request to play
const begun = new Set(); // those of cards that played before Python had drawn them
let lastUsed = null; // the deck that the space bar controls

const SETTINGS = ["keep", "rename", "move", "change"];
const HOLD_MS = 1500; // after which Python is asked anyway: earlier messages may be lost
const narrow = window.matchMedia("(max-width: 40rem)"); // the page is one column
const stillness = window.matchMedia("(prefers-reduced-motion: reduce)");

class Deck {
  send; // tells Python; set by whoever mounts it
  views = new Map(); // card id → CardView
  #shownPlaying = null; // the view that was last shown as playing
  #held = []; // [event, value] waiting until Python knows everything set before them
  #hasTold = false; // whether the edits that they wait for were sent to Python
  #patience = null;
  #again = {}; // event → when its changes are sent again
  #listening = new AbortController();
  #resizing = new ResizeObserver(() => this.#drawAll());

  constructor(parent) {
    this.list = element("ol", { role: "list", "aria-label": "Grooves" });
    this.voice = element("p", { class: "announcement", "aria-live": "polite" });
    this.root = element("div", { class: "deck" }, this.list, this.voice);
    this.root.deck = hookOf(this, engine);
    parent.append(this.root);
    const { signal } = this.#listening;
    document.addEventListener("keydown", (event) => this.#onKey(event), { signal });
    document.addEventListener("pointerdown", () => this.#unlockIfAsked(), { signal });
    this.root.addEventListener("focusin", (event) => this.#onFocus(event), { signal });
    onPreview((asked) => this.#preview(asked), signal);
    onAhead((asked) => this.#playAhead(asked), signal);
    engine.addEventListener("state", () => this.#showPlaying(), { signal });
    engine.addEventListener("mix", () => this.#drawAll(), { signal });
    engine.addEventListener("stems", (event) => this.#askForStems(event), { signal });
    engine.addEventListener("settled", () => this.#sendHeld(), { signal });
    this.#resizing.observe(this.root);
  }

  // The view that is playing, or null.
  get playing() {
    return [...this.views.values()].find((view) => this.#isOn(view)) ?? null;
  }

  update(data) {
    this.data = data;
    const gone = [...this.views].filter(([id]) => !data.cards.some((card) => card.id === id));
    const lost = gone.some(([, view]) => this.#isOn(view));
    for (const [id, view] of gone) this.#remove(id, view);
    data.cards.forEach((card, index) => this.#place(card, index));
    if (!this.views.has(this.current?.card.id)) this.current = this.#firstView();
    for (const view of this.views.values()) view.setCurrent(view === this.current);
    this.#setStage(this.views.has(this.staged?.card.id) ? this.staged : this.current);
    if (lost && data.follow && this.current) this.#takeOver(this.current);
    this.#cueCurrent();
    this.#playIfAsked(data);
    this.#showPlaying();
    this.#tellNextChanges();
    this.#sendHeld();
    this.#tellWhatWasLost();
  }

  // What was set just before the user left the page, and was lost on its way to Python.
  #tellWhatWasLost() {
    for (const event of SETTINGS) {
      if (this.#unconfirmed(event).length && !this.#again[event]?.isStarted) this.#insist(event);
    }
  }

  // Of the changes asked of one card, each is of what the one before has made.
  #tellNextChanges() {
    const next = [...this.views.values()].filter((view) => view.settings.change.next());
    if (next.length) this.#insist("change");
  }

  // Sends Python a request that depends on the cards and the transport bar, once it knows everything
  // that was set before.
  #ask(event, value) {
    if (!this.data.can[event]) return;
    this.#held.push([event, value]);
    this.#hasTold = false;
    this.#sendHeld();
  }

  #sendHeld() {
    if (!this.#held.length) return;
    if (this.#isSettled()) this.#sendNext();
    else this.#patience ??= setTimeout(() => this.#sendNext(), HOLD_MS);
  }

  #sendNext() {
    clearTimeout(this.#patience);
    this.#patience = null;
    this.#hasTold = false;
    if (this.#held.length && this.root.isConnected) this.send(...this.#held.shift());
  }

  // Whether Python knows all settings; what it does not know yet is sent now, one at a time.
  #isSettled() {
    if (engine.settings?.isUnconfirmed) {
      engine.settings.now();
      return false;
    }
    if (!this.#hasTold) this.#insist("edit");
    this.#hasTold = true; // an edit that Python does not accept is not sent repeatedly
    return !this.#unconfirmed("edit").length && !this.#unconfirmed("change").length;
  }

  // Shows what the space bar will play first, and how fast, before anything has played.
  #cueCurrent() {
    if (this.current && !this.data.problem) engine.cue(patternOf(this.current), this.#identity(this.current));
  }

  toggle(view) {
    if (this.#isOn(view)) engine.stop();
    else this.play(view, 0);
  }

  // phase: position in the loop, which is the whole groove or one bar.
  play(view, phase) {
    if (this.data.problem) return;
    this.#use(view);
    engine.play(patternOf(view), { ...this.#identity(view), phase });
  }

  #use(view) {
    lastUsed = this;
    this.#setCurrent(view);
    this.#setStage(view);
  }

  // What plays ahead becomes what the card shows, should Python have changed it meanwhile.
  #takeUp(view) {
    this.#use(view);
    if (this.#isOn(view) && !soundsAlike(engine.now.pattern, patternOf(view))) this.#playOn(view);
  }

  #playAhead({ deck, model, card, name, token }) {
    const pattern = deck === this.data?.key && engine.ahead.get(deck)?.patternOf(model, card);
    if (!pattern || this.data.problem) return;
    begun.add(`${deck} ${token}`);
    engine.play(pattern, { key: `${deck}/${card}`, name });
  }

  destroy() {
    this.#listening.abort();
    this.#resizing.disconnect();
    cancelAnimationFrame(this.frame);
    if (lastUsed === this) lastUsed = null;
  }

  #identity(view) {
    return { key: this.#keyOf(view), name: view.shown.name ?? view.card.name };
  }

  #keyOf(view) {
    return `${this.data.key}/${view.card.id}`;
  }

  #isOn(view) {
    return Boolean(view.card) && engine.now?.key === this.#keyOf(view);
  }

  // Python saves the stems of what plays, or played last, if it is one of these cards.
  #askForStems(event) {
    const key = (engine.now ?? engine.last)?.key;
    const view = [...this.views.values()].find((one) => this.#keyOf(one) === key);
    if (!view || !this.data.can.stems) return;
    event.preventDefault();
    this.#ask("stems", [view.card.id, view.which]);
  }

  // If the playing groove is gone, a new one takes over on the next beat.
  #takeOver(view) {
    engine.replace(patternOf(view), { onBeat: true, passes: () => 0, now: this.#identity(view) });
  }

  // Shows on the cards what the engine plays.
  #showPlaying() {
    const view = this.playing;
    if (view === this.#shownPlaying) return;
    const before = this.#shownPlaying;
    this.#shownPlaying = view;
    if (before && this.views.get(before.card.id) === before) {
      before.showPlaying(false);
      before.drawPlayhead(null, false);
      if (!view) this.#announce(`Stopped ${before.card.name}`);
    }
    if (!view) return;
    view.showPlaying(true);
    this.#announce(`Playing ${view.card.name}`);
    this.#follow();
  }

  #add(id) {
    const tell = (event, value) => this.data.can[event] && this.send(event, value);
    const act = {
      toggle: (card) => this.toggle(card),
      seek: (card, step) => this.#seek(card, step),
      bar: (card, bar) => {
        this.#loopBar(card, bar);
        tell("bar", [card.card.id, bar]);
      },
      place: (card) => {
        this.#playOn(card);
        card.redrawSoon();
      },
      compare: (card) => this.#playOn(card),
      edited: (card) => this.#playOn(card),
      edit: () => this.#insist("edit"),
      mute: (row, alone) => engine.toggleVoice(row, alone),
      silent: () => engine.silent,
      say: (text) => this.#announce(text),
      set: (event) => this.#insist(event),
      more: ({ card }) => tell("more", card.id),
      change: (card, { tempo = null, humanize = null, locked = [] }) => {
        card.settings.change.add([tempo, humanize, locked]);
        this.#insist("edit");
        this.#tellNextChanges();
      },
      send: (card, destination) => this.#ask("send", [card.card.id, destination]),
      midi: (card) => {
        if (!hasNotes(card)) return this.#ask("midi", [card.card.id, card.which]);
        const { file, midi } = card.shown;
        const bytes = Uint8Array.from(atob(midi), (letter) => letter.charCodeAt(0));
        save(new Blob([bytes], { type: "audio/midi" }), `${file}.mid`);
      },
      wav: (card) => this.#ask("wav", [card.card.id, card.which]),
      // A drag cannot wait for Python: without a file of the notes shown it cannot start.
      midiFile: (card) => {
        if (!hasNotes(card)) {
          this.#isSettled();
          this.#announce("These notes are new: drag again in a moment, or click MIDI");
          return null;
        }
        const [name, type] = [`${card.shown.file}.mid`, "audio/midi"];
        return { name, type, url: `data:${type};base64,${card.shown.midi}` };
      },
      prepareWav: (card) => prepareWav(patternOf(card)),
      wavFile: (card) => preparedWav(`${card.shown.file}.wav`, patternOf(card)),
    };
    const view = new CardView(act, settings.get(`${this.data.key}/${id}`));
    settings.set(`${this.data.key}/${id}`, view.settings);
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
    const old = view.card && patternOf(view);
    const edits = `${this.data.key}/${card.id}`;
    view.update(card, this.data, histories.get(edits));
    if (view.editor) histories.set(edits, view.editor.history);
    if (this.list.children[index] !== view.root) {
      this.list.insertBefore(view.root, this.list.children[index] ?? null);
      view.redraw(); // since it has a width now
    }
    if (!old || samePattern(old, patternOf(view))) return;
    const ratio = view.bar === null ? beatsOf(old) / beatsOf(patternOf(view)) : 1;
    this.#playOn(view, { passes: (passes) => passes * ratio });
  }

  #preview({ deck, card, shown }) {
    const view = deck === this.data?.key && this.views.get(card);
    if (!view || view.preview === shown) return;
    view.preview = shown;
    view.redrawSoon();
    this.#playOn(view);
  }

  // Switches playback to what the card shows now, in phase.
  #playOn(view, options = {}) {
    const isLast = !engine.now && engine.last?.key === this.#keyOf(view);
    if (!this.#isOn(view) && !isLast) return;
    engine.replace(patternOf(view), { ...options, now: this.#identity(view) });
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

  // bar: the bar to loop, or null for the whole groove.
  #loopBar(view, bar) {
    const { bar: old, bars } = view;
    view.bar = bar;
    view.redraw();
    if (!this.#isOn(view)) {
      this.play(view, 0);
      return;
    }
    const passes = (count) => {
      if (old === null) return count * bars;
      return bar === null ? (old + (count % 1)) / bars : count;
    };
    this.#playOn(view, { passes });
  }

  // Tells Python what was set on cards, repeatedly until it confirms. A change is of what an edit has
  // made: it waits as long as that is still being told.
  #insist(event, [delay, ...later] = TELL_AGAIN_MS) {
    const again = (this.#again[event] ??= new Later());
    again.cancel();
    const isTellingEdits = this.#again.edit?.isStarted && this.#unconfirmed("edit").length;
    if (event === "change" && isTellingEdits) return;
    const open = this.#unconfirmed(event);
    if (!open.length || !this.data.can[event] || !this.root.isConnected) return;
    this.send(event, open);
    if (delay) again.start(() => this.#insist(event, later), delay);
  }

  // What was set on cards and Python has not confirmed yet: [[id, revision, …what], …].
  #unconfirmed(event) {
    const own = [...this.views].map(([id, view]) => [id, view.own[event]]);
    const open = own.filter(([, one]) => one?.revision.isUnconfirmed);
    return open.map(([id, { said, revision }]) => [id, revision.number, ...said]);
  }

  #follow() {
    const frame = () => {
      const view = this.playing;
      if (!view) return;
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

  // A page's request to play comes after the click that caused it; some browsers let
  // sound begin only within one.
  #unlockIfAsked() {
    if (this.data?.play) engine.unlock();
  }

  // A page may request that a card plays, once per token; it sounds only if the user has interacted
  // with the page.
  #playIfAsked({ key, play }) {
    const asked = `${key} ${play?.[1]}`;
    if (!play || answered.has(asked)) return;
    answered.add(asked);
    const view = this.views.get(play[0]);
    if (!view || navigator.userActivation?.hasBeenActive === false) return;
    if (begun.has(asked)) this.#takeUp(view);
    else this.play(view, 0);
    if (narrow.matches) view.root.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  #firstView() {
    return this.list.firstElementChild?.view ?? null;
  }

  #setCurrent(view) {
    this.current?.setCurrent(false);
    this.current = view;
    view.setCurrent(true);
    this.#cueCurrent();
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

  get hasFocusedCard() {
    return this.root.getRootNode().activeElement === this.current?.root;
  }

  #onKey(event) {
    if ((lastUsed ?? this) !== this || !wantsKey(event)) return;
    if (this.hasFocusedCard) moveFocus(event, this.current.root);
  }

  #announce(text) {
    this.voice.textContent = text;
  }
}

// Runs before all other listeners, so that the key does not also press a button. If a card has the
// focus, the key plays that card; otherwise it stops playback, or plays what was played last.
function onPlayKey(event) {
  if (event.defaultPrevented || !isPlayKey(event)) return;
  event.preventDefault();
  event.stopPropagation();
  if (event.type !== "keydown" || event.repeat) return;
  const focused = [...decks.values()].find((deck) => deck.hasFocusedCard);
  if (focused) focused.toggle(focused.current);
  else engine.toggle();
}

for (const type of ["keydown", "keyup"]) document.addEventListener(type, onPlayKey, true);

// The pattern that the engine plays for a card.
function patternOf({ bar, card, shown }) {
  const { steps_per_beat: stepsPerBeat, steps_per_bar: stepsPerBar } = card.grid;
  const window = bar === null ? null : [bar * stepsPerBar, stepsPerBar];
  const { hits, lines = [] } = shown;
  return { steps: card.steps, stepsPerBeat, stepsPerBar, tempo: card.tempo, hits, lines, bar: window };
}

const beatsOf = ({ steps, stepsPerBeat }) => steps / stepsPerBeat;

// Whether the MIDI file that Python has sent matches what a card shows, as played now.
function hasNotes({ card, morph, own, shown }) {
  const isBlend = card.morph && morph.isBetween;
  const isOld = engine.settings?.isUnconfirmed || own.edit?.revision.isUnconfirmed;
  return Boolean(shown.midi) && !isBlend && !isOld;
}

function samePattern(some, other) {
  const same = (key) => JSON.stringify(some[key]) === JSON.stringify(other[key]);
  return same("steps") && same("stepsPerBar") && same("stepsPerBeat") && same("tempo") && same("lines") && sameHits(some.hits, other.hits);
}

// Whether two patterns of one card have the same notes, whatever else is known of their lines.
function soundsAlike(some, other) {
  const notes = ({ lines }) => JSON.stringify(lines.map((line) => line.notes));
  return sameHits(some.hits, other.hits) && notes(some) === notes(other);
}

// The position heard now, in the whole groove.
function wholePhase({ bar, bars }) {
  return bar === null ? engine.phase : (bar + engine.phase) / bars;
}

export default function mount({ data, parentElement, setTriggerValue }) {
  const deck = decks.get(parentElement) ?? new Deck(parentElement);
  decks.set(parentElement, deck);
  deck.send = setTriggerValue;
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
