// The tools of a card, hidden until opened: keep some voices and regenerate the rest, humanize it, or
// give it its own tempo. Python does the work, as an edit that can be undone.

import { button, element } from "./elements.js";

const MIN_BPM = 20;
const MAX_BPM = 400;

export class Tools {
  #locked = new Set(); // rows

  // change: called with {locked: rows}, {humanize: 0 to 1} or {tempo}.
  constructor(change) {
    this.locks = element("div", { class: "locks", role: "group", "aria-label": "Voices to keep" });
    this.rest = button("rest", "more", "Change the rest", () =>
      change({ locked: [...this.#locked].sort((a, b) => a - b) }),
    );
    this.amount = element("input", { type: "range", min: 0, max: 1, step: 0.05 });
    this.amount.addEventListener("change", () => change({ humanize: Number(this.amount.value) }));
    this.amount.addEventListener("input", () => this.#showAmount());
    this.percent = element("output", {});
    this.tempo = element("input", { type: "number", min: MIN_BPM, max: MAX_BPM, step: 1 });
    this.tempo.addEventListener("change", () => {
      if (this.tempo.checkValidity() && this.tempo.value) change({ tempo: Number(this.tempo.value) });
      else this.tempo.value = Math.round(this.card.tempo);
    });
    this.root = element(
      "div",
      { class: "tools", hidden: "" },
      element("span", { class: "tool" }, element("b", {}, "Keep"), this.locks, this.rest),
      element("label", { class: "tool" }, element("b", {}, "Humanize"), this.amount, this.percent),
      element("label", { class: "tool" }, element("b", {}, "Tempo"), this.tempo),
    );
  }

  get isOpen() {
    return !this.root.hidden;
  }

  set isOpen(isOpen) {
    this.root.hidden = !isOpen;
  }

  get controls() {
    return [...this.locks.children, this.rest, this.amount, this.tempo];
  }

  update(card, labels) {
    this.card = card;
    if (!this.locks.children.length) labels.forEach((label, row) => this.#addLock(label, row));
    this.amount.setAttribute("aria-label", `Humanize ${card.name}`);
    this.amount.value = card.humanized;
    this.#showAmount();
    this.tempo.setAttribute("aria-label", `Tempo of ${card.name}, beats a minute`);
    if (this.tempo !== this.root.getRootNode().activeElement) {
      this.tempo.value = Math.round(card.tempo);
    }
  }

  #addLock(label, row) {
    const lock = button("lock", "", label, () => {
      if (!this.#locked.delete(row)) this.#locked.add(row);
      lock.setAttribute("aria-pressed", String(this.#locked.has(row)));
    });
    lock.setAttribute("aria-pressed", "false");
    lock.setAttribute("aria-label", `Keep ${label}`);
    lock.style.setProperty("--voice", `var(--deck-voice-${row})`);
    this.locks.append(lock);
  }

  #showAmount() {
    this.percent.textContent = `${Math.round(100 * this.amount.value)}%`;
  }
}
