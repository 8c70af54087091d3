// Helpers that build the elements of cards and the transport bar.

const ICONS = {
  play: "M8 5.5v13l11-6.5z",
  stop: "M7 7h10v10H7z",
  more: "M12 4v6h6v3h-6v6H9v-6H3v-3h6V4zM18 15h2v2h2v2h-2v2h-2v-2h-2v-2h2z",
  keep: "M12 3.6l2.6 5.3 5.8.8-4.2 4.1 1 5.8-5.2-2.7-5.2 2.7 1-5.8-4.2-4.1 5.8-.8z",
  undo: "M8.500 5.500v3.500H14a5 5 0 0 1 0 10H8v-2h6a3 3 0 0 0 0-6H8.500v3.500L3.500 10z",
  redo: "M15.500 5.500v3.500H10a5 5 0 0 0 0 10h6v-2h-6a3 3 0 0 1 0-6h5.500v3.500l5-4.500z",
  send: "M13 5l7 7-7 7-1.400-1.400 4.600-4.600H4v-2h12.200l-4.600-4.600z",
};

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function icon(name) {
  const template = document.createElement("template");
  template.innerHTML = `<svg viewBox="0 0 24 24" aria-hidden="true"><path d="${ICONS[name]}"/></svg>`;
  return template.content;
}

export function button(name, glyph, label, onClick) {
  const made = element("button", { type: "button", class: name });
  if (glyph) made.append(icon(glyph));
  if (label) made.append(element("span", {}, label));
  made.addEventListener("click", onClick);
  return made;
}

// Shows or hides a control, with its name for the eye and for screen readers.
export function labelled(control, text, shown = true) {
  control.hidden = !shown;
  control.setAttribute("aria-label", text);
  control.title = text;
}

export function save(blob, fileName) {
  const link = element("a", { href: URL.createObjectURL(blob), download: fileName });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// Makes a button draggable out of the page as a file; file(): {name, type, url}, or null.
export function dragsOut(control, file) {
  control.draggable = true;
  control.addEventListener("dragstart", (event) => {
    const dragged = file();
    if (!dragged) event.preventDefault();
    else event.dataTransfer.setData("DownloadURL", `${dragged.type}:${dragged.name}:${dragged.url}`);
  });
}
