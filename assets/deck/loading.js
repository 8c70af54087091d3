// Gets the sounds of cards before they are played, and says on each card how far that is.

import { Ahead } from "./ahead.js";

export class Loader {
  #sounds;

  constructor(sounds) {
    this.#sounds = sounds;
  }

  // Files in the order of the cards, one after the other: the first is ready soonest. A morph's
  // are decoded too, so that none has to be waited for.
  async load(views) {
    for (const view of views) this.#lookAhead(view);
    for (const view of views.filter(({ card }) => !card.morph)) {
      const { sound } = view.shown;
      this.show(view, sound ? "loading" : "none");
      if (!sound) continue;
      const arrived = await this.#sounds.blob(sound).then(
        () => "ready",
        () => "failed",
      );
      if (view.shown.sound === sound) this.show(view, arrived);
    }
  }

  moveTo(view) {
    view.ahead?.moveTo(view.morph.index);
  }

  forget(view) {
    view.ahead?.show([]);
  }

  // state: what data-sound is to say; without it, whether the sound can be played by now.
  show(view, state) {
    const { sound } = view.shown;
    const { dataset } = view.root;
    const { morph } = view.card;
    const isReady = (place) => Boolean(this.#sounds.ready(place.sound));
    if (morph) {
      dataset.ahead = morph.places.filter(isReady).length;
      view.morph.showReady((index) => isReady(morph.places[index]));
    }
    dataset.sound = state ?? (!sound ? "none" : this.#sounds.ready(sound) ? "ready" : "loading");
  }

  #lookAhead(view) {
    const { morph } = view.card;
    view.ahead ??= morph && new Ahead(this.#sounds, () => this.show(view));
    if (!view.ahead) return;
    const spot = (place, index) => ({
      ...place,
      x: index % morph.columns,
      y: Math.floor(index / morph.columns),
    });
    view.ahead.show(morph ? morph.places.map(spot) : [], view.morph.index);
    this.show(view);
  }
}
