// A button that copies a text to the clipboard, and confirms it.
//
// Data: {text, label}.

const DONE_MS = 2_000;

// Pages without HTTPS cannot use the clipboard API.
function copyBySelecting(text) {
  const field = document.createElement("textarea");
  field.value = text;
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("the browser refuses");
}

async function copy(text) {
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else copyBySelecting(text);
}

export default function mount({ data, parentElement }) {
  const known = parentElement.querySelector("button");
  const button = known ?? document.createElement("button");
  button.type = "button";
  button.textContent = data.label;
  button.onclick = async () => {
    button.textContent = await copy(data.text).then(
      () => "Copied",
      () => "Select the code and copy it",
    );
    setTimeout(() => (button.textContent = data.label), DONE_MS);
  };
  if (!known) parentElement.append(button);
}
