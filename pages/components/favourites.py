"""Favourites: grooves with a star, which last until the session ends."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from musicvae_core.groove import Groove
from pages.components.slots import Source, fingerprint

_FAVOURITES = "kept.favourites"


def favourites() -> dict[str, Source]:
    """Return the favourites by the fingerprints of their grooves, the oldest first."""
    kept: dict[str, Source] = st.session_state.setdefault(_FAVOURITES, {})
    return kept


def is_favourite(groove: Groove) -> bool:
    """Return whether a groove with these notes has a star, at whatever tempo."""
    return fingerprint(groove) in favourites()


def can_undo_star() -> bool:
    """Return whether a star was given or taken away in this session."""
    return bool(_past())


def undo_star() -> None:
    """Bring back the favourites from before the last star, or the last name."""
    if past := _past():
        st.session_state[_FAVOURITES] = past.pop()


def keep_favourite(source: Source) -> None:
    """Give a groove its star; one that has it takes the new name and tempo."""
    kept = replace(source, origin="favourite")
    _change(favourites() | {fingerprint(source.groove): kept})


def set_favourite(source: Source, kept: bool) -> None:
    """Give a groove its star, or take it away; where it is so already, nothing changes."""
    if kept == is_favourite(source.groove):
        return
    if kept:
        keep_favourite(source)
    else:
        rest = dict(favourites())
        del rest[fingerprint(source.groove)]
        _change(rest)


def _change(favourites_then: dict[str, Source]) -> None:
    _past().append(favourites())
    st.session_state[_FAVOURITES] = favourites_then


def _past() -> list[dict[str, Source]]:
    kept: list[dict[str, Source]] = st.session_state.setdefault("kept.favourites.past", [])
    return kept
