// Reloads the page, once: see `reload_first_link` in pages/shared/actions.py.

export default function mount() {
  location.reload();
}
