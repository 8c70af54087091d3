"""What experiments report: figures as files, and the text and picture of `feel`."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from musicvae_core.data.files import write_content

_log = logging.getLogger(__name__)

_Row = Mapping[str, Any]

_APART = {
    "offset_spread": "spread of offsets",
    "swing": "swing",
    "swing_size": "size of swing",
    "velocity_mean": "mean velocity",
    "velocity_spread": "its spread",
}

_FEEL = {
    "timing_mae_ms": ("timing, ms", "{:.2f}"),
    "velocity_mae": ("velocity", "{:.3f}"),
    "nats_a_hit": ("nats a hit", "{:.2f}"),
    "offset_spread": ("spread of offsets", "{:.3f}"),
    "swing": ("swing", "{:+.3f}"),
    "swing_size": ("its size", "{:.3f}"),
    "velocity_mean": ("mean velocity", "{:.3f}"),
    "velocity_spread": ("its spread", "{:.3f}"),
    "accents": ("accents", "{:.2f}"),
    "auc": ("AUC", "{:.3f}"),
}


def report_text(report: _Row) -> str:
    """Return the report of `feel_experiment` as Markdown."""
    sections = [_feel(report), _drumify(report), _fill_in(report), _transfer(report)]
    return "\n\n".join([*sections, _seams(report)]) + "\n"


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _feel(report: _Row) -> str:
    rows = [
        [row["name"], *(_cell(row.get(key), form) for key, (_, form) in _FEEL.items())]
        for row in report["feel"]
    ]
    return "\n\n".join(
        [
            "### Humanize: velocity and timing for given notes",
            f"{report['n_windows']:,} windows of {report['n_performances']} performances of the "
            f"{report['split']} split. The model is given the notes and the tempo, in the last row "
            "also the style and the drummer of the data set, which a player may choose. Timing, "
            "velocity: mean absolute error of the mean prediction (over 32 draws of the groove "
            "lab). Nats: of a hit's velocity and timing, on MIDI's bins; for the groove lab an "
            "upper bound from 16 draws of z. The other columns are of 5 draws, where a method is "
            "random: means over windows, the correlation of a window's velocities with the real "
            "ones, and how well gradient-boosted trees tell the result from the real windows of "
            "the same notes (each performance in one fold; .5 means that they cannot). The size "
            "of swing is the mean of its absolute value in a window, so that swung and rushed "
            "playing do not cancel.",
            _table(["", *(title for title, _ in _FEEL.values())], rows),
            _chance(report["feel"][1:]),
        ]
    )


def _chance(ways: Sequence[_Row]) -> str:
    """Return how far each method is from real playing, with intervals over performances."""
    rows = []
    for way in ways:
        apart = [_between(way["chance"][name], "{:+.3f}") for name in _APART]
        spread = "" if way["auc_spread"] is None else f" ± {way['auc_spread']:.3f}"
        judged = f"{way['auc']:.3f}{spread}"
        rows.append([way["name"], *apart, judged, _between(way["chance"]["auc"], "{:.3f}")])
    return "\n\n".join(
        [
            "Differences from the real grooves: 95% bootstrap intervals, resampling whole "
            "performances 1,000 times. Where an interval contains 0, the difference is not "
            "significant. The AUC's spread is over draws and folds; its interval resamples the "
            "performances with the judge's scores as they are.",
            _table(["", *_APART.values(), "AUC over draws", "over performances"], rows),
        ]
    )


def _drumify(report: _Row) -> str:
    ways = report["drumify"]
    rows = [
        [name, *(f"{way[key]:.3f}" for key in ("at_the_step", "within_a_step", "accents", "auc"))]
        for name, way in ways.items()
    ]
    first = next(iter(ways.values()))
    gaps = [
        [name, f"{gap['generated']:.3f}", f"{gap['real']:.3f}", f"{gap['gap']:+.3f}"]
        for name, gap in first["features"].items()
    ]
    return "\n\n".join(
        [
            "### Drumify: a kit for a rhythm",
            "All voices of the same windows are folded into one rhythm, and a kit is made from "
            "it: share of the rhythm's steps that have an onset, correlation of its accents with "
            "the kit's loudest hits, and the judge's AUC between kits and real windows.",
            _table(["rhythm", "at the step", "within a step", "accents", "AUC"], rows),
            _table(["attribute", "kits", "real", "gap in standard deviations"], gaps),
        ]
    )


def _fill_in(report: _Row) -> str:
    keys = ("nats_a_bar", "nats_a_bar_by_frequency", "f1", "f1_most_common")
    rows = [[row["voice"], *(f"{row[key]:.2f}" for key in keys)] for row in report["fill_in"]]
    return "\n\n".join(
        [
            "### Fill in: one voice, given the rest",
            "Nats a bar of the real hits of a hidden voice, given the hits before (an upper "
            "bound from 16 draws of z), compared with the frequencies of the train split's bars of "
            "that voice; and F1 of one draw's hits, compared with the train split's most common "
            "bar.",
            _table(["voice", "groove lab", "by frequency", "F1", "most common bar"], rows),
        ]
    )


def _transfer(report: _Row) -> str:
    rows = []
    for row in report["transfer"]:
        pairs = [f"{row['wanted'][name]:.2f} / {row['own'][name]:.2f}" for name in row["wanted"]]
        rows.append([row["name"], *pairs])
    titles = [name.replace("_", " ") for name in report["transfer"][0]["wanted"]]
    return "\n\n".join(
        [
            "### Transfer: the feel of one performance on the notes of another",
            "Correlation over pairs of performances with the groove that the feel comes from / "
            "with the groove that the notes come from.",
            _table(["", *titles], rows),
        ]
    )


def _seams(report: _Row) -> str:
    seams = report["seams"]
    rows = [
        [name, *(f"{seams[name][what]:.2f}" for what in ("loudness", "lateness"))]
        for name in ("played", "real")
    ]
    halves = [
        [title, *(f"{seams[name][key]:.3f}" for key in list(_FEEL)[3:8])]
        for title, name in (("bars 1 to 8", "first_half"), ("bars 9 to 16", "second_half"))
    ]
    bars = ", ".join(str(bar + 1) for bar in seams["bars"])
    return "\n\n".join(
        [
            "### Long grooves",
            f"{seams['n_windows']} windows of 16 bars, humanized. How much a bar's mean loudness "
            f"and lateness change where the lab begins a new stretch (bars {bars}), divided by "
            "how much they change at all other bar lines; real ones at the same bars.",
            _table(["", "loudness", "lateness"], rows),
            _table(["", *(title for title, _ in list(_FEEL.values())[3:8])], halves),
        ]
    )


def _between(ends: Sequence[float], form: str) -> str:
    return " to ".join(form.format(end) for end in ends)


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)


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
    """Return the figure: a panel per measure, a bar per method, and a line for real playing."""
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
        picture = figure.to_image(format=path.suffix.removeprefix("."))
        write_content(path, _with_one_sheet(picture) if path.suffix == ".svg" else picture)
    except (ImportError, ValueError, RuntimeError) as error:
        _log.warning("%s needs kaleido and Chromium (%s); HTML is written instead.", path, error)
        path = path.with_suffix(".html")
        write_content(path, figure.to_html(include_plotlyjs="cdn"))
    return path


_STYLED_TEXT = re.compile(rb'(<text (?![^>]*class=)[^>]*?)style="([^"]+)"')


def _with_one_sheet(svg: bytes) -> bytes:
    """Return an SVG file in which the styles of texts stand once, not in each text again."""
    styles = sorted({style for _, style in _STYLED_TEXT.findall(svg)})
    if not styles:
        return svg
    names = {style: b"text-%d" % at for at, style in enumerate(styles)}
    slim = _STYLED_TEXT.sub(lambda text: b'%bclass="%b"' % (text[1], names[text[2]]), svg)
    rules = b"".join(b".%b{%b}" % (name, style) for style, name in names.items())
    head, bracket, rest = slim.partition(b">")
    return b"%b%b<style>%b</style>%b" % (head, bracket, rules, rest)
