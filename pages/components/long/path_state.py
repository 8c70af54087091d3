"""The stops of the path on the Long form page, with an undo."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import streamlit as st

from musicvae_core.space.route import MAX_PATH_BARS, MAX_STOPS
from pages.components.slots import Source

_PATHS = "kept.long_form.paths"
_MAX_PAST = 64
USUAL_BARS = 4


@dataclass(frozen=True, eq=False)
class Part:
    """A stop of the path: its groove, the bars of its part, and a number that stays its own."""

    id: int
    source: Source
    n_bars: int


def parts() -> tuple[Part, ...]:
    """Return the stops in order."""
    return _kept()[-1]


def n_bars_of_path() -> int:
    """Return how many bars the path has by now."""
    return sum(part.n_bars for part in parts())


def start_path_with(sources: Sequence[Source]) -> None:
    """Fill a path that was never touched; that is no step of the undo."""
    if len(_kept()) == 1 and not parts():
        st.session_state[_PATHS] = [_extended((), sources)]


def add_parts(sources: Sequence[Source]) -> None:
    """Put grooves at the end of the path, as many as there is room for."""
    _keep(_extended(parts(), sources))


def set_bars(part_id: int, n_bars: int) -> None:
    """Give a part another length."""
    _keep(replace(part, n_bars=n_bars) if part.id == part_id else part for part in parts())


def drop_part(part_id: int) -> None:
    """Take a stop out of the path."""
    _keep(part for part in parts() if part.id != part_id)


def move_part_up(part_id: int) -> None:
    """Let a stop change places with the one before it."""
    order = list(parts())
    at = next(index for index, part in enumerate(order) if part.id == part_id)
    if at:
        order[at - 1 : at + 1] = order[at], order[at - 1]
    _keep(order)


def can_undo_path() -> bool:
    """Return whether the path was changed."""
    return len(_kept()) > 1


def undo_path() -> None:
    """Bring back the path from before the last change."""
    st.session_state[_PATHS] = _kept()[:-1]


def _extended(before: Sequence[Part], sources: Sequence[Source]) -> tuple[Part, ...]:
    made = list(before)
    for source in sources:
        n_left = MAX_PATH_BARS - sum(part.n_bars for part in made)
        if len(made) == MAX_STOPS or not n_left:
            break
        number = st.session_state.get("kept.long_form.n_parts", 0)
        st.session_state["kept.long_form.n_parts"] = number + 1
        made.append(Part(number, source, min(USUAL_BARS, n_left)))
    return tuple(made)


def _keep(changed: Iterable[Part]) -> None:
    st.session_state[_PATHS] = [*_kept(), tuple(changed)][-_MAX_PAST:]


def _kept() -> list[tuple[Part, ...]]:
    kept: list[tuple[Part, ...]] = st.session_state.setdefault(_PATHS, [()])
    return kept
