"""The controls of a path on the map."""

from __future__ import annotations

import streamlit as st

from pages.components.map.actions import Actions
from pages.components.map.cards import Path, Sounding, path_of
from pages.components.map.state import MAX_STOPS
from pages.components.names import as_text

_MAX_STRIP = 33
"""Steps of a path: as many as a strip of the deck may have."""


def draw_path_controls(sounding: Sounding, actions: Actions) -> Path | None:
    """Draw the controls of the path where there is one; return the path through its stops."""
    now = actions.now
    n_stops = len(now.path)
    if not n_stops:
        if actions.settings.to_path:
            st.caption("Click two points for a morph between them, or more for a journey.")
        return None
    names = [as_text(stop.name) for stop in now.path]
    stops = " → ".join(f"**{at}** {name}" for at, name in enumerate(names, start=1))
    full = " That is as many as a path has." if n_stops == MAX_STOPS else ""
    st.caption(f"{stops}{full}")
    steps = _choose_steps(n_stops) if n_stops > 1 else 1
    with st.container(horizontal=True, gap="xsmall"):
        st.button(
            "Play the journey",
            icon=":material/route:",
            key="map.travel",
            disabled=n_stops < 2,
            help="All steps one after the other" if n_stops > 1 else "Click a second point first",
            on_click=lambda: actions.keep(actions.now.travelling()),
        )
        st.button(
            "Undo",
            icon=":material/undo:",
            key="map.back",
            help="Take back the last stop",
            on_click=lambda: actions.keep(actions.now.back()),
        )
        st.button(
            "Clear",
            icon=":material/close:",
            key="map.clear",
            help="Take back all stops",
            on_click=lambda: actions.keep(actions.now.without_path()),
        )
    return path_of(sounding, now, steps)


def _choose_steps(n_stops: int) -> int:
    most = (_MAX_STRIP - 1) // (n_stops - 1)
    return int(
        st.slider(
            "Steps from stop to stop",
            *(1, min(16, most), min(4, most)),
            key=f"map.steps.{n_stops}",
            persist_state="session",
        )
    )
