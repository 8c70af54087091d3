// A button that opens a short menu, by click or arrow keys; Escape or a click elsewhere closes it.

import { button, element } from "./elements.js";

export class Menu {
  #listening = null;

  constructor(glyph, label, choose) {
    this.choose = choose;
    this.button = button("opens", glyph, label, () => (this.isOpen ? this.close() : this.open()));
    this.button.setAttribute("aria-haspopup", "menu");
    this.button.setAttribute("aria-expanded", "false");
    this.list = element("div", { class: "menu", role: "menu", hidden: "" });
    this.root = element("div", { class: "menu-root" }, this.button, this.list);
    this.root.addEventListener("keydown", (event) => this.#onKey(event));
  }

  get isOpen() {
    return !this.list.hidden;
  }

  // choices: [[id, label], …]
  update(choices) {
    this.root.hidden = !choices.length;
    const shown = JSON.stringify(choices);
    if (shown === this.shown) return;
    this.shown = shown;
    this.list.replaceChildren(
      ...choices.map(([id, label]) => {
        const item = button("item", "", label, () => {
          this.close();
          this.choose(id);
        });
        item.setAttribute("role", "menuitem");
        item.tabIndex = -1;
        return item;
      }),
    );
  }

  open() {
    this.list.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    this.list.firstElementChild.focus();
    this.#listening = new AbortController();
    const { signal } = this.#listening;
    const closeElsewhere = (event) => event.composedPath().includes(this.root) || this.close(false);
    document.addEventListener("pointerdown", closeElsewhere, { signal, capture: true });
  }

  close(takesFocus = true) {
    this.#listening?.abort();
    this.list.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
    if (takesFocus) this.button.focus();
  }

  #onKey(event) {
    const items = [...this.list.children];
    const at = items.indexOf(this.root.getRootNode().activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (event.key === "Escape" && this.isOpen) this.close();
    else if (event.key === "ArrowDown" && !this.isOpen) this.open();
    else if (to !== undefined && this.isOpen) items.at(to % items.length).focus();
    else if (event.key === "Tab" && this.isOpen) return this.close(false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
