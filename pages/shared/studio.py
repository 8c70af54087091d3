"""The app's `Studio`, shared by all sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from musicvae_core.music.forms import music_to_text
from musicvae_core.music.groove import Groove
from musicvae_core.music.line import Line
from musicvae_core.music.piece import Piece
from musicvae_core.studio import Studio, limit_threads


def _open_studio() -> Studio:
    """Load the shipped models and the system's SoundFont."""
    limit_threads()
    return Studio()


@st.cache_resource(show_spinner="Loading the models…")
def shared_studio() -> Studio:
    """Return the app's `Studio`, loaded once."""
    return _open_studio()


HASH_FUNCS: dict[str | type[Any], Callable[[Any], Any]] = dict.fromkeys(
    (Groove, Line, Piece), music_to_text
)
"""How caches identify music: by everything that its sound depends on."""
