"""The one `Studio` that every page and every session shares, and its sounds."""

from __future__ import annotations

import streamlit as st

from musicvae_core.errors import MusicVAEError
from musicvae_core.groove import Groove
from musicvae_core.studio import Studio

_MAX_SOUNDS = 128
"""Rendered loops kept for all sessions: two bars at 120 bpm are 0.7 MB."""


def open_studio() -> Studio:
    """Load the shipped models and the system's SoundFont."""
    return Studio()


@st.cache_resource(show_spinner="Loading the models…")
def shared_studio() -> Studio:
    """Return the app's `Studio`, loaded once."""
    return open_studio()


def _identity(groove: Groove) -> tuple[object, ...]:
    """Return all that a groove's sound depends on, for the cache's key."""
    arrays = (groove.hits, groove.velocities, groove.offsets)
    return (groove.tempo_bpm, *(array.tobytes() for array in arrays))


@st.cache_resource(max_entries=_MAX_SOUNDS, show_spinner=False, hash_funcs={Groove: _identity})
def loop_wav(_studio: Studio, groove: Groove, kit: str | None) -> bytes:
    """Return one pass of a groove as a WAV file, rendered once for all sessions."""
    return _studio.wav(groove, kit)


def loop_sounds(
    studio: Studio, grooves: list[Groove], kit: str | None
) -> tuple[list[bytes | None], str | None]:
    """Return the WAV file of each groove, and why there is none where sound does not work."""
    nothing: list[bytes | None] = [None] * len(grooves)
    if studio.sound_problem:
        return nothing, studio.sound_problem
    try:
        return [loop_wav(studio, groove, kit) for groove in grooves], None
    except MusicVAEError as error:
        return nothing, str(error)
