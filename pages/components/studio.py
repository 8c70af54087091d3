"""The one `Studio` that every page and every session shares, and its sounds."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from musicvae_core.errors import MusicVAEError
from musicvae_core.groove import Groove
from musicvae_core.studio import Studio
from pages.components.deck.card import Mix

_MAX_SOUNDS, _MAX_LONG_SOUNDS = 128, 8
"""Rendered loops kept of each kind for all sessions: two bars at 120 bpm are 0.7 MB as WAV."""
_LONG_SECONDS = 60.0
"""Longer ones are FLAC in any case, and few of them are kept."""


def open_studio() -> Studio:
    """Load the shipped models and the system's SoundFont."""
    return Studio()


@st.cache_resource(show_spinner="Loading the models…")
def shared_studio() -> Studio:
    """Return the app's `Studio`, loaded once."""
    return open_studio()


def identity(groove: Groove) -> tuple[object, ...]:
    """Return all that a groove's sound depends on, for the cache's key."""
    arrays = (groove.hits, groove.velocities, groove.offsets)
    return (groove.tempo_bpm, *(array.tobytes() for array in arrays))


@st.cache_resource(max_entries=_MAX_SOUNDS, show_spinner=False, hash_funcs={Groove: identity})
def loop_wav(_studio: Studio, groove: Groove, kit: str | None) -> bytes:
    """Return one pass of a groove as a WAV file, rendered once for all sessions."""
    return _studio.wav(groove, kit)


@st.cache_resource(max_entries=_MAX_SOUNDS, show_spinner=False, hash_funcs={Groove: identity})
def loop_flac(_studio: Studio, groove: Groove, kit: str | None) -> bytes:
    """Return one pass of a groove as a FLAC file, rendered once for all sessions."""
    return _studio.flac(groove, kit)


@st.cache_resource(max_entries=_MAX_LONG_SOUNDS, show_spinner=False, hash_funcs={Groove: identity})
def long_flac(_studio: Studio, groove: Groove, kit: str | None) -> bytes:
    """Return one pass of a long groove as a FLAC file, kept until a few others come."""
    return _studio.flac(groove, kit)


def loop_sounds(
    studio: Studio,
    grooves: Sequence[Groove],
    kit: str | None,
    *,
    mix: Mix | None = None,
    compressed: bool = False,
) -> tuple[list[bytes | None], str | None]:
    """Return the sound of each groove, and why there is none where sound does not work.

    Parameters
    ----------
    studio
        Renders them.
    grooves
        What to render.
    kit
        One of `studio.kits()`; None for the first.
    mix
        Which voices are heard; None for all.
    compressed
        FLAC files in place of WAV files: for many loops at once, as a morph has them.
    """
    nothing: list[bytes | None] = [None] * len(grooves)
    if studio.sound_problem:
        return nothing, studio.sound_problem

    def render(groove: Groove) -> bytes:
        if groove.duration_seconds > _LONG_SECONDS:
            return long_flac(studio, groove, kit)
        return (loop_flac if compressed else loop_wav)(studio, groove, kit)

    try:
        heard = grooves if mix is None else [mix.of(groove) for groove in grooves]
        return [render(groove) for groove in heard], None
    except MusicVAEError as error:
        return nothing, str(error)
