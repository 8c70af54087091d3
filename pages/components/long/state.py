"""The piece on the Long form page: what is heard, how it was before, and an undo."""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st

from musicvae_core.groove import Groove
from musicvae_core.takes import Piece
from pages.components.names import name_of

_PIECES = "kept.long_form.pieces"
_MAX_PAST = 64


@dataclass(frozen=True, eq=False)
class Shown:
    """A piece as the page shows it.

    Parameters
    ----------
    id
        Stays while a piece changes, so that it plays on.
    piece
        What is heard.
    name, note
        What the listener calls it, and where it came from.
    before
        The groove before its last change, to compare.
    """

    id: str
    piece: Piece
    name: str
    note: str
    before: Groove | None = None

    def changed(self, piece: Piece, note: str) -> Shown:
        """Return the same piece after a change, which the note tells."""
        return replace(self, piece=piece, note=note, before=self.piece.groove)


def shown() -> Shown | None:
    """Return the piece on the page; None before the first."""
    kept = _kept()
    return kept[-1] if kept else None


def show(one: Shown) -> None:
    """Put a piece on the page, or the same after a change; `take_back` brings back the last."""
    st.session_state[_PIECES] = [*_kept(), one][-_MAX_PAST:]


def show_new(piece: Piece, note: str, name: str = "") -> None:
    """Put another piece on the page, under a name of its own."""
    n_made = st.session_state.get("kept.long_form.n_made", 0)
    st.session_state["kept.long_form.n_made"] = n_made + 1
    show(Shown(f"piece.{n_made}", piece, name or name_of(piece.embeddings), note))


def rename(name: str) -> None:
    """Give the piece another name, here and in its past; that is no step of the undo."""
    now = shown()
    if now and name.strip():
        st.session_state[_PIECES] = [
            replace(one, name=name.strip()) if one.id == now.id else one for one in _kept()
        ]


def can_take_back() -> bool:
    """Return whether there was another piece, or the same before a change."""
    return len(_kept()) > 1


def take_back() -> None:
    """Bring back what was on the page before."""
    st.session_state[_PIECES] = _kept()[:-1]


def _kept() -> list[Shown]:
    kept: list[Shown] = st.session_state.setdefault(_PIECES, [])
    return kept
