"""What a session keeps while the listener moves between pages.

Streamlit forgets a widget's value with its page, unless the widget says otherwise
(`persist_state="session"`); what is no widget's value is kept here, under keys of our own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from musicvae_core.latent.results import Take
from musicvae_core.music.forms import FORMS, Plays
from pages.shared.actions import action
from pages.shared.lasting import lasting
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


def key_where(name: str, stands: Callable[[Any], bool], limits: Hashable = None) -> str:
    """Return the key of a widget: another one whenever it is not where it is to stand.

    Parameters
    ----------
    name
        The widget's in the session, the same through all its keys.
    stands
        Whether a value is the one that the widget is to show.
    limits
        Of its values; at others it is another widget, too.
    """
    number, before = st.session_state.get(name, (0, limits))
    newest = newest_key(name)
    is_moved = newest in st.session_state and not stands(st.session_state[newest])
    if is_moved or before != limits:
        number += 1
    st.session_state[name] = number, limits
    return newest_key(name)


def newest_key(name: str) -> str:
    """Return the key of the widget that is drawn now."""
    number, _ = st.session_state.get(name, (0, None))
    return f"{name}.{number}"


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
