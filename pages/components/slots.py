"""What stands in the places of a page that take a groove, with an undo that outlives the page.

A slot's key is the page's key, a dot, and its own name: `morph.a`. A page's key is its title in
small letters, with underscores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from musicvae_core.groove import Groove
from musicvae_core.vocabulary import TICKS_PER_STEP, VELOCITY_LEVELS

CHOICES = ("window", "filling")
"""What is chosen of a source that is longer, or shorter, than a model's grooves."""
_DIGEST_BYTES = 8


@dataclass(frozen=True, eq=False)
class Source:
    """A groove that a page can start from.

    Parameters
    ----------
    name
        What the listener calls it.
    groove
        Of any length.
    z, model
        (Z,) float32 and the name of its model, where the groove was decoded from a code.
    origin
        Where it came from, in a word or two for a list of choices.
    note
        What is to be said of it: notes that were dropped, bars that were added.
    """

    name: str
    groove: Groove
    z: NDArray[np.float32] | None = None
    model: str | None = None
    origin: str = ""
    note: str = ""

    @property
    def id(self) -> str:
        """Return the same text for the same music of the same origin and name."""
        return f"{self.origin}/{self.name}/{fingerprint(self.groove)}"


def fingerprint(groove: Groove) -> str:
    """Return a text that two grooves share when MIDI cannot tell their notes apart.

    The tempo does not count, so that a groove stays the one it was at another tempo.
    """
    levels = np.rint(groove.velocities * VELOCITY_LEVELS).astype(np.int8)
    ticks = np.rint(groove.offsets * TICKS_PER_STEP).astype(np.int8)
    content = groove.hits.tobytes() + levels.tobytes() + ticks.tobytes()
    return blake2b(content, digest_size=_DIGEST_BYTES).hexdigest()


def page_of(key: str) -> str:
    """Return the page's part of a slot's key."""
    return key.partition(".")[0]


def contents(page: str) -> dict[str, Source]:
    """Return what stands in the slots of a page, by the slots' keys."""
    kept: dict[str, Source] = st.session_state.setdefault(f"kept.{page}.slots", {})
    return kept


def fill(key: str, source: Source) -> None:
    """Put a source into a slot; `undo` brings back what was there."""
    page = page_of(key)
    now = contents(page)
    if key in now and now[key].id == source.id:
        return
    _past(page).append(now)
    st.session_state[f"kept.{page}.slots"] = now | {key: source}


def fill_all(sources: dict[str, Source]) -> None:
    """Put sources into slots of one page, by their keys, as one step of the undo."""
    if not sources:
        return
    page = page_of(next(iter(sources)))
    _past(page).append(contents(page))
    st.session_state[f"kept.{page}.slots"] = contents(page) | sources


def fill_in_turn(keys: Sequence[str], source: Source) -> None:
    """Put a source into the slot of a page that was not the last to be filled so."""
    turn = f"kept.{page_of(keys[0])}.turn"
    place = st.session_state.get(turn, 0) % len(keys)
    st.session_state[turn] = place + 1
    fill(keys[place], source)


def swap(key: str, other: str) -> None:
    """Exchange the contents of two slots of a page, with what is chosen of them."""
    now = contents(page_of(key))
    if key not in now or other not in now:
        return
    chosen = {
        choice_key(to, kind, now[of]): st.session_state[choice_key(of, kind, now[of])]
        for of, to in ((key, other), (other, key))
        for kind in CHOICES
        if choice_key(of, kind, now[of]) in st.session_state
    }
    st.session_state.update(chosen)
    fill_all({key: now[other], other: now[key]})


def choice_key(key: str, kind: str, source: Source) -> str:
    """Return the session key of one of `CHOICES`, of the source in a slot."""
    return f"{key}.{kind}.{source.id}"


def start_with(key: str, source: Source) -> None:
    """Put a source into a slot that was never filled; that is no step of the undo."""
    contents(page_of(key)).setdefault(key, source)


def can_undo(page: str, keys: Sequence[str] | None = None) -> bool:
    """Return whether a slot of the page, or one of `keys`, has held something else."""
    return any(_differs(contents(page), then, keys) for then in _past(page))


def undo(page: str, keys: Sequence[str] | None = None) -> None:
    """Bring back what the slots of a page held before the last change.

    With `keys` it is the last change of one of these slots, and the others stay as they are.
    """
    now, past = contents(page), _past(page)
    while past:
        then = past.pop()
        if _differs(now, then, keys):
            others = {} if keys is None else {key: now[key] for key in now if key not in keys}
            st.session_state[f"kept.{page}.slots"] = then | others
            return


def _differs(now: dict[str, Source], then: dict[str, Source], keys: Sequence[str] | None) -> bool:
    """Return whether one of the slots held something else, or nothing."""
    return any(now.get(key) is not then.get(key) for key in keys or {**now, **then})


def _past(page: str) -> list[dict[str, Source]]:
    kept: list[dict[str, Source]] = st.session_state.setdefault(f"kept.{page}.past", [])
    return kept
