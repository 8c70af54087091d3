// Which keys the deck handles, and where the arrow keys go.

const MINE = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"]);
const THEIRS =
  "input, textarea, select, button, summary, [contenteditable], [role]:not(li, canvas)";
const NO_TEXT = new Set(["button", "checkbox", "color", "file", "radio", "range", "reset", "submit"]);

const isModified = ({ ctrlKey, metaKey, altKey, shiftKey }) =>
  ctrlKey || metaKey || altKey || shiftKey;

// Whether a key is typed into a text field, or selects in a list.
export function isTyped(event) {
  const [target] = event.composedPath();
  if (!(target instanceof Element)) return false;
  if (target.matches("textarea, select, [contenteditable]:not([contenteditable=false])")) return true;
  return target instanceof HTMLInputElement && !NO_TEXT.has(target.type);
}

// Whether an event is a press of the space bar that is not meant for a text field. Buttons do not
// use the key, since they may have the focus only from the last click; Enter presses them. A
// checkbox, which accepts no other key, keeps it if it was reached by keyboard.
export function isPlayKey(event) {
  if (event.key !== " " || isModified(event) || isTyped(event)) return false;
  const [target] = event.composedPath();
  return !(target instanceof Element) || !target.matches("[type=checkbox]:focus-visible, [role=grid]");
}

// Ignores keys typed in a field or meant for a button, a slider or a shortcut. Links do not use these
// keys, and the link to this page keeps the focus after the click on it.
export function wantsKey(event) {
  if (!MINE.has(event.key) || event.defaultPrevented || isModified(event)) return false;
  const [target] = event.composedPath();
  return !(target instanceof Element) || target === document.body || !target.matches(THEIRS);
}

// 1 for an undo key, -1 for a redo key, 0 for others.
export function undoOf(event) {
  if (!(event.ctrlKey || event.metaKey) || event.altKey) return 0;
  const key = event.key.toLowerCase();
  if (key === "z") return event.shiftKey ? -1 : 1;
  return key === "y" ? -1 : 0;
}

// Moves the focus from a card to the one in the key's direction; the cards form a grid.
export function moveFocus(event, card) {
  const cards = [...card.parentElement.children];
  const rows = Map.groupBy(cards, (other) => other.offsetTop);
  const columns = Math.max(...[...rows.values()].map((row) => row.length));
  const last = cards.length - 1;
  const at = cards.indexOf(card);
  const to = {
    ArrowLeft: at - 1,
    ArrowRight: at + 1,
    ArrowUp: at - columns,
    ArrowDown: at + columns,
    Home: 0,
    End: last,
  }[event.key];
  if (to < 0 || to > last) return;
  event.preventDefault();
  cards[to].focus();
}
