"""What a listener asks of a groove on the Attributes page: sliders set and styles pressed.

Each groove keeps its own, with an undo that outlives the page.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import streamlit as st

MAX_PRESSES = 4
"""How often a style can be asked for, either way: further out there is little music."""
_KEPT = "kept.attributes.wishes"


@dataclass(frozen=True)
class Wishes:
    """What is asked for.

    Parameters
    ----------
    targets
        What attributes should measure, by name, in their own units.
    presses
        How often more of a label was asked for, less of it counted down; never 0.
    """

    targets: Mapping[str, float] = field(default_factory=dict)
    presses: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.targets or self.presses)

    def with_target(self, name: str, value: float) -> Wishes:
        """Return the wishes with one attribute set."""
        return replace(self, targets={**self.targets, name: value})

    def without_target(self, name: str) -> Wishes:
        """Return the wishes with one attribute at rest."""
        rest = {other: value for other, value in self.targets.items() if other != name}
        return replace(self, targets=rest)

    def limited_to(self, known: Collection[str]) -> Wishes:
        """Return the wishes that a model can follow, by the names of what it knows."""
        targets = {name: value for name, value in self.targets.items() if name in known}
        return Wishes(targets, {name: n for name, n in self.presses.items() if name in known})

    def beyond(self, known: Collection[str]) -> Wishes:
        """Return the wishes that wait for a model that can follow them."""
        targets = {name: value for name, value in self.targets.items() if name not in known}
        return Wishes(targets, {name: n for name, n in self.presses.items() if name not in known})

    def joined_with(self, other: Wishes) -> Wishes:
        """Return these wishes and others."""
        return Wishes({**self.targets, **other.targets}, {**self.presses, **other.presses})

    def as_key(self) -> tuple[tuple[tuple[str, float], ...], tuple[tuple[str, int], ...]]:
        """Return the targets and the presses in an order of their own, for a cache."""
        return tuple(sorted(self.targets.items())), tuple(sorted(self.presses.items()))

    def pressed(self, label: str, by: int) -> Wishes:
        """Return the wishes with more of a label, or less."""
        count = self.presses.get(label, 0) + by
        presses = {**self.presses, label: max(-MAX_PRESSES, min(MAX_PRESSES, count))}
        return replace(self, presses={name: n for name, n in presses.items() if n})


def wishes_of(groove: str) -> Wishes:
    """Return what is asked of the groove of that id."""
    return _history(groove)[-1]


def ask(groove: str, wishes: Wishes) -> None:
    """Ask something else of a groove; `take_back` returns to what was asked before."""
    if wishes != wishes_of(groove):
        _history(groove).append(wishes)


def reset(groove: str, known: Collection[str]) -> None:
    """Let all rest that a model can follow; what waits for another goes on waiting."""
    ask(groove, wishes_of(groove).beyond(known))


def can_take_back(groove: str, known: Collection[str]) -> bool:
    """Return whether something else that a model can follow was asked of the groove before."""
    return _last_other(groove, known) is not None


def take_back(groove: str, known: Collection[str]) -> None:
    """Return what a model can follow to what it was before; the rest goes on waiting."""
    at = _last_other(groove, known)
    if at is None:
        return
    history, waiting = _history(groove), wishes_of(groove).beyond(known)
    del history[at + 1 :]
    ask(groove, history[at].limited_to(known).joined_with(waiting))


def _last_other(groove: str, known: Collection[str]) -> int | None:
    """Return where in the history the model was last asked for something else."""
    followed = [wishes.limited_to(known) for wishes in _history(groove)]
    places = reversed(range(len(followed)))
    return next((at for at in places if followed[at] != followed[-1]), None)


def _history(groove: str) -> list[Wishes]:
    kept: dict[str, list[Wishes]] = st.session_state.setdefault(_KEPT, {})
    return kept.setdefault(groove, [Wishes()])
