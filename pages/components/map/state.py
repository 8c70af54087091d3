"""What the listener has in hand on the map: a groove, a path, and what is inside a lasso."""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st

from pages.components.map.points import Spot

MAX_STOPS = 8


@dataclass(frozen=True, eq=False)
class Hand:
    """What is in hand.

    Parameters
    ----------
    spot
        The groove that was chosen last.
    path
        The stops of a path, in order.
    inside
        Points of the atlas inside the last lasso or box.
    n_chosen
        How often a groove was chosen: a new number plays it.
    is_travelling
        Whether the path was asked to be played through, and not yet left again.
    """

    spot: Spot | None = None
    path: tuple[Spot, ...] = ()
    inside: tuple[int, ...] = ()
    n_chosen: int = 0
    is_travelling: bool = False

    def taking(self, spot: Spot, *, to_path: bool = False) -> Hand:
        """Return the hand with another groove in it, and on the path where that is wanted."""
        path = self.path
        if to_path and len(path) < MAX_STOPS and (not path or path[-1].id != spot.id):
            path = (*path, spot)
        return replace(self, spot=spot, path=path, n_chosen=self.n_chosen + 1, is_travelling=False)

    def around(self, spot: Spot, inside: tuple[int, ...]) -> Hand:
        """Return the hand with the middle of what is inside a lasso."""
        return replace(self.taking(spot), inside=inside)

    def letting_go(self) -> Hand:
        """Return the hand without what is inside a lasso."""
        return replace(self, inside=())

    def travelling(self) -> Hand:
        """Return the hand with the path to be played through."""
        return replace(self, n_chosen=self.n_chosen + 1, is_travelling=True)

    def back(self) -> Hand:
        """Return the hand without the last stop of its path."""
        return replace(self, path=self.path[:-1], is_travelling=False)

    def without_path(self) -> Hand:
        """Return the hand without its path."""
        return replace(self, path=(), is_travelling=False)


def hand(model: str) -> Hand:
    """Return what is in hand in a model's space."""
    kept: Hand = st.session_state.setdefault(_key(model), Hand())
    return kept


def keep_hand(model: str, changed: Hand) -> None:
    """Keep what is in hand."""
    st.session_state[_key(model)] = changed


def _key(model: str) -> str:
    return f"kept.map.hand.{model}"
