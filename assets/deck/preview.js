// What is shown and played briefly until Python answers. The control that asks for it and the deck
// are separate bundles: they communicate through the document.

const PREVIEW = "groove-preview";
const AHEAD = "groove-ahead";

function listen(kind, act, signal) {
  document.addEventListener(kind, (/** @type {CustomEvent} */ { detail }) => act(detail), { signal });
}

// shown: {hits} as in a card, or {notes} of its first line; null for the card's own groove.
export function preview({ deck, card }, shown) {
  document.dispatchEvent(new CustomEvent(PREVIEW, { detail: { deck, card, shown } }));
}

// show: called with {deck, card, shown}.
export function onPreview(show, signal) {
  listen(PREVIEW, show, signal);
}

// Plays a card of a model that Python has not drawn yet, if the engine has its notes; token: that of
// Python's request to play it, which is then answered.
export function playAhead({ deck, model, card, name, token }) {
  document.dispatchEvent(new CustomEvent(AHEAD, { detail: { deck, model, card, name, token } }));
}

// play: called with {deck, model, card, name, token}.
export function onAhead(play, signal) {
  listen(AHEAD, play, signal);
}
