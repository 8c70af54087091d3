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


def can_take_back(groove: str) -> bool:
    """Return whether something else was asked of the groove before."""
    return len(_history(groove)) > 1


def take_back(groove: str) -> None:
    """Return to what was asked of a groove before."""
    if can_take_back(groove):
        _history(groove).pop()


def _history(groove: str) -> list[Wishes]:
    kept: dict[str, list[Wishes]] = st.session_state.setdefault(_KEPT, {})
    return kept.setdefault(groove, [Wishes()])
