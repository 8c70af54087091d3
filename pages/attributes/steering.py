"""Requests for the grooves of the Attributes page, with a history for each groove."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from pages.shared.store import History, SessionVar


@dataclass(frozen=True)
class SteeringRequest:
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

    def with_target(self, name: str, value: float) -> SteeringRequest:
        """Return the request with one attribute set."""
        return replace(self, targets={**self.targets, name: value})

    def without_target(self, name: str) -> SteeringRequest:
        """Return the request with one attribute released."""
        rest = {other: value for other, value in self.targets.items() if other != name}
        return replace(self, targets=rest)

    def limited_to(self, known: Collection[str]) -> SteeringRequest:
        """Return the part that a model can follow, given the names of what it knows."""
        targets = {name: value for name, value in self.targets.items() if name in known}
        return SteeringRequest(
            targets, {name: n for name, n in self.presses.items() if name in known}
        )

    def beyond(self, known: Collection[str]) -> SteeringRequest:
        """Return the part that has to wait for a model that can follow it."""
        targets = {name: value for name, value in self.targets.items() if name not in known}
        return SteeringRequest(
            targets, {name: n for name, n in self.presses.items() if name not in known}
        )

    def joined_with(self, other: SteeringRequest) -> SteeringRequest:
        """Return this request together with another."""
        return SteeringRequest({**self.targets, **other.targets}, {**self.presses, **other.presses})

    def as_key(self) -> tuple[tuple[tuple[str, float], ...], tuple[tuple[str, int], ...]]:
        """Return the targets and the presses in a canonical order, for a cache."""
        return tuple(sorted(self.targets.items())), tuple(sorted(self.presses.items()))

    def pressed(self, label: str, by: int) -> SteeringRequest:
        """Return the request with more of a label, or less."""
        count = self.presses.get(label, 0) + by
        presses = {**self.presses, label: max(-self.MAX_PRESSES, min(self.MAX_PRESSES, count))}
        return replace(self, presses={name: n for name, n in presses.items() if n})


_MAX_PERSISTED = 32
"""For how many grooves the request is saved beyond the session."""


_Histories = Mapping[str, History[SteeringRequest]]


def _latest_requests(histories: _Histories) -> dict[str, SteeringRequest]:
    changed = {groove: history.now for groove, history in histories.items() if history.past}
    return dict(list(changed.items())[-_MAX_PERSISTED:])


_REQUESTS = SessionVar[_Histories](
    "kept.attributes.wishes",
    {},
    persist_as=dict[str, SteeringRequest],
    to_saved=_latest_requests,
    from_saved=lambda saved: {
        groove: History(now, (SteeringRequest(),)) for groove, now in saved.items()
    },
)
"""The requests for each groove, by the grooves' ids."""
_NOTHING = History(SteeringRequest())


@dataclass(frozen=True)
class RequestHistory:
    """The requests for one groove in this session."""

    groove: str

    @property
    def now(self) -> SteeringRequest:
        """The current request."""
        return self._history.now

    def record(self, request: SteeringRequest) -> None:
        """Make this the current request; `undo` restores the previous one."""
        self._keep(self._history, request)

    def reset(self, known: Collection[str]) -> None:
        """Release all that a model can follow; what waits for another model keeps waiting."""
        self.record(self.now.beyond(known))

    def can_undo(self, known: Collection[str]) -> bool:
        """Return whether an earlier request asks something different of a model."""
        return self._history.can_undo(self._is_other(known))

    def undo(self, known: Collection[str]) -> None:
        """Restore what was last asked of a model; the rest keeps waiting."""
        earlier = self._history.undone(self._is_other(known))
        if earlier is not self._history:
            waiting = self.now.beyond(known)
            self._keep(earlier, earlier.now.limited_to(known).joined_with(waiting))

    def _is_other(self, known: Collection[str]) -> Callable[[SteeringRequest], bool]:
        """Return what tells whether another request asks something different of a model."""
        followed = self.now.limited_to(known)
        return lambda request: request.limited_to(known) != followed

    @property
    def _history(self) -> History[SteeringRequest]:
        return _REQUESTS.get().get(self.groove, _NOTHING)

    def _keep(self, history: History[SteeringRequest], request: SteeringRequest) -> None:
        """Add a request to a history as a step, if it differs."""
        changed = history if request == history.now else history.extended(request)
        _REQUESTS.set({**_REQUESTS.get(), self.groove: changed})
