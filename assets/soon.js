// Does something after a moment of quiet, but at once when the listener turns to something else: a
// press, a click, the next control, another page or tab. What is put off longer is lost with its page.

const TURNS = ["pointerdown", "click", "keydown", "popstate", "pagehide", "visibilitychange"];
const waiting = new Set();

function onTurn(event) {
  if (event.type === "keydown" && event.key !== "Tab") return;
  for (const one of [...waiting]) if (!one.isOwn?.(event)) one.now();
}

export class Soon {
  #timer = null;

  // isOwn(event): whether a press or a click is part of what is waited for; none is without it.
  constructor(act, quietMs, isOwn = null) {
    this.act = act;
    this.quietMs = quietMs;
    this.isOwn = isOwn;
  }

  get isWaiting() {
    return this.#timer !== null;
  }

  start() {
    if (!waiting.size) for (const type of TURNS) window.addEventListener(type, onTurn, true);
    waiting.add(this);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.now(), this.quietMs);
  }

  now() {
    if (!this.isWaiting) return;
    this.cancel();
    this.act();
  }

  cancel() {
    clearTimeout(this.#timer);
    this.#timer = null;
    waiting.delete(this);
    if (!waiting.size) for (const type of TURNS) window.removeEventListener(type, onTurn, true);
  }
}
