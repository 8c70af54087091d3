// Timers that respect how Streamlit leaves a page.
//
// `Debounce` acts after a moment of quiet, but at once when the user turns to something else: a press, a
// click, the next control, another page or tab. Anything put off longer would be lost with its page.
// `Delay` acts after a fixed time, but never while another page is loading.

const TURN_EVENTS = ["pointerdown", "click", "keydown", "popstate", "pagehide", "visibilitychange"];
const ON_ITS_WAY_MS = 60; // how long Streamlit takes to pass a change on
const LEAVING_MS = 60_000; // longest wait for a page that was asked for
const waiting = new Set();
let leaving = null; // the path of the page that was asked for, and how long to wait for it
let sentAt = -Infinity; // when something was last sent

function onTurn(event) {
  if (event.type === "keydown" && event.key !== "Tab") return;
  for (const one of [...waiting]) if (!one.isOwn?.(event)) one.now();
}

// Streamlit would ask for the other page before it sends the change, and then send that in the name
// of the old page, which comes back. A press of the pointer lasts longer, one of the Enter key does not.
function onLink(event) {
  const link = event.composedPath().find((node) => node instanceof HTMLAnchorElement);
  const isPage = link?.origin === location.origin && !link.download && !event.ctrlKey && !event.metaKey;
  if (!isPage) return;
  if (performance.now() - sentAt > ON_ITS_WAY_MS) {
    leaving = { to: link.pathname, until: performance.now() + LEAVING_MS };
    return;
  }
  event.preventDefault();
  event.stopImmediatePropagation();
  setTimeout(() => link.click(), ON_ITS_WAY_MS);
}

for (const type of TURN_EVENTS) window.addEventListener(type, onTurn, true);
window.addEventListener("click", onLink, true);

function isLeaving() {
  return leaving !== null && location.pathname !== leaving.to && performance.now() < leaving.until;
}

// Acts after a delay, but not between a click on a page's link and the arrival of that page: Streamlit
// would then drop the page.
export class Delay {
  #timer = null;

  // Whether it was started, and has not been cancelled since.
  get isStarted() {
    return this.#timer !== null;
  }

  start(act, delayMs) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => (isLeaving() ? this.start(act, delayMs) : act()), delayMs);
  }

  cancel() {
    clearTimeout(this.#timer);
    this.#timer = null;
  }
}

export class Debounce {
  #timer = null;

  // isOwn(event): whether a press or a click belongs to what is being debounced and so does not end the
  // wait; by default none does.
  constructor(act, quietMs, isOwn = null) {
    this.act = act;
    this.quietMs = quietMs;
    this.isOwn = isOwn;
  }

  get isWaiting() {
    return this.#timer !== null;
  }

  start() {
    waiting.add(this);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.now(), this.quietMs);
  }

  now() {
    if (!this.isWaiting) return;
    this.cancel();
    sentAt = performance.now();
    this.act();
  }

  cancel() {
    clearTimeout(this.#timer);
    this.#timer = null;
    waiting.delete(this);
  }
}
