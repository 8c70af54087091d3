"""What `long_term` measured, as a table and as a figure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

PAPER: Mapping[str, tuple[float, float]] = MappingProxyType(
    {"flat": (0.884, 0.549), "hierarchical": (0.928, 0.879)}
)
"""Test accuracy of 16-bar drums under teacher forcing and in sampling: Roberts et al. 2018,
table 2, on data of their own."""

_COLOURS = ("#c8553d", "#3b6fb6", "#7a9e4b", "#9467bd", "#8c564b", "#17becf")
_REAL = "#777777"


def table(report: Mapping[str, Any]) -> str:
    """Return the measures as tables in Markdown."""
    return "\n\n".join([_accuracies(report), _by_bar(report), _similarities(report)]) + "\n"


def _accuracies(report: Mapping[str, Any]) -> str:
    n = report["n_windows"]
    lines = [
        "Share of steps with all nine voices right; z at the posterior mean, "
        f"{n['test']:,} windows of the test split and {n['train']:,} of the train split.",
        "",
        *_head(
            "model",
            "parameters",
            "test, teacher forcing",
            "test, sampling",
            "train, teacher forcing",
            "train, sampling",
            "the paper's test",
        ),
    ]
    for name, row in report["models"].items():
        numbers = [
            f"{row[split][f'{way}_accuracy']:.4f}"
            for split in ("test", "train")
            for way in ("teacher_forcing", "sampling")
        ]
        paper = " and ".join(f"{number:.3f}" for number in PAPER.get(name, ()))
        lines.append(_row(name, f"{row['parameters']:,}", *numbers, paper or "-"))
    return "\n".join(lines)


def _by_bar(report: Mapping[str, Any]) -> str:
    n_bars = len(next(iter(report["models"].values()))["test"]["by_bar"])
    bars = [bar for bar in (0, 1, 3, 7, 11, 15) if bar < n_bars]
    lines = ["Test, sampling, bar by bar.", ""]
    lines += _head("model", *(f"bar {bar + 1}" for bar in bars))
    for name, row in report["models"].items():
        lines.append(_row(name, *(f"{row['test']['by_bar'][bar]:.4f}" for bar in bars)))
    return "\n".join(lines)


def _similarities(report: Mapping[str, Any]) -> str:
    lines = [
        "How alike bars are that lie so many bars apart: mean F1 of their hits, of real windows "
        "and of pieces sampled at temperature 1.",
        "",
        *_head("", *(f"lag {lag}" for lag in report["lags"])),
    ]
    for split, similarity in report["real"].items():
        lines.append(_row(f"real, {split} split", *map("{:.3f}".format, similarity)))
    for name, row in report["models"].items():
        source = "" if row["prior"] == "learned" else ", from N(0, I)"
        lines.append(_row(f"{name}{source}", *map("{:.3f}".format, row["similarity"])))
    return "\n".join(lines)


def _head(*cells: str) -> list[str]:
    return [_row(*cells), "| --- " * len(cells) + "|"]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def draw(report: Mapping[str, Any]) -> go.Figure:
    """Return the figure: accuracy against the bar, and similarity against the lag."""
    titles = ("Steps right, test split, sampling", "How alike bars are")
    figure = make_subplots(1, 2, subplot_titles=titles)
    for (name, row), colour in zip(report["models"].items(), _COLOURS, strict=False):
        accuracy = row["test"]["by_bar"]
        line = {"color": colour}
        bars = list(range(1, len(accuracy) + 1))
        figure.add_trace(go.Scatter(x=bars, y=accuracy, name=name, line=line), 1, 1)
        alike = go.Scatter(
            x=report["lags"], y=row["similarity"], name=name, line=line, showlegend=False
        )
        figure.add_trace(alike, 1, 2)
    for split, dash in (("train", "dot"), ("test", "dash")):
        line = {"color": _REAL, "dash": dash}
        real = go.Scatter(
            x=report["lags"], y=report["real"][split], name=f"real, {split}", line=line
        )
        figure.add_trace(real, 1, 2)
    figure.update_xaxes(title_text="bar", row=1, col=1)
    figure.update_xaxes(title_text="bars apart", tickvals=report["lags"], row=1, col=2)
    figure.update_layout(width=1000, height=360, legend={"orientation": "h"}, font={"size": 11})
    return figure
