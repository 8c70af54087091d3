"""What is asked of the grooves of the Attributes page, with a history for each."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import streamlit as st

from pages.shared.lasting import lasting

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


_MAX_LASTING = 32
"""Of how many grooves the wishes outlast the session."""


def _last_wishes(histories: Mapping[str, list[Wishes]]) -> dict[str, Wishes]:
    asked = {groove: history[-1] for groove, history in histories.items() if len(history) > 1}
    return dict(list(asked.items())[-_MAX_LASTING:])


lasting(
    _KEPT,
    dict[str, Wishes],
    _last_wishes,
    lambda saved: {groove: [Wishes(), wishes] for groove, wishes in saved.items()},
)


@dataclass(frozen=True)
class Asked:
    """What is asked of the groove of an id in this session, and what was asked before."""

    groove: str

    @property
    def now(self) -> Wishes:
        """What is asked."""
        return self._history[-1]

    def ask(self, wishes: Wishes) -> None:
        """Ask something else; `take_back` returns to what was asked before."""
        if wishes != self.now:
            self._history.append(wishes)

    def reset(self, known: Collection[str]) -> None:
        """Let all rest that a model can follow; what waits for another goes on waiting."""
        self.ask(self.now.beyond(known))

    def can_take_back(self, known: Collection[str]) -> bool:
        """Return whether something else that a model can follow was asked before."""
        return self._last_other(known) is not None

    def take_back(self, known: Collection[str]) -> None:
        """Return what a model can follow to what it was before; the rest goes on waiting."""
        at = self._last_other(known)
        if at is None:
            return
        history, waiting = self._history, self.now.beyond(known)
        del history[at + 1 :]
        self.ask(history[at].limited_to(known).joined_with(waiting))

    def _last_other(self, known: Collection[str]) -> int | None:
        """Return where in the history the model was last asked for something else."""
        followed = [wishes.limited_to(known) for wishes in self._history]
        places = reversed(range(len(followed)))
        return next((at for at in places if followed[at] != followed[-1]), None)

    @property
    def _history(self) -> list[Wishes]:
        kept: dict[str, list[Wishes]] = st.session_state.setdefault(_KEPT, {})
        return kept.setdefault(self.groove, [Wishes()])
