// For tests and debugging: the root element (class "deck") of a deck exposes, in its property
// `deck`: `engine`, see ../player/engine.js; `analyser`, the AnalyserNode of all that
// sounds; and `state`, {playing: id or null, phase: of the loop, 0 to 1 or null, passes, loopSeconds,
// mix: {muted, soloed, volume}, cards: [the data of each, and shown: {hits}, place: index in the
// morph, bar, comparing, differing: in how many cells]}.

export function hookOf(deck, engine) {
  return {
    engine,
    get analyser() {
      return engine.analyser;
    },
    get state() {
      const { playing } = deck;
      return {
        playing: playing?.card.id ?? null,
        phase: playing ? engine.phase : null,
        passes: playing ? engine.passes : null,
        loopSeconds: playing ? engine.loopSeconds : null,
        elapsedSeconds: playing && engine.loopSeconds ? engine.passes * engine.loopSeconds : null,
        mix: { muted: [...engine.muted], soloed: [...engine.soloed], volume: engine.volume },
        cards: [...deck.list.children].map((item) => item.view.state),
      };
    },
  };
}
