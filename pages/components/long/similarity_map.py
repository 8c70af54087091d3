"""The self-similarity map of a piece: every bar beside every other."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from musicvae_core.groove import Groove
from musicvae_core.similarity import bar_similarity

_HEIGHT_PX = 250
_SCALE = ((0.0, "#161a22"), (0.5, "#5b4a2a"), (1.0, "#f2b544"))


def draw_similarity(groove: Groove, key: str) -> None:
    """Draw the map; what it means is said below it."""
    st.plotly_chart(
        similarity_figure(groove),
        key=key,
        config={"displayModeBar": False},
        alt="How alike the bars are, each beside every other",
    )
    st.caption(
        "Every bar beside every other: bright where their hits are alike. Stripes along the "
        "diagonal are what comes back."
    )


def similarity_figure(groove: Groove) -> go.Figure:
    """Return the map of a groove's bars, counted from 1."""
    alike = bar_similarity(groove.hits)
    bars = list(range(1, groove.n_bars + 1))
    heatmap = go.Heatmap(
        x=bars,
        y=bars,
        z=alike,
        zmin=0,
        zmax=1,
        colorscale=_SCALE,
        showscale=False,
        xgap=1,
        ygap=1,
        hovertemplate="bars %{x} and %{y}: %{z:.0%} alike<extra></extra>",
    )
    figure = go.Figure(heatmap)
    ticks = {"tickvals": bars[:: 4 if len(bars) > 8 else 1], "showgrid": False, "zeroline": False}
    figure.update_xaxes(side="top", **ticks)
    figure.update_yaxes(autorange="reversed", scaleanchor="x", **ticks)
    margin = {"l": 28, "r": 4, "t": 28, "b": 4}
    figure.update_layout(height=_HEIGHT_PX, margin=margin)
    return figure
