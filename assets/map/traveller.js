// The position of a journey on its path, read from the deck that plays it.

// The decks of the page; each is in its component's shadow tree.
function findDecks() {
  const hosts = [...document.querySelectorAll(".stBidiComponent, .stBidiComponent *")];
  const trees = [document, ...hosts.map((host) => host.shadowRoot).filter(Boolean)];
  return trees.flatMap((tree) => [...tree.querySelectorAll(".deck")]).map((/** @type {any} */ root) => root.deck);
}

// path: {trail, strip: id of the card that morphs along it, piece: id of the card that plays
// it through}. Returns a place on the trail from 0 to its last step, or null when none plays.
export function placeOnPath({ trail, strip, piece }) {
  for (const deck of findDecks()) {
    const { playing, phase, cards } = deck?.state ?? {};
    const card = cards?.find(({ id }) => id === playing);
    if (!card) continue;
    if (playing === strip) return card.place;
    if (playing === piece && phase !== null) {
      return Math.min(phase * trail.length, trail.length - 1);
    }
  }
  return null;
}

// Returns the coordinates at a fractional step of a trail.
export function between(trail, place) {
  const before = Math.floor(place);
  const after = Math.min(before + 1, trail.length - 1);
  return trail[before].map((from, axis) => from + (trail[after][axis] - from) * (place - before));
}
