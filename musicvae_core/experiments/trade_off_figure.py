"""The curve of the trade-off: accuracy and realism against the divergence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from musicvae_core.experiments.figures import write_figure

_PRIORS = {"learned": "AUC, learned prior", "normal": "AUC, N(0, I)"}


def draw_trade_off(rows: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Draw what `experiments.trade_off` found, and return the file.

    Left, the share of steps with all nine voices right; right, how well a judge tells samples
    from real windows, where 0.5 is chance; both against the KL in nats.
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
