"""The shelf: the grooves on a page, in order, with their names and an undo."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from musicvae_core.takes import Take
from pages.components.names import name_of


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
    """Entries in order, and the sets of entries before each change, oldest first."""

    entries: tuple[Entry, ...] = ()
    past: tuple[tuple[Entry, ...], ...] = ()
    n_made: int = 0

    def renewed(self, takes: Sequence[Take], note: str, kept: Collection[str] = ()) -> Shelf:
        """Return the shelf with new takes behind the entries whose ids are in `kept`."""
        stay = [entry for entry in self.entries if entry.id in kept]
        return self._with_takes(stay, takes, [], note)

    def with_neighbours(self, source: Entry, takes: Sequence[Take]) -> Shelf:
        """Return the shelf with the takes placed right after the entry that they are near."""
        at = 1 + self.entries.index(source)
        return self._with_takes(self.entries[:at], takes, self.entries[at:], f"near {source.name}")

    def with_received(self, take: Take, name: str, note: str) -> Shelf:
        """Return the shelf with a take from elsewhere before all others, under its own name."""
        entry = Entry(str(self.n_made), take, name, note)
        past = (*self.past, self.entries) if self.entries else self.past
        return Shelf((entry, *self.entries), past, self.n_made + 1)

    def renamed(self, entry_id: str, name: str) -> Shelf:
        """Return the shelf with a new name, here and in its past; an empty one changes nothing."""
        if not name.strip():
            return self

        def rename(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
            return tuple(
                replace(entry, name=name.strip()) if entry.id == entry_id else entry
                for entry in entries
            )

        return replace(self, entries=rename(self.entries), past=tuple(map(rename, self.past)))

    def undone(self) -> Shelf:
        """Return the shelf before the last set of takes came in."""
        return replace(self, entries=self.past[-1], past=self.past[:-1])

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
        past = (*self.past, self.entries) if self.entries else self.past
        return Shelf((*before, *made, *after), past, self.n_made + len(made))
