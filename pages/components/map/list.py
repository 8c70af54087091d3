"""What is inside a lasso, or was found by a search, as a list to choose from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
import streamlit as st

from musicvae_core.space.atlas import Atlas
from pages.components.map.actions import Actions
from pages.components.map.settings import MapSettings
from pages.components.names import drummer_title, style_title
from pages.components.sources import bars_phrase

_MAX_ROWS = 500
_N_STYLES = 4
_HEIGHT = 320


def draw_list(settings: MapSettings, actions: Actions) -> None:
    """Draw what is inside the last lasso, or what search and filter left; a row plays."""
    now = actions.now
    inside = [point for point in now.inside if settings.shown[point]]
    if inside:
        points, title = inside, "Inside"
    elif settings.is_filtered:
        points, title = np.flatnonzero(settings.shown).tolist(), "Found"
    else:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        heading = f"{title}: {len(points):,} {'groove' if len(points) == 1 else 'grooves'}"
        st.subheader(heading, width="content")
        if inside:
            st.button(
                "Let go",
                key="map.let_go",
                type="tertiary",
                help="Forget what the lasso or box holds",
                on_click=actions.let_go,
            )
    if not points:
        st.caption("Nothing matches: change the search or the filter.")
        return
    st.caption(summary(settings.atlas, points))
    listed = points[:_MAX_ROWS]
    digest = blake2b(np.array(listed).tobytes(), digest_size=6).hexdigest()
    key = f"map.list.{digest}"

    def choose() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        if rows:
            actions.take(f"point.{listed[rows[0]]}")

    st.dataframe(
        rows_of(settings.atlas, listed),
        hide_index=True,
        height=min(_HEIGHT, 36 * (len(listed) + 1)),
        key=key,
        on_select=choose,
        selection_mode="single-row",
    )
    if len(points) > len(listed):
        st.caption(f"The first {len(listed)} are listed.")


def rows_of(atlas: Atlas, points: Sequence[int]) -> dict[str, list[object]]:
    """Return the columns of the list."""
    performances = [atlas.performance_of(point) for point in points]
    bars = [bars_phrase(int(atlas.start_bar[point]), atlas.n_bars) for point in points]
    return {
        "Style": [style_title(one.style) for one in performances],
        "Drummer": [drummer_title(one.drummer) for one in performances],
        "Tempo, bpm": [round(one.tempo_bpm) for one in performances],
        "Kind": [one.beat_type for one in performances],
        "Window": bars,
        "Performance": [one.name for one in performances],
    }


def summary(atlas: Atlas, points: Sequence[int]) -> str:
    """Return the most frequent styles, how many drummers, and the range of tempos."""
    performances = [atlas.performance_of(point) for point in points]
    counts = Counter(style_title(one.style) for one in performances)
    styles = [f"{style} {count}" for style, count in counts.most_common(_N_STYLES)]
    rest = len(counts) - len(styles)
    if rest:
        styles.append(f"{rest} more {'style' if rest == 1 else 'styles'}")
    n_drummers = len({one.drummer for one in performances})
    tempos = [one.tempo_bpm for one in performances]
    drummers = "1 drummer" if n_drummers == 1 else f"{n_drummers} drummers"
    return f"{', '.join(styles)}. {drummers}; {min(tempos):.0f} to {max(tempos):.0f} bpm."
