"""The matrix figure of the attribute experiment: what moves when each attribute is moved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from musicvae_core.controls import CONTROLS
from musicvae_core.experiments.figures import write_figure

_PANELS = {
    "plain": "vectors of the paper, added less subtracted",
    "corrected": "corrected vectors, two deviations each way",
    "sliders": "sliders, beside their own attribute",
}
_SCALE = 2.5
"""Standard deviations at which the colour is full."""


def draw_matrices(report: Mapping[str, Any], path: Path) -> Path:
    """Draw the experiment's three matrices side by side, and return the file.

    Rows are what was moved, columns what was measured. The sliders' changes have no sign, so
    each row is scaled to what its own attribute moved.

    Source: after Roberts et al. 2018, figure 6.
    """
    titles = [CONTROLS[name].title for name in report["controls"]]
    moved = np.array(report["moved"])
    tables = {
        "plain": np.array(report["plain"]),
        "corrected": np.array(report["corrected"]),
        "sliders": _SCALE * moved / np.diag(moved)[:, None],
    }
    figure = make_subplots(
        1, 3, shared_yaxes=True, subplot_titles=list(_PANELS.values()), horizontal_spacing=0.02
    )
    for column, name in enumerate(_PANELS, start=1):
        table = tables[name]
        shown = moved / np.diag(moved)[:, None] if name == "sliders" else table
        heat = go.Heatmap(
            z=table,
            x=titles,
            y=titles,
            zmin=-_SCALE,
            zmax=_SCALE,
            colorscale="RdBu_r",
            showscale=False,
            text=np.vectorize("{:.1f}".format)(np.round(shown, 1) + 0.0),
            texttemplate="%{text}",
            textfont={"size": 8},
        )
        figure.add_trace(heat, 1, column)
    figure.update_yaxes(autorange="reversed")
    figure.update_yaxes(title_text="what is moved", row=1, col=1)
    figure.update_xaxes(tickangle=-60)
    size = 150 + 24 * len(titles)
    figure.update_layout(
        width=260 + 3 * 30 * len(titles), height=size, font={"size": 11}, margin={"t": 40, "r": 10}
    )
    return write_figure(figure, path)
