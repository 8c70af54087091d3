// What the root element (class "deck") of a deck shows of it to tests and to the curious, as its
// property `deck`: `analyser`, the AnalyserNode of all that sounds, and `state`, {playing: id or
// null, phase: of the loop, 0 to 1 or null, passes, elapsedSeconds, loopSeconds, mix, held: how
// many {files, buffers} of all decks are in memory, cards: [the data of each, and shown: {hits,
// sound}, place: index in the morph, bar, comparing, differing: in how many cells]}.

export function hookOf(deck, player, sounds) {
  return {
    get analyser() {
      return player.analyser;
    },
    get state() {
      const isPlaying = Boolean(deck.playing);
      return {
        playing: deck.playing?.card.id ?? null,
        phase: isPlaying ? player.phase : null,
        passes: isPlaying ? player.passes : null,
        elapsedSeconds: isPlaying ? player.elapsedSeconds : null,
        loopSeconds: isPlaying ? player.loopSeconds : null,
        mix: deck.mixer.state,
        held: sounds.held,
        cards: [...deck.list.children].map((item) => item.view.state),
      };
    },
  };
}
