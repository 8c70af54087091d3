// What a card shows and plays for a moment before Python answers. The control that knows it and the
// deck are bundles of their own: they speak through the document.

const PREVIEW = "groove-preview";

// hits: as in a card, or null for what the card is by itself.
export function preview({ deck, card }, hits) {
  document.dispatchEvent(new CustomEvent(PREVIEW, { detail: { deck, card, hits } }));
}

// show: called with {deck, card, hits}.
export function onPreview(show, signal) {
  document.addEventListener(PREVIEW, (/** @type {CustomEvent} */ { detail }) => show(detail), { signal });
}
