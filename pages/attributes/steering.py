"""Requests for the grooves of the Attributes page, with a history for each groove."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from pages.shared.store import History, SessionVar


@dataclass(frozen=True)
class Wishes:
    """Requests for one groove.

    Parameters
    ----------
    targets
        Wanted values of attributes, by name, in their own units.
    presses
        How often more of a label was requested, minus how often less of it; never 0.
    """

    MAX_PRESSES: ClassVar[int] = 4
    """How often a style can be requested, either way: further out there is little real music."""

    targets: Mapping[str, float] = field(default_factory=dict)
    presses: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.targets or self.presses)

    def with_target(self, name: str, value: float) -> Wishes:
        """Return the wishes with one attribute set."""
        return replace(self, targets={**self.targets, name: value})

    def without_target(self, name: str) -> Wishes:
        """Return the wishes with one attribute released."""
        rest = {other: value for other, value in self.targets.items() if other != name}
        return replace(self, targets=rest)

    def limited_to(self, known: Collection[str]) -> Wishes:
        """Return the wishes that a model can follow, by the names of what it knows."""
        targets = {name: value for name, value in self.targets.items() if name in known}
        return Wishes(targets, {name: n for name, n in self.presses.items() if name in known})

    def beyond(self, known: Collection[str]) -> Wishes:
        """Return the wishes that have to wait for a model that can follow them."""
        targets = {name: value for name, value in self.targets.items() if name not in known}
        return Wishes(targets, {name: n for name, n in self.presses.items() if name not in known})

    def joined_with(self, other: Wishes) -> Wishes:
        """Return these wishes and others."""
        return Wishes({**self.targets, **other.targets}, {**self.presses, **other.presses})

    def as_key(self) -> tuple[tuple[tuple[str, float], ...], tuple[tuple[str, int], ...]]:
        """Return the targets and the presses in a canonical order, for a cache."""
        return tuple(sorted(self.targets.items())), tuple(sorted(self.presses.items()))

    def pressed(self, label: str, by: int) -> Wishes:
        """Return the wishes with more of a label, or less."""
        count = self.presses.get(label, 0) + by
        presses = {**self.presses, label: max(-self.MAX_PRESSES, min(self.MAX_PRESSES, count))}
        return replace(self, presses={name: n for name, n in presses.items() if n})


_MAX_LASTING = 32
"""For how many grooves the wishes are saved beyond the session."""


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
"""The wishes for each groove, by the grooves' ids."""
_NOTHING = History(Wishes())


@dataclass(frozen=True)
class Asked:
    """The wishes for one groove in this session, with their history."""

    groove: str

    @property
    def now(self) -> Wishes:
        """The current wishes."""
        return self._history.now

    def ask(self, wishes: Wishes) -> None:
        """Change the wishes; `take_back` restores the previous ones."""
        self._keep(self._history, wishes)

    def reset(self, known: Collection[str]) -> None:
        """Release all that a model can follow; what waits for another model keeps waiting."""
        self.ask(self.now.beyond(known))

    def can_take_back(self, known: Collection[str]) -> bool:
        """Return whether there were different wishes before that a model can follow."""
        return self._history.can_undo(self._is_other(known))

    def take_back(self, known: Collection[str]) -> None:
        """Restore the previous wishes that a model can follow; the rest keeps waiting."""
        then = self._history.undone(self._is_other(known))
        if then is not self._history:
            waiting = self.now.beyond(known)
            self._keep(then, then.now.limited_to(known).joined_with(waiting))

    def _is_other(self, known: Collection[str]) -> Callable[[Wishes], bool]:
        """Return whether other wishes ask something different of a model."""
        followed = self.now.limited_to(known)
        return lambda wishes: wishes.limited_to(known) != followed

    @property
    def _history(self) -> History[Wishes]:
        return _ASKED.get().get(self.groove, _NOTHING)

    def _keep(self, history: History[Wishes], wishes: Wishes) -> None:
        """Add these wishes to the history as a step, if they differ."""
        changed = history if wishes == history.now else history.then(wishes)
        _ASKED.set({**_ASKED.get(), self.groove: changed})
