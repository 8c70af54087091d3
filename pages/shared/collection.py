"""The user's grooves: favourites, and the slots of each page, with an undo that outlives the page.

The key of a slot is the page's key, a dot, and the slot's name: `morph.a`. A page's key is its
title in lower case, with underscores.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b

from musicvae_core.music.forms import (
    AnyMusic,
    Music,
    form_of,
    n_notes,
    note_bytes,
    padded,
    windows,
)
from musicvae_core.music.packed import Floats
from musicvae_core.music.piece import Plays
from pages.shared.store import History, SessionVar

_CHOICES = ("window", "filling")
"""What is chosen for a source that is longer or shorter than a model's grooves."""
_DIGEST_BYTES = 8


@dataclass(frozen=True, eq=False)
class Source:
    """Music that a page can start from.

    Parameters
    ----------
    name
        The name shown to the user.
    groove
        Music of any length.
    z, model
        (Z,) float32 and the name of its model, where the groove was decoded from a code.
    origin
        Where it came from, in a word or two for a list of choices.
    note
        Remarks on it, such as dropped notes or added bars.
    tags
        The listener's own words, of a favourite.
    kept_at
        When it was starred, in seconds since 1970; 0 if it was not.
    """

    name: str
    groove: AnyMusic
    z: Floats | None = None
    model: str | None = None
    origin: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()
    kept_at: float = 0.0

    @property
    def plays(self) -> Plays:
        """Return the form of its music."""
        return form_of(self.groove).name

    @property
    def id(self) -> str:
        """Return an id: the same for the same music with the same origin and name."""
        return f"{self.origin}/{self.name}/{fingerprint(self.groove)}"


_Sources = Mapping[str, Source]
_PAGES = ("morph", "attributes", "groove_lab", "groove_lab_feel", "long_form")
_SLOTS = {
    page: SessionVar[History[_Sources]](
        f"kept.{page}.slots",
        History({}),
        persist_as=dict[str, Source],
        to_saved=lambda slots: slots.now,
        from_saved=History,
    )
    for page in _PAGES
}


def fingerprint(groove: Music) -> str:
    """Return a text that two grooves share when MIDI cannot tell their notes apart.

    The tempo is ignored, so that a groove keeps its identity at another tempo.
    """
    return blake2b(note_bytes(groove), digest_size=_DIGEST_BYTES).hexdigest()


def page_of(key: str) -> str:
    """Return the page's part of a slot's key."""
    return key.partition(".")[0]


class _Slots:
    """The contents of the slots of all pages in this session, with an undo for each page."""

    def keys(self, page: str, plays: Plays, names: Iterable[str]) -> list[str]:
        """Return the keys of a page's slots, by their names; each form of music has its own."""
        place = page if plays == "drums" else f"{page}.{plays}"
        return [f"{place}.{name}" for name in names]

    def contents(self, page: str) -> _Sources:
        """Return the contents of the slots of a page, by the slots' keys."""
        return _SLOTS[page].get().now

    def fill(self, key: str, source: Source) -> None:
        """Put a source into a slot; `undo` restores the previous contents."""
        now = self.contents(page_of(key))
        if key not in now or now[key].id != source.id:
            self.fill_all({key: source})

    def fill_all(self, sources: dict[str, Source]) -> None:
        """Put sources into slots of one page, by their keys, as one undo step."""
        if not sources:
            return
        held = _SLOTS[page_of(next(iter(sources)))]
        held.set(held.get().extended({**held.get().now, **sources}))

    def fill_in_turn(self, keys: Sequence[str], source: Source) -> None:
        """Put a source into a slot of a page, taking its slots in turn."""
        turn = SessionVar(f"kept.{page_of(keys[0])}.turn", 0)
        place = turn.get() % len(keys)
        turn.set(place + 1)
        self.fill(keys[place], source)

    def start_with(self, key: str, source: Source) -> None:
        """Put a source into a slot that was never filled; this cannot be undone."""
        held = _SLOTS[page_of(key)]
        if key not in held.get().now:
            held.set(replace(held.get(), now={**held.get().now, key: source}))

    def swap(self, key: str, other: str) -> None:
        """Exchange the contents of two slots of a page, together with their choices."""
        now = self.contents(page_of(key))
        if key not in now or other not in now:
            return
        choices = [
            (
                SessionVar[object](self.choice_key(of, kind, now[of]), None),
                SessionVar[object](self.choice_key(to, kind, now[of]), None),
            )
            for of, to in ((key, other), (other, key))
            for kind in _CHOICES
        ]
        chosen = [(there, here.get()) for here, there in choices if here.is_set]
        for there, choice in chosen:
            there.set(choice)
        self.fill_all({key: now[other], other: now[key]})

    def choice_key(self, key: str, kind: str, source: Source) -> str:
        """Return the session key of one of `_CHOICES`, of the source in a slot."""
        return f"{key}.{kind}.{source.id}"

    def can_undo(self, page: str, keys: Sequence[str] | None = None) -> bool:
        """Return whether a slot of the page, or one of `keys`, held something else before."""
        now = self.contents(page)
        return _SLOTS[page].get().can_undo(lambda earlier: _differs(now, earlier, keys))

    def undo(self, page: str, keys: Sequence[str] | None = None) -> None:
        """Restore what the slots of a page held before the last change.

        With `keys`, undo the last change of one of these slots and leave the others alone.
        """
        history = _SLOTS[page].get()
        now = history.now
        earlier = history.undone(lambda earlier: _differs(now, earlier, keys))
        if earlier is not history:
            others = {} if keys is None else {key: now[key] for key in now if key not in keys}
            _SLOTS[page].set(replace(earlier, now={**earlier.now, **others}))

    def held_before(self, key: str, groove: Music) -> bool:
        """Return whether a slot held a groove, or a longer or shorter one, before its last change.

        This tells an edit that reverts an earlier one from any other.
        """
        history = _SLOTS[page_of(key)].get()
        now = history.now.get(key)
        earlier = history.undone(lambda earlier: earlier.get(key) is not now).now.get(key)
        if earlier is None or earlier is now:
            return False
        n_bars = groove.n_bars
        fitted = windows(earlier.groove, n_bars) or [
            earlier.groove.repeated(n_bars),
            padded(earlier.groove, n_bars),
        ]
        return fingerprint(groove) in map(fingerprint, fitted)


slots = _Slots()


def _differs(now: _Sources, earlier: _Sources, keys: Sequence[str] | None) -> bool:
    """Return whether one of the slots held something else, or nothing."""
    return any(now.get(key) is not earlier.get(key) for key in keys or {**now, **earlier})


_FAVOURITES = SessionVar[History[_Sources]](
    "kept.favourites",
    History({}),
    persist_as=Source,
    to_saved=lambda favourites: favourites.now,
    from_saved=History,
    entry_by_entry=True,
)


class _Favourites:
    """The starred grooves of this session, with an undo."""

    def all(self) -> _Sources:
        """Return the favourites by the fingerprints of their grooves, oldest first."""
        return _FAVOURITES.get().now

    def has(self, groove: Music) -> bool:
        """Return whether a groove with these notes is starred, at any tempo."""
        return fingerprint(groove) in self.all()

    def keep(self, source: Source) -> None:
        """Star a groove; if it is starred already, it takes the new name and keeps its tags."""
        id_ = fingerprint(source.groove)
        before = self.all().get(id_, source)
        tags, kept_at = before.tags, before.kept_at or time.time()
        kept = replace(source, origin="favourite", tags=tags, kept_at=kept_at)
        self._change({**self.all(), id_: kept})

    def keep_all(self, sources: Sequence[Source]) -> int:
        """Star grooves, as one undo step, and return how many were not starred yet."""
        new: dict[str, Source] = {}
        for source in sources:
            kept = replace(source, origin="favourite", kept_at=source.kept_at or time.time())
            new.setdefault(fingerprint(source.groove), kept)
        new = {id_: source for id_, source in new.items() if id_ not in self.all()}
        if new:
            self._change({**self.all(), **new})
        return len(new)

    def set(self, source: Source, kept: bool) -> None:
        """Star a groove or remove its star; do nothing if that is already so."""
        if kept == self.has(source.groove):
            return
        if kept:
            self.keep(source)
        else:
            rest = dict(self.all())
            del rest[fingerprint(source.groove)]
            self._change(rest)

    def tag(self, ids: Collection[str], tags: Sequence[str], *, add: bool) -> None:
        """Add tags to favourites or remove them, as one undo step."""
        tagged = dict(self.all())
        for id_ in tagged.keys() & set(ids):
            others = tuple(one for one in tagged[id_].tags if one not in tags)
            tagged[id_] = replace(
                tagged[id_], tags=(*others, *dict.fromkeys(tags)) if add else others
            )
        if tags:
            self._change(tagged)

    def can_undo(self) -> bool:
        """Return whether the favourites changed in this session."""
        return _FAVOURITES.get().can_undo()

    def undo(self) -> None:
        """Restore the favourites as before the last change of a star or a name."""
        _FAVOURITES.set(_FAVOURITES.get().undone())

    def _change(self, changed: _Sources) -> None:
        _FAVOURITES.set(_FAVOURITES.get().extended(changed))


favourites = _Favourites()


_LIBRARY = SessionVar[_Sources]("kept.library", {}, persist_as=dict[str, Source])
_MAX_RECENT = 100
"""Uploads, samples and grooves sent here; when full, the oldest are dropped."""


class _Library:
    """What was uploaded, sampled or sent in this session, offered on every page."""

    def all(self) -> _Sources:
        """Return the sources by their ids, newest first."""
        return _LIBRARY.get()

    def add(self, source: Source) -> None:
        """Add a source that every page offers from now on."""
        rest = {id_: other for id_, other in self.all().items() if id_ != source.id}
        recent = [(source.id, source), *rest.items()][:_MAX_RECENT]
        _LIBRARY.set(dict(recent))


library = _Library()


def as_long_as(groove: Music, n_bars: int) -> Music:
    """Fit a groove to `n_bars` bars automatically: its first lively window, or repeated."""
    found = windows(groove, n_bars)
    return found[first_lively_window(found)] if found else groove.repeated(n_bars)


def bars_phrase(start_bar: int, n_bars: int) -> str:
    """Return bars in words, counted from 1: "bar 3", "bars 3-4"."""
    first, last = start_bar + 1, start_bar + n_bars
    return f"bar {first}" if n_bars == 1 else f"bars {first}-{last}"


def first_lively_window(found: Sequence[Music]) -> int:
    """Return the first window with at least half the notes of the fullest: past a count-in."""
    counts = [n_notes(window) for window in found]
    return next(at for at, count in enumerate(counts) if 2 * count >= max(counts))
