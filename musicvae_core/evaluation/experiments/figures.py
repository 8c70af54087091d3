"""Figures of experiments as files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from musicvae_core.data.files import write_content
from musicvae_core.music.controls import CONTROLS

_log = logging.getLogger(__name__)


def write_figure(figure: Any, path: Path) -> Path:
    """Write a Plotly figure as a picture, or as HTML where nothing can draw one.

    Parameters
    ----------
    figure
        A `plotly.graph_objects.Figure`.
    path
        Its suffix gives the format, such as `.svg`.

    Returns
    -------
    The file that was written: the path, or the same with the suffix `.html`.
    """
    try:
        write_content(path, figure.to_image(format=path.suffix.removeprefix(".")))
    except (ImportError, ValueError, RuntimeError) as error:
        _log.warning("%s needs kaleido and Chromium (%s); HTML is written instead.", path, error)
        path = path.with_suffix(".html")
        write_content(path, figure.to_html(include_plotlyjs="cdn"))
    return path


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


_PRIORS = {"learned": "AUC, learned prior", "normal": "AUC, N(0, I)"}


def draw_trade_off(rows: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Draw what `experiments.trade_off` found, and return the file.

    Left, the share of steps with all nine voices right; right, how well a judge tells samples
    from real windows, where 0.5 is guessing; both against the KL in nats.
    """
    rows = sorted(rows, key=lambda row: row["validation"]["kl_nats"])
    nats = [row["validation"]["kl_nats"] for row in rows]
    figure = make_subplots(1, 2, horizontal_spacing=0.12)
    accuracy = [row["validation"]["sampling_accuracy"] for row in rows]
    figure.add_trace(go.Scatter(x=nats, y=accuracy, name="sampling accuracy"), 1, 1)
    for prior, name in _PRIORS.items():
        realism = [row[prior]["auc"] for row in rows]
        figure.add_trace(go.Scatter(x=nats, y=realism, name=name), 1, 2)
    figure.update_xaxes(title_text="KL in nats", rangemode="tozero")
    figure.update_yaxes(title_text="steps right", range=[0, 1], row=1, col=1)
    figure.update_yaxes(title_text="AUC of the judge", range=[0.45, 1], row=1, col=2)
    figure.update_layout(width=820, height=340, margin={"t": 20, "r": 10}, font={"size": 12})
    return write_figure(figure, path)
