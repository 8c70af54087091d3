// What a card shows and plays for a moment before Python answers. The control that knows it and the
// deck are bundles of their own: they speak through the document.

const PREVIEW = "groove-preview";

// shown: {hits} as in a card, or {notes} of its first line; null for what the card is by itself.
export function preview({ deck, card }, shown) {
  document.dispatchEvent(new CustomEvent(PREVIEW, { detail: { deck, card, shown } }));
}

// show: called with {deck, card, shown}.
export function onPreview(show, signal) {
  document.addEventListener(PREVIEW, (/** @type {CustomEvent} */ { detail }) => show(detail), { signal });
}
