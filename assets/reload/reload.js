// Loads the page anew, once: see `reload_first_link` in pages/shared/actions.py.

export default function mount() {
  location.reload();
}
