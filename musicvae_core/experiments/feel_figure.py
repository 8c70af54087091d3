"""The figure of the experiment `feel`: ways to play the same notes, beside real performances."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

_PANELS = {
    "timing_mae_ms": "Timing, mean error in ms",
    "velocity_mae": "Velocity, mean error",
    "offset_spread": "Spread of offsets, steps",
    "swing": "Swing, steps",
    "velocity_spread": "Spread of velocities",
    "auc": "Judge's AUC",
}
_LAB, _OTHERS = "#3b6fb6", "#b9bec6"
_N_COLUMNS = 3


def draw(report: Mapping[str, Any]) -> go.Figure:
    """Return the figure: a panel a measure, a bar a way to play, a line where real ones are."""
    real, *ways = report["feel"]
    figure = make_subplots(
        2,
        _N_COLUMNS,
        subplot_titles=list(_PANELS.values()),
        shared_yaxes=True,
        horizontal_spacing=0.04,
    )
    names = [way["name"] for way in ways]
    colours = [_LAB if name.startswith("groove lab") else _OTHERS for name in names]
    for index, key in enumerate(_PANELS):
        place = {"row": index // _N_COLUMNS + 1, "col": index % _N_COLUMNS + 1}
        bars = go.Bar(
            x=[way[key] for way in ways], y=names, orientation="h", marker={"color": colours}
        )
        figure.add_trace(bars, **place)
        if key in real:
            figure.add_vline(x=real[key], line={"dash": "dot", "color": "#c8553d"}, **place)
    figure.update_yaxes(autorange="reversed")
    margin = {"l": 10, "r": 10, "t": 30, "b": 20}
    figure.update_layout(width=900, height=380, margin=margin, showlegend=False, font={"size": 11})
    return figure
