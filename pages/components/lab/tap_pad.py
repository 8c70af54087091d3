"""The tap pad: a rhythm by hand, on the space bar or on the screen, against a metronome.

The front lives in `assets/taps`; what it expects and what it sends back stands at the top of
`assets/taps/taps.js`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import streamlit as st

from musicvae_core.errors import InvalidGrooveError
from musicvae_core.groove import Groove
from musicvae_core.taps import taps_to_groove
from musicvae_core.vocabulary import MAX_TEMPO_BPM, MIN_TEMPO_BPM
from pages.components.front import joined_script
from pages.components.settings import WIDTH
from pages.components.whole import whole

_ASSETS = Path(__file__).parents[3] / "assets" / "taps"
_MODULES = ("clock.js", "metronome.js", "recorder.js", "taps.js")
_BARS = (1, 2, 4, 8)
_MOST_LATE_MS = 250


def draw_tap_pad(key: str, on_taps: Callable[[Groove], None]) -> None:
    """Draw the pad with its settings.

    Parameters
    ----------
    key
        Names the widgets in the session.
    on_taps
        Called with what was tapped, before the page runs again.
    """
    with st.container(horizontal=True, vertical_alignment="bottom"):
        tempo_bpm = st.number_input(
            "Tempo, bpm",
            *(int(MIN_TEMPO_BPM), int(MAX_TEMPO_BPM), 100),
            key=f"{key}.tempo",
            width=WIDTH,
            persist_state="session",
            help="Of the metronome, and of the groove.",
        )
        bars = st.selectbox(
            "Bars", _BARS, 1, key=f"{key}.bars", width=WIDTH, persist_state="session"
        )
        late = st.number_input(
            "Taps come late by, ms",
            *(0, _MOST_LATE_MS, 0),
            key=f"{key}.late",
            width=WIDTH,
            persist_state="session",
            help="What the browser knows of the sound's delay is allowed for; wireless "
            "headphones and keyboards may add some of their own.",
        )

    @whole()
    def call() -> None:
        value = st.session_state[f"{key}.pad"].get("taps")
        if value is not None and (groove := _read(value)):
            on_taps(groove)

    _mount(
        key=f"{key}.pad",
        data={"tempo": tempo_bpm, "bars": bars, "late": late},
        on_taps_change=call,
    )


def _read(value: Any) -> Groove | None:
    """Return what was tapped; None for what is no recording."""
    try:
        taps = [(float(place), float(velocity)) for place, velocity in value["taps"]]
        return taps_to_groove(taps, int(value["bars"]), float(value["tempo"]))
    except (InvalidGrooveError, KeyError, TypeError, ValueError):
        return None


_mount = st.components.v2.component(
    "tap_pad",
    js=joined_script(_ASSETS, _MODULES),
    css=(_ASSETS / "taps.css").read_text("utf-8"),
)
