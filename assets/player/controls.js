// Controls of the transport bar and its mixer.

import { element } from "../deck/elements.js";

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

// A slider with its name above it; a double click resets it. `show(value)` moves it.
export function dial(label, title, [min, max, usual], onInput) {
  const hint = `${title}; double-click to reset`;
  const input = element("input", { type: "range", min, max, step: 0.01 });
  Object.assign(input, { title: hint, ariaLabel: label });
  const show = (value) => {
    input.value = value;
    input.style.setProperty("--level", (value - min) / (max - min));
  };
  input.addEventListener("input", () => onInput(Number(input.value)));
  input.addEventListener("dblclick", () => onInput(usual));
  return { show, root: element("label", { class: "dial" }, element("span", {}, label), input) };
}

export function chip(label, title, onClick) {
  const made = element("button", { class: "chip", type: "button", title }, label);
  made.addEventListener("click", onClick);
  return made;
}

// A drop-down list: when closed, it shows the short name, up to the colon.
export function picker(label, onChoose) {
  const select = element("select", { "aria-label": label });
  const shown = element("span", { "aria-hidden": "true" });
  const root = element("div", { class: "chip picker" }, shown, select);
  const showChosen = () => {
    shown.textContent = select.selectedOptions[0]?.textContent.split(":")[0] ?? "";
  };
  let known = "";
  select.addEventListener("change", () => {
    showChosen();
    onChoose(select.value);
  });
  return {
    root,
    select,
    // options: [[value, text], …]; more: the same, grouped under a heading.
    show(options, value, more = {}) {
      const now = JSON.stringify([options, more]);
      if (now !== known) {
        const made = (all) => all.map(([name, text]) => element("option", { value: name }, text));
        const groups = Object.entries(more).filter(([, all]) => all.length);
        const apart = groups.map(([name, all]) => element("optgroup", { label: name }, ...made(all)));
        select.replaceChildren(...made(options), ...apart);
        known = now;
      }
      select.value = value;
      showChosen();
    },
  };
}
