"""The report of the experiment `feel` as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]

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


def report_text(report: Row) -> str:
    """Return the report of `feel_experiment` as Markdown."""
    sections = [_feel(report), _drumify(report), _fill_in(report), _transfer(report)]
    return "\n\n".join([*sections, _seams(report)]) + "\n"


def table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _feel(report: Row) -> str:
    rows = [
        [row["name"], *(_cell(row.get(key), form) for key, (_, form) in _FEEL.items())]
        for row in report["feel"]
    ]
    return "\n\n".join(
        [
            "### Humanize: the same notes, played anew",
            f"{report['n_windows']:,} windows of {report['n_performances']} performances of the "
            f"{report['split']} split; the model hears the notes and the tempo, and in the last "
            "row the style and the drummer that the data set names, which a player may choose. "
            "Timing, velocity: mean absolute errors of the mean prediction (of the groove lab's "
            "32 draws). Nats: of a hit's velocity and timing, on MIDI's bins; the groove lab's is "
            "an upper bound, by 16 draws of z. The rest is of 5 draws, where anything is drawn: "
            "means over windows, the correlation of a window's velocities with the real ones, and "
            "how well gradient-boosted trees tell them from the real windows of the same notes "
            "(performances whole; .5 is chance). The size of swing is the mean of its absolute "
            "value in a window: those who swing and those who rush do not cancel in it.",
            table(["", *(title for title, _ in _FEEL.values())], rows),
            _chance(report["feel"][1:]),
        ]
    )


def _chance(ways: Sequence[Row]) -> str:
    """Return how far each way is from real ones, and how far on other performances."""
    rows = []
    for way in ways:
        apart = [_between(way["chance"][name], "{:+.3f}") for name in _APART]
        spread = "" if way["auc_spread"] is None else f" ± {way['auc_spread']:.3f}"
        judged = f"{way['auc']:.3f}{spread}"
        rows.append([way["name"], *apart, judged, _between(way["chance"]["auc"], "{:.3f}")])
    return "\n\n".join(
        [
            "How far from the real ones these lie, were other performances drawn: 95% intervals "
            "of the difference, whole performances resampled 1,000 times. An interval with 0 in "
            "it is within chance. The AUC's spread is that over draws and folds; its interval "
            "resamples the performances under the judge's scores.",
            table(["", *_APART.values(), "AUC over draws", "over performances"], rows),
        ]
    )


def _drumify(report: Row) -> str:
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
            "All voices of the same windows folded into one rhythm, and a kit made of it: shares "
            "of the rhythm's steps that have an onset, correlation of its accents with the "
            "kit's loudest hits, and the judge's AUC between kits and real windows.",
            table(["rhythm", "at the step", "within a step", "accents", "AUC"], rows),
            table(["attribute", "kits", "real", "gap in standard deviations"], gaps),
        ]
    )


def _fill_in(report: Row) -> str:
    keys = ("nats_a_bar", "nats_a_bar_by_frequency", "f1", "f1_most_common")
    rows = [[row["voice"], *(f"{row[key]:.2f}" for key in keys)] for row in report["fill_in"]]
    return "\n\n".join(
        [
            "### Fill in: one voice, given the rest",
            "Nats a bar of the real hits of a voice that is hidden, given how those before were "
            "played (upper bound, by 16 draws of z), beside the frequencies of the train split's "
            "bars of that voice; and F1 of one draw's hits beside the train split's most common "
            "bar.",
            table(["voice", "groove lab", "by frequency", "F1", "most common bar"], rows),
        ]
    )


def _transfer(report: Row) -> str:
    rows = []
    for row in report["transfer"]:
        pairs = [f"{row['wanted'][name]:.2f} / {row['own'][name]:.2f}" for name in row["wanted"]]
        rows.append([row["name"], *pairs])
    titles = [name.replace("_", " ") for name in report["transfer"][0]["wanted"]]
    return "\n\n".join(
        [
            "### Transfer: the feel of one performance on the notes of another",
            "Correlation over pairs of performances with the groove whose feel is wanted / with "
            "the groove whose notes they are, as that was played.",
            table(["", *titles], rows),
        ]
    )


def _seams(report: Row) -> str:
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
            f"and lateness change where a stretch begins (bars {bars}), divided by how much they "
            "do at all other bar lines; real ones at the same bars for comparison.",
            table(["", "loudness", "lateness"], rows),
            table(["", *(title for title, _ in list(_FEEL.values())[3:8])], halves),
        ]
    )


def _between(ends: Sequence[float], form: str) -> str:
    return " to ".join(form.format(end) for end in ends)


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else form.format(value)
