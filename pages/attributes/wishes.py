"""What is asked of the grooves of the Attributes page, with a history for each."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from pages.shared.store import History, SessionVar


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

    MAX_PRESSES: ClassVar[int] = 4
    """How often a style can be asked for, either way: further out there is little music."""

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
        presses = {**self.presses, label: max(-self.MAX_PRESSES, min(self.MAX_PRESSES, count))}
        return replace(self, presses={name: n for name, n in presses.items() if n})


_MAX_LASTING = 32
"""Of how many grooves the wishes outlast the session."""


_Asked = Mapping[str, History[Wishes]]


def _last_wishes(asked: _Asked) -> dict[str, Wishes]:
    changed = {groove: history.now for groove, history in asked.items() if history.past}
    return dict(list(changed.items())[-_MAX_LASTING:])


_ASKED = SessionVar[_Asked](
    "kept.attributes.wishes",
    {},
    lasts=dict[str, Wishes],
    saved=_last_wishes,
    restored=lambda saved: {groove: History(now, (Wishes(),)) for groove, now in saved.items()},
)
"""What is asked of each groove, by the grooves' ids."""
_NOTHING = History(Wishes())


@dataclass(frozen=True)
class Asked:
    """What is asked of the groove of an id in this session, and what was asked before."""

    groove: str

    @property
    def now(self) -> Wishes:
        """What is asked."""
        return self._history.now

    def ask(self, wishes: Wishes) -> None:
        """Ask something else; `take_back` returns to what was asked before."""
        self._keep(self._history, wishes)

    def reset(self, known: Collection[str]) -> None:
        """Let all rest that a model can follow; what waits for another goes on waiting."""
        self.ask(self.now.beyond(known))

    def can_take_back(self, known: Collection[str]) -> bool:
        """Return whether something else that a model can follow was asked before."""
        return self._history.can_undo(self._is_other(known))

    def take_back(self, known: Collection[str]) -> None:
        """Return what a model can follow to what it was before; the rest goes on waiting."""
        then = self._history.undone(self._is_other(known))
        if then is not self._history:
            waiting = self.now.beyond(known)
            self._keep(then, then.now.limited_to(known).joined_with(waiting))

    def _is_other(self, known: Collection[str]) -> Callable[[Wishes], bool]:
        """Return whether a model was asked for something else by other wishes."""
        followed = self.now.limited_to(known)
        return lambda wishes: wishes.limited_to(known) != followed

    @property
    def _history(self) -> History[Wishes]:
        return _ASKED.get().get(self.groove, _NOTHING)

    def _keep(self, history: History[Wishes], wishes: Wishes) -> None:
        """Keep a history with these wishes as its last step, where they are others."""
        changed = history if wishes == history.now else history.then(wishes)
        _ASKED.set({**_ASKED.get(), self.groove: changed})
