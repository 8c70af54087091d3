// How a deck's cards play on the window's engine: from the start or a step, the whole groove or one
// bar, and on in phase when what the card shows has changed. Pages, too, may ask for a card to play.

import { onAhead } from "./preview.js";
import { sameHits } from "./score.js";
import { engine } from "../player/engine.js";

const answered = new Set(); // deck and token of every request to play
const begun = new Set(); // those of cards that played before Python had drawn them
const narrow = window.matchMedia("(max-width: 40rem)"); // the page is one column
const stillness = window.matchMedia("(prefers-reduced-motion: reduce)");

export class Playback {
  #shown = null; // the view that was last shown as playing

  constructor(deck, signal) {
    this.deck = deck;
    document.addEventListener("pointerdown", () => this.#unlockIfAsked(), { signal });
    onAhead((asked) => this.#playAhead(asked), signal);
    engine.addEventListener("state", () => this.show(), { signal });
  }

  // The view that is playing, or null.
  get view() {
    return [...this.deck.views.values()].find((view) => this.isOn(view)) ?? null;
  }

  // The view that plays, or played last; undefined if it is of another deck.
  get lastView() {
    return [...this.deck.views.values()].find((view) => this.wasLast(view));
  }

  isOn(view) {
    return Boolean(view.card) && engine.now?.key === this.#keyOf(view);
  }

  // Whether a view plays, or played last: then the space bar plays it.
  wasLast(view) {
    return Boolean(view.card) && (engine.now ?? engine.last)?.key === this.#keyOf(view);
  }

  toggle(view) {
    if (this.isOn(view)) engine.stop();
    else this.#play(view, 0);
  }

  // phase: position in the loop, which is the whole groove or one bar.
  #play(view, phase) {
    if (this.deck.data.problem) return;
    this.deck.use(view);
    engine.play(patternOf(view), { ...this.#identity(view), phase });
  }

  // Switches playback to what the card shows now, in phase.
  playOn(view, options = {}) {
    if (!this.wasLast(view)) return;
    engine.replace(patternOf(view), { ...options, now: this.#identity(view) });
  }

  // The same, for a card that Python has redrawn; before: its pattern until then.
  playOnIfChanged(view, before) {
    const after = patternOf(view);
    if (samePattern(before, after)) return;
    const ratio = view.bar === null ? beatsOf(before) / beatsOf(after) : 1;
    this.playOn(view, { passes: (passes) => passes * ratio });
  }

  // If the groove that plays is gone, a new one takes over on the next beat; in silence, the space bar
  // plays the new one.
  takeOver(view) {
    engine.replace(patternOf(view), { onBeat: true, passes: () => 0, now: this.#identity(view) });
  }

  // Shows what the space bar will play first, and how fast, before anything has played.
  cue(view) {
    if (view && !this.deck.data.problem) engine.cue(patternOf(view), this.#identity(view));
  }

  seek(view, step) {
    const { bar, bars } = view;
    const phase = step / view.card.steps;
    if (bar !== null && Math.floor(phase * bars) !== bar) {
      view.bar = null;
      view.redraw();
    }
    this.#play(view, view.bar === null ? phase : phase * bars - bar);
  }

  // bar: the bar to loop, or null for the whole groove.
  loopBar(view, bar) {
    const { bar: old, bars } = view;
    view.bar = bar;
    view.redraw();
    if (!this.isOn(view)) {
      this.#play(view, 0);
      return;
    }
    const passes = (count) => {
      if (old === null) return count * bars;
      return bar === null ? (old + (count % 1)) / bars : count;
    };
    this.playOn(view, { passes });
  }

  // A page may request that a card plays, once per token; it sounds only if the user has interacted
  // with the page.
  playIfAsked({ key, play }) {
    const asked = `${key} ${play?.[1]}`;
    if (!play || answered.has(asked)) return;
    answered.add(asked);
    const view = this.deck.views.get(play[0]);
    if (!view || navigator.userActivation?.hasBeenActive === false) return;
    if (begun.has(asked)) this.#takeUp(view);
    else this.#play(view, 0);
    if (narrow.matches) view.root.scrollIntoView({ block: "nearest", behavior: "smooth" });
  }

  // A page's request to play comes after the click that caused it; some browsers let
  // sound begin only within one.
  #unlockIfAsked() {
    if (this.deck.data?.play) engine.unlock();
  }

  #playAhead({ deck, model, card, name, token }) {
    const { data } = this.deck;
    const pattern = deck === data?.key && engine.ahead.get(deck)?.patternOf(model, card);
    if (!pattern || data.problem) return;
    begun.add(`${deck} ${token}`);
    engine.play(pattern, { key: `${deck}/${card}`, name });
  }

  // What plays ahead becomes what the card shows, should Python have changed it meanwhile.
  #takeUp(view) {
    this.deck.use(view);
    if (this.isOn(view) && !sameNotes(engine.now.pattern, patternOf(view))) this.playOn(view);
  }

  // Shows on the cards what the engine plays.
  show() {
    const { view } = this;
    const before = this.#shown;
    if (view === before) return;
    this.#shown = view;
    if (before && this.deck.views.get(before.card.id) === before) {
      before.showPlaying(false);
      before.drawPlayhead(null, false);
      if (!view) this.deck.announce(`Stopped ${before.card.name}`);
    }
    if (!view) return;
    view.showPlaying(true);
    this.deck.announce(`Playing ${view.card.name}`);
    this.#drawPlayhead();
  }

  // Draws the playhead in every screen frame while a card plays.
  #drawPlayhead() {
    const frame = () => {
      const { view } = this;
      if (!view) return;
      const { steps } = view.card;
      const phase = phaseOf(view);
      const shown = stillness.matches ? Math.floor(phase * steps) / steps : phase;
      view.drawPlayhead(shown, !stillness.matches);
      this.frame = requestAnimationFrame(frame);
    };
    cancelAnimationFrame(this.frame);
    this.frame = requestAnimationFrame(frame);
  }

  destroy() {
    cancelAnimationFrame(this.frame);
  }

  #identity(view) {
    return { key: this.#keyOf(view), name: view.shown.name ?? view.card.name };
  }

  #keyOf(view) {
    return `${this.deck.data.key}/${view.card.id}`;
  }
}

// The pattern that the engine plays for a card.
export function patternOf({ bar, card, shown }) {
  const { steps_per_beat: stepsPerBeat, steps_per_bar: stepsPerBar } = card.grid;
  const window = bar === null ? null : [bar * stepsPerBar, stepsPerBar];
  const { hits, lines = [] } = shown;
  return { steps: card.steps, stepsPerBeat, stepsPerBar, tempo: card.tempo, hits, lines, bar: window };
}

const beatsOf = ({ steps, stepsPerBeat }) => steps / stepsPerBeat;

function samePattern(some, other) {
  const keys = ["steps", "stepsPerBar", "stepsPerBeat", "tempo", "lines"];
  const isSame = (key) => JSON.stringify(some[key]) === JSON.stringify(other[key]);
  return keys.every(isSame) && sameHits(some.hits, other.hits);
}

// Whether two patterns of one card have the same notes, whatever else is known of their lines.
function sameNotes(some, other) {
  const notes = ({ lines }) => JSON.stringify(lines.map((line) => line.notes));
  return sameHits(some.hits, other.hits) && notes(some) === notes(other);
}

// The playing position in the whole groove.
function phaseOf({ bar, bars }) {
  return bar === null ? engine.phase : (bar + engine.phase) / bars;
}
