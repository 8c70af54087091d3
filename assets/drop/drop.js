// Files dropped anywhere on the page go to its upload field, as if dropped there.
//
// Data: {field: selector of what contains the field, text: what is said while files are over the
// page}.

const DROPZONE = "[data-testid=stFileUploaderDropzone]"; // handles files dropped on itself

class Drop {
  #depth = 0; // how many nested elements the files are over
  #listening = new AbortController();

  data; // from Python: {text, field}

  constructor(parent) {
    this.root = document.createElement("div");
    this.root.className = "drop";
    this.root.hidden = true;
    parent.append(this.root);
    const { signal } = this.#listening;
    const listen = (type, act) =>
      document.addEventListener(type, (event) => hasFiles(event) && act(event), { signal });
    listen("dragenter", () => this.#show((this.#depth += 1)));
    listen("dragleave", () => this.#show((this.#depth -= 1)));
    listen("dragover", (event) => event.preventDefault());
    listen("drop", (event) => this.#take(event));
  }

  destroy() {
    this.#listening.abort();
  }

  #show(depth) {
    this.root.textContent = this.data.text;
    this.root.hidden = depth <= 0;
  }

  #take(event) {
    this.#show((this.#depth = 0));
    if (event.target.closest?.(DROPZONE)) return;
    event.preventDefault();
    /** @type {HTMLInputElement} */
    const input = document.querySelector(`${this.data.field} input[type=file]`);
    if (!input) return;
    input.files = event.dataTransfer.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

const hasFiles = ({ dataTransfer }) => Boolean(dataTransfer?.types.includes("Files"));

const mounted = new Map(); // parent element → Drop

export default function mount({ data, parentElement }) {
  const drop = mounted.get(parentElement) ?? new Drop(parentElement);
  mounted.set(parentElement, drop);
  drop.data = data;
  return () =>
    setTimeout(() => {
      if (drop.root.isConnected) return;
      drop.destroy();
      mounted.delete(parentElement);
    });
}
