"""What a session keeps while the listener moves between pages, and what they send one another.

Streamlit forgets a widget's value with its page, unless the widget says otherwise
(`persist_state="session"`); what is no widget's value is kept here, under keys of our own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from musicvae_core.latent.results import ModelInfo, Take
from musicvae_core.music.forms import FORMS, Plays
from pages.shared.actions import action
from pages.shared.collection import Source, library
from pages.shared.lasting import lasting, lasting_settings
from pages.shared.names import name_of


def shelf(plays: Plays = "drums") -> Shelf:
    """Return the music of a form on the Sample page."""
    kept: Shelf = st.session_state.setdefault(_shelf_key(plays), Shelf())
    return kept


def keep_shelf(changed: Shelf, plays: Plays = "drums") -> None:
    """Keep the music of a form on the Sample page."""
    st.session_state[_shelf_key(plays)] = changed


def _shelf_key(plays: str) -> str:
    return "kept.sample.shelf" if plays == "drums" else f"kept.sample.shelf.{plays}"


@dataclass(frozen=True, eq=False)
class Entry:
    """A take with what the listener made of it.

    Parameters
    ----------
    id
        Unique on its shelf, over all its past too.
    take
        The groove and where it came from.
    name
        Two words of its own until the listener gives another.
    note
        Where it came from, in words.
    """

    id: str
    take: Take
    name: str
    note: str


@dataclass(frozen=True, eq=False)
class Shelf:
    """Entries in order, and the shelves before each change.

    Parameters
    ----------
    entries
        What is on the shelf.
    sampled
        The settings that the last sampling used: model, number, temperature, seed and prior.
    past
        Entries and settings before each change, oldest first.
    n_made
        How many entries there were in all.
    """

    entries: tuple[Entry, ...] = ()
    sampled: tuple[object, ...] = ()
    past: tuple[tuple[tuple[Entry, ...], tuple[object, ...]], ...] = ()
    n_made: int = 0

    def renewed(
        self,
        takes: Sequence[Take],
        note: str,
        kept: Collection[str] = (),
        sampled: tuple[object, ...] = (),
    ) -> Shelf:
        """Return the shelf with new takes behind the entries whose ids are in `kept`."""
        stay = [entry for entry in self.entries if entry.id in kept]
        return replace(self._with_takes(stay, takes, [], note), sampled=sampled)

    def with_neighbours(self, source: Entry, takes: Sequence[Take]) -> Shelf:
        """Return the shelf with the takes placed right after the entry that they are near."""
        at = 1 + self.entries.index(source)
        return self._with_takes(self.entries[:at], takes, self.entries[at:], f"near {source.name}")

    def with_received(self, take: Take, name: str, note: str) -> Shelf:
        """Return the shelf with a take from elsewhere before all others, under its own name."""
        entry = Entry(str(self.n_made), take, name, note)
        return self._with_entries((entry, *self.entries), 1)

    def renamed(self, entry_id: str, name: str) -> Shelf:
        """Return the shelf with a new name, here and in its past; an empty one changes nothing."""
        if not name.strip():
            return self

        def rename(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
            return tuple(
                replace(entry, name=name.strip()) if entry.id == entry_id else entry
                for entry in entries
            )

        past = tuple((rename(entries), sampled) for entries, sampled in self.past)
        return replace(self, entries=rename(self.entries), past=past)

    def undone(self) -> Shelf:
        """Return the shelf before the last set of takes came in; the same where there is none."""
        if not self.past:
            return self
        entries, sampled = self.past[-1]
        return replace(self, entries=entries, sampled=sampled, past=self.past[:-1])

    def find(self, entry_id: str) -> Entry | None:
        """Return the entry of that id, or None where it has left the shelf."""
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
        before = (self.entries, self.sampled)
        past = (*self.past, before) if self.entries else self.past
        return replace(self, entries=entries, past=past, n_made=self.n_made + n_new)


for _form in FORMS:
    lasting(
        _shelf_key(_form),
        tuple[tuple[Entry, ...], tuple[object, ...], int],
        lambda shelf: (shelf.entries, shelf.sampled, shelf.n_made),
        lambda saved: Shelf(saved[0], saved[1], n_made=saved[2]),
    )


def draw_undo(key: str, can_undo: bool, what: str, undo: Callable[[], None]) -> None:
    """Draw the button; its help says what comes back, or that there is nothing to undo."""
    st.button(
        "Undo",
        icon=":material/undo:",
        key=key,
        disabled=not can_undo,
        help=f"Bring back {what} from before" if can_undo else "Nothing to undo yet",
        on_click=action(undo),
    )


PLAYS = "plays"
"""Session key of the choice of a form of music."""


def model_key(plays: Plays) -> str:
    """Return the session key of the model of a form of music."""
    return "model" if plays == "drums" else f"model.{plays}"


def chosen_form() -> Plays:
    """Return which form of music is chosen, on pages that have a choice."""
    plays: Plays = st.session_state.get(PLAYS, "drums")
    return plays


def choose_form(plays: Plays) -> None:
    """Choose a form of music for all pages; for a callback."""
    st.session_state[PLAYS] = plays


lasting_settings({PLAYS: str, "model": str, "model.line": str, "model.piece": str})

_DESTINATIONS: Mapping[str, Callable[[ModelInfo], bool]] = {
    "Sample": lambda model: True,
    "Morph": lambda model: True,
    "Attributes": lambda model: model.has_vectors,
    "Map": lambda model: model.has_atlas,
    "Long form": lambda model: model.plays == "drums",
    "Groove lab": lambda model: True,
}
"""Titles of the pages that take music, in the order of the menus, and which models serve them."""
_PAGES = "pages.by_key"
_SHARE = "share"
_TO_SHARE = "share.source"


def _page_key(title: str) -> str:
    """Return the key of a page: of its slots, its inbox, and as a destination."""
    return title.lower().replace(" ", "_")


def offer_pages(pages: Sequence[StreamlitPage]) -> None:
    """Say which pages the app has, at the start of each run."""
    st.session_state[_PAGES] = {_page_key(page.title): page for page in pages}


def destinations(here: str) -> dict[str, str]:
    """Return where a groove can go from the page of that key, for a deck's menu."""
    there = st.session_state.get(_PAGES, {})
    pages = {_page_key(title): title for title in _DESTINATIONS}
    listed = {key: title for key, title in pages.items() if key in there and key != here}
    return listed | {_SHARE: "Share code…"}


def forms_taken(models: Sequence[ModelInfo], destination: str) -> list[str]:
    """Return the forms of music that a destination takes, those that a model of its plays."""
    titles = [title for title in _DESTINATIONS if _page_key(title) == destination]
    if not titles:
        return list(FORMS)
    serves = _DESTINATIONS[titles[0]]
    return list({"drums": None} | {m.plays: None for m in models if serves(m)})


def send(destination: str, *sources: Source) -> None:
    """Put one or more sources into a page's inbox and go there; for a callback.

    The destination `share` stays, and shows the first groove's share code.
    """
    if destination == _SHARE:
        st.session_state[_TO_SHARE] = sources[0]
        return
    for source in reversed(sources):
        library.add(source)
    choose_form(sources[0].plays)
    inbox = st.session_state.setdefault(_inbox(destination), [])
    waiting = {source.id for source in inbox}
    inbox.extend(source for source in sources if source.id not in waiting)
    if destination in (pages := st.session_state.get(_PAGES, {})):
        st.switch_page(pages[destination])


def take_sent(page: str) -> list[Source]:
    """Take out what was sent to a page since it was last drawn, the oldest first."""
    taken: list[Source] = st.session_state.pop(_inbox(page), [])
    return taken


def _inbox(page: str) -> str:
    return f"kept.{page}.inbox"


def take_to_share() -> Source | None:
    """Take out the source whose share code was asked for, since it was last shown."""
    asked: Source | None = st.session_state.pop(_TO_SHARE, None)
    return asked
