"""What a session keeps while the user moves between pages, and what pages send to one another.

Streamlit forgets a widget's value when the user leaves its page, unless the widget sets
`persist_state="session"`; all other state is in our own variables.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from musicvae_core.latent.results import ModelInfo, Take
from musicvae_core.music.forms import FORMS
from musicvae_core.music.piece import Plays
from pages.shared.collection import Source, library
from pages.shared.names import name_of
from pages.shared.play_settings import PLAYS
from pages.shared.store import History, SessionVar


@dataclass(frozen=True, eq=False)
class Entry:
    """A take, with the user's own name for it.

    Parameters
    ----------
    id
        Unique on its shelf, including the shelf's history.
    take
        The groove and where it came from.
    name
        Two words of its own until the user renames it.
    note
        Where it came from, in words.
    """

    id: str
    take: Take
    name: str
    note: str


@dataclass(frozen=True, eq=False)
class Shelf:
    """The music of a form on the Sample page, in order.

    Parameters
    ----------
    entries
        The contents of the shelf.
    sampled
        The settings of the last sampling: model, number, temperature, seed and prior.
    n_made
        How many entries were made in all.
    """

    entries: tuple[Entry, ...] = ()
    sampled: tuple[object, ...] = ()
    n_made: int = 0

    def renewed(
        self,
        takes: Sequence[Take],
        note: str,
        kept: Collection[str] = (),
        sampled: tuple[object, ...] = (),
    ) -> Shelf:
        """Return the shelf with the entries whose ids are in `kept`, followed by new takes."""
        stay = [entry for entry in self.entries if entry.id in kept]
        return replace(self._with_takes(stay, takes, [], note), sampled=sampled)

    def with_neighbours(self, source: Entry, takes: Sequence[Take]) -> Shelf:
        """Return the shelf with takes inserted right after the entry that they vary."""
        at = 1 + self.entries.index(source)
        return self._with_takes(self.entries[:at], takes, self.entries[at:], f"near {source.name}")

    def with_received(self, take: Take, name: str, note: str) -> Shelf:
        """Return the shelf with a take from elsewhere in first place, under its own name."""
        entry = Entry(str(self.n_made), take, name, note)
        return self._with_entries((entry, *self.entries), 1)

    def renamed(self, entry_id: str, name: str) -> Shelf:
        """Return the shelf with a new name for an entry; an empty one changes nothing."""
        if not name.strip():
            return self
        entries = (
            replace(entry, name=name.strip()) if entry.id == entry_id else entry
            for entry in self.entries
        )
        return replace(self, entries=tuple(entries))

    def find(self, entry_id: str) -> Entry | None:
        """Return the entry with that id, or None if it is no longer on the shelf."""
        return next((entry for entry in self.entries if entry.id == entry_id), None)

    def _with_takes(
        self, before: Sequence[Entry], takes: Sequence[Take], after: Sequence[Entry], note: str
    ) -> Shelf:
        taken = {entry.name for entry in (*before, *after)}
        made: list[Entry] = []
        for number, take in enumerate(takes, start=self.n_made):
            name = name_of(take.z, taken)
            taken.add(name)
            made.append(Entry(str(number), take, name, note))
        return self._with_entries((*before, *made, *after), len(made))

    def _with_entries(self, entries: tuple[Entry, ...], n_new: int) -> Shelf:
        return replace(self, entries=entries, n_made=self.n_made + n_new)


_PLAYS = [form.name for form in FORMS.values()]
_SHELVES: Mapping[Plays, SessionVar[History[Shelf]]] = {
    plays: SessionVar[History[Shelf]](
        "kept.sample.shelf" if plays == "drums" else f"kept.sample.shelf.{plays}",
        History(Shelf()),
        persist_as=tuple[tuple[Entry, ...], tuple[object, ...], int],
        to_saved=lambda history: (history.now.entries, history.now.sampled, history.now.n_made),
        from_saved=lambda saved: History(Shelf(*saved)),
    )
    for plays in _PLAYS
}


class _Shelves:
    """The contents of the Sample page in this session, with an undo for each form of music."""

    def now(self, plays: Plays) -> Shelf:
        """Return the shelf of a form."""
        return _SHELVES[plays].get().now

    def change(self, changed: Shelf, plays: Plays) -> None:
        """Replace the entries of a shelf; `undo` reverts that unless the shelf was empty."""
        history = _SHELVES[plays].get()
        if changed is not history.now:
            is_step = bool(history.now.entries)
            _SHELVES[plays].set(
                history.extended(changed) if is_step else replace(history, now=changed)
            )

    def rename(self, entry_id: str, name: str, plays: Plays) -> None:
        """Rename an entry, also in the undo history; this cannot be undone."""
        history = _SHELVES[plays].get()
        _SHELVES[plays].set(history.mapped(lambda shelf: shelf.renamed(entry_id, name)))

    def can_undo(self, plays: Plays) -> bool:
        """Return whether a shelf had other contents before."""
        return _SHELVES[plays].get().can_undo()

    def undo(self, plays: Plays) -> None:
        """Restore a shelf as before its last change; ids are never reused."""
        history = _SHELVES[plays].get()
        earlier = history.undone()
        _SHELVES[plays].set(replace(earlier, now=replace(earlier.now, n_made=history.now.n_made)))


shelves = _Shelves()


_DESTINATIONS: Mapping[str, Callable[[ModelInfo], bool]] = {
    "Sample": lambda model: True,
    "Morph": lambda model: True,
    "Attributes": lambda model: model.has_vectors,
    "Map": lambda model: model.has_atlas,
    "Long form": lambda model: model.plays == "drums",
    "Groove lab": lambda model: True,
}
"""Titles of the pages that take music, in menu order, and which models they can use."""
_PAGES = SessionVar[Mapping[str, StreamlitPage]]("pages.by_key", {})
_SHARE = "share"
_TO_SHARE = SessionVar[Source | None]("share.source", None)


def _page_key(title: str) -> str:
    """Return the key of a page, used for its slots, its inbox, and as a destination."""
    return title.lower().replace(" ", "_")


def register_pages(pages: Sequence[StreamlitPage]) -> None:
    """Declare which pages the app has, at the start of each run."""
    _PAGES.set({_page_key(page.title): page for page in pages})


def destinations(here: str) -> dict[str, str]:
    """Return where the page of that key can send a groove, for a deck's menu."""
    there = _PAGES.get()
    pages = {_page_key(title): title for title in _DESTINATIONS}
    listed = {key: title for key, title in pages.items() if key in there and key != here}
    return listed | {_SHARE: "Share code…"}


def accepted_forms(models: Sequence[ModelInfo], destination: str) -> list[str]:
    """Return the forms of music that a destination takes: those that its models play."""
    titles = [title for title in _DESTINATIONS if _page_key(title) == destination]
    if not titles:
        return list(FORMS)
    serves = _DESTINATIONS[titles[0]]
    return list({"drums": None} | {m.plays: None for m in models if serves(m)})


def send(destination: str, *sources: Source) -> None:
    """Put one or more sources into a page's inbox and go there; for a callback.

    The destination `share` stays on the page and shows the first groove's share code.
    """
    if destination == _SHARE:
        _TO_SHARE.set(sources[0])
        return
    for source in reversed(sources):
        library.add(source)
    PLAYS.set(sources[0].plays)
    inbox = _inbox(destination)
    waiting = {source.id for source in inbox.get()}
    inbox.set((*inbox.get(), *(source for source in sources if source.id not in waiting)))
    if destination in (pages := _PAGES.get()):
        st.switch_page(pages[destination])


def take_sent(page: str) -> Sequence[Source]:
    """Take everything sent to a page since it was last drawn, oldest first."""
    return _inbox(page).take()


def _inbox(page: str) -> SessionVar[tuple[Source, ...]]:
    return SessionVar(f"kept.{page}.inbox", ())


def take_share_request() -> Source | None:
    """Take the source whose share code was requested, if any."""
    return _TO_SHARE.take()
