// What a card shows and plays briefly until Python answers. The control that sends it and the deck
// are separate bundles: they communicate through the document.

const PREVIEW = "groove-preview";

// shown: {hits} as in a card, or {notes} of its first line; null for the card's own groove.
export function preview({ deck, card }, shown) {
  document.dispatchEvent(new CustomEvent(PREVIEW, { detail: { deck, card, shown } }));
}

// show: called with {deck, card, shown}.
export function onPreview(show, signal) {
  document.addEventListener(PREVIEW, (/** @type {CustomEvent} */ { detail }) => show(detail), { signal });
}
