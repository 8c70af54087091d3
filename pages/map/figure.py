"""The map's chart: every point of an atlas in 2D or 3D, coloured by a field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from musicvae_core.latent.atlas import Atlas, Performance
from musicvae_core.music.attributes import CONTROLS
from musicvae_core.music.line_attributes import LINE_CONTROLS, TONIC
from pages.shared.names import MAJOR_KEYS, UNKNOWN, drummer_title, style_title

View = tuple[float, float, float, float]
"""The view of a 2D chart: lowest and highest x, lowest and highest y."""
_GHOST = "#394056"
_BACKGROUND, _TEXT, _LINE = "#12141b", "#b9b4a8", "#303545"
_SCALE = "Viridis"
_TAILS = (2.0, 98.0)
"""Percentiles between which the colour scale runs, so that outliers do not wash out the rest."""
_COLOURS = (
    *("#f2a65a", "#5aa9f2", "#7bd389", "#e5647e", "#b48cf2", "#f2e05a", "#4fd1c5", "#f28c5a"),
    *("#8fb8de", "#d68fd6", "#a3c455", "#e0b0a0", "#6f7fe8", "#c9a227", "#58b368", "#e86fb0"),
    *("#9aa5b1", "#d9d2c5"),
)
_MAX_FIGURES = 16
_EDGE = 0.05
"""Margin around the points, as a share of their range."""
_LEGEND_PX, _COLOUR_BAR_PX = 96, 72


def place(
    atlas: Atlas, projection: str, codes: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Return the positions of codes (n, Z) on the map, (n, 2) or (n, 3); by default the atlas's."""
    if projection == "tsne":
        return atlas.tsne if codes is None else atlas.tsne_map.place(codes)
    placed = atlas.principal.place(atlas.codes if codes is None else codes)
    return placed if projection == "pca3" else placed[:, :2]


def axis_titles(atlas: Atlas, projection: str) -> list[str]:
    """Return the axis titles: for PCA the share of the variance; for t-SNE nothing."""
    if projection == "tsne":
        return ["", ""]
    n = 3 if projection == "pca3" else 2
    shares = atlas.principal.explained[:n]
    return [f"PC {at}, {share:.1%} of the variance" for at, share in enumerate(shares, start=1)]


@st.cache_resource(
    max_entries=_MAX_FIGURES,
    show_spinner=False,
    hash_funcs={Atlas: lambda atlas: (atlas.fingerprint, len(atlas))},
)
def map_figure(
    atlas: Atlas,
    projection: str,
    colour: str,
    shown: NDArray[np.bool_],
    view: View | None = None,
    webgl: bool = True,
) -> go.Figure:
    """Return the chart: the same object as long as nothing changes.

    Parameters
    ----------
    atlas, projection
        What to draw, and how; see `place`.
    colour
        One of `fields_of`.
    shown
        (N,) bool: the points to draw in colour; the others are ghosts.
    view
        The view of a 2D chart; None for all of it.
    webgl
        Whether to draw a 2D chart with WebGL; without it thousands of points are slow.
    """
    positions = place(atlas, projection)
    figure = go.Figure(
        [
            *_ghosts(positions, np.flatnonzero(~shown)),
            *_points(atlas, positions, fields_of(atlas)[colour], np.flatnonzero(shown)),
        ]
    )
    if not webgl:
        plain = [trace.to_plotly_json() | {"type": "scatter"} for trace in figure.data]
        figure = go.Figure(figure.data if projection == "pca3" else plain)
    figure.update_layout(**_layout(atlas, projection))
    if projection != "pca3":
        x0, x1, y0, y1 = view or _whole_view(positions)
        range_of = _fixed if view else _fitted
        figure.update_layout(xaxis=range_of(x0, x1), yaxis=range_of(y0, y1))
    return figure


def _whole_view(positions: NDArray[np.float32]) -> View:
    """Return a view of all points, shown or not, so that a search does not move the map."""
    (x0, y0), (x1, y1) = positions.min(axis=0), positions.max(axis=0)
    right, up = _EDGE * (x1 - x0), _EDGE * (y1 - y0)
    return float(x0 - right), float(x1 + right), float(y0 - up), float(y1 + up)


def _fixed(low: float, high: float) -> dict[str, Any]:
    """Return an axis with a range that stays when the size of the chart becomes known."""
    return {"range": (low, high), "constrain": "domain"}


def _fitted(low: float, high: float) -> dict[str, Any]:
    """Return an axis that fits a range anew into each size of the chart."""
    return {"autorange": True, "autorangeoptions": {"minallowed": low, "maxallowed": high}}


def _ghosts(positions: NDArray[np.float32], points: NDArray[np.int64]) -> Iterator[Any]:
    if len(points):
        marker = {"color": _GHOST, "size": 4 if positions.shape[1] == 2 else 2, "opacity": 0.5}
        options = {"hoverinfo": "skip", "showlegend": False, "name": "left out"}
        yield _trace(positions[points], marker, **options)


def _points(
    atlas: Atlas, positions: NDArray[np.float32], field: Field, points: NDArray[np.int64]
) -> Iterator[Any]:
    """Yield a trace for each label, most frequent first, or one trace for a number."""
    texts = _hover_texts(atlas)
    is_flat, is_some = positions.shape[1] == 2, len(points) < len(positions)
    marker: dict[str, Any] = {"size": (6 if is_flat else 3) + (2 if is_some else 0)}
    if not field.is_label:
        values = field.numbers[points]
        said = [
            f"{text}<br>{field.title} {field.amount(value)}"
            for text, value in zip(texts[points], values, strict=True)
        ]
        options = {"customdata": points, "text": said, "showlegend": False}
        yield _trace(positions[points], marker | _coloured(field, values), **options)
        return
    names, counts = np.unique(field.values, return_counts=True)
    for at, name in enumerate(names[np.argsort(-counts, kind="stable")]):
        own = points[field.values[points] == name]
        options = {"customdata": own, "text": texts[own], "name": f"{name} ({len(own):,})"}
        colour = {"color": _COLOURS[at % len(_COLOURS)]}
        yield _trace(positions[own], marker | colour, **options)


def _coloured(field: Field, values: NDArray[Any]) -> dict[str, Any]:
    low, high = np.percentile(field.numbers, _TAILS)
    title = f"{field.title}<br>{field.unit}"
    return {
        "color": values,
        "colorscale": _SCALE,
        "cmin": float(low),
        "cmax": float(max(high, low + 1e-6)),
        "colorbar": {"title": {"text": title}, "thickness": 12, "outlinewidth": 0, "len": 0.9},
    }


def _trace(positions: NDArray[np.float32], marker: dict[str, Any], **options: Any) -> Any:
    names = ("x", "y", "z")[: positions.shape[1]]
    axes = dict(zip(names, positions.T, strict=True))
    is_flat = positions.shape[1] == 2
    usual: dict[str, Any] = {"opacity": 0.85, "line": {"width": 0}}
    marker = usual | marker
    if "text" in options:
        options["hovertemplate"] = "%{text}<extra></extra>"
    if is_flat:
        # Points outside a lasso can still be clicked, so they do not fade.
        options["unselected"] = {"marker": {"opacity": marker["opacity"]}}
        options["selected"] = {"marker": {"opacity": 1.0, "size": marker["size"] + 2}}
    kind = go.Scattergl if is_flat else go.Scatter3d
    return kind(mode="markers", marker=marker, **axes, **options)


def _layout(atlas: Atlas, projection: str) -> dict[str, Any]:
    titles = axis_titles(atlas, projection)
    common: dict[str, Any] = {
        # Fixed, whatever the legend and the colours need; otherwise a search would move the points.
        "margin": {"l": 0, "r": _COLOUR_BAR_PX, "t": 0, "b": _LEGEND_PX, "autoexpand": False},
        "paper_bgcolor": _BACKGROUND,
        "plot_bgcolor": _BACKGROUND,
        "font": {"color": _TEXT},
        "legend": {
            "orientation": "h",
            "y": 0,
            "yanchor": "top",
            "itemsizing": "constant",
            "maxheight": _LEGEND_PX,
            "font": {"size": 10},
        },
        "uirevision": projection,
    }
    axis = {
        "showgrid": False,
        "zeroline": False,
        "showticklabels": False,
        "ticks": "",
        "showline": False,
    }
    if projection == "pca3":
        axis |= {"showgrid": True, "gridcolor": _LINE, "backgroundcolor": _BACKGROUND}
        names = ("xaxis", "yaxis", "zaxis")
        axes = {name: axis | {"title": title} for name, title in zip(names, titles, strict=True)}
        return common | {"scene": axes | {"dragmode": "turntable", "aspectmode": "data"}}
    x, y = ({"title": {"text": title, "standoff": 4}} for title in titles)
    return common | {
        "dragmode": "pan",
        "xaxis": axis | x,
        "yaxis": axis | y | {"scaleanchor": "x"},
    }


_SONG_FIELDS = {
    "melody_note_density": ("Busy melody", "notes a bar", 1.0),
    "melody_average_interval": ("Intervals", "semitones", 1.0),
    "bass_note_density": ("Busy bass", "notes a bar", 1.0),
    "chord_fit": ("Melody in the bass's chord", "% of notes", 100.0),
    "bass_with_kick": ("Bass with the kick", "% of notes", 100.0),
}
"""The attributes of songs that colour a map: title, unit, and scale of each."""
_LABELS = {"style": "Style", "drummer": "Drummer", "kind": "Beat or fill"}
TEMPO = "tempo"
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, eq=False)
class Field:
    """One property of every point.

    Parameters
    ----------
    title, unit
        Its name and unit; a label has no unit.
    values
        (N,) text for labels, float64 in the unit for numbers.
    """

    title: str
    unit: str
    values: NDArray[np.str_] | NDArray[np.float64]

    def amount(self, value: float) -> str:
        """Return a value with its unit: 56% of steps, 2.5 hits a bar, 1 hit a bar."""
        number = f"{value:.3g}"
        if self.unit.startswith("%"):
            return f"{number}{self.unit}"
        unit = re.sub(r"^(\w+)s\b", r"\1", self.unit) if number == "1" else self.unit
        return f"{number} {unit}".rstrip()

    @property
    def is_label(self) -> bool:
        """Whether the values are text."""
        return self.values.dtype.kind == "U"

    @property
    def numbers(self) -> NDArray[np.float64]:
        """The values of a numeric field."""
        return np.asarray(self.values, np.float64)


@lru_cache(maxsize=8)
def fields_of(atlas: Atlas) -> dict[str, Field]:
    """Return every field of an atlas by its key, labels first; empty fields are omitted."""
    performances = atlas.performances
    labels = {
        "style": [style_title(one.style) for one in performances],
        "drummer": [drummer_title(one.drummer) for one in performances],
        "kind": [one.beat_type or UNKNOWN for one in performances],
    }
    found = {
        key: Field(_LABELS[key], "", np.array(values)[atlas.performance])
        for key, values in labels.items()
        if key == "style" or set(values) != {UNKNOWN}
    }
    if TONIC in atlas.attributes:  # melodies
        found["style"] = replace(found["style"], title="Collection")
        tonics = atlas.attributes[TONIC].astype(np.int64)
        found[TONIC] = Field("Key", "", np.array(MAJOR_KEYS)[tonics])
    tempos = np.array([one.tempo_bpm for one in performances])
    found[TEMPO] = Field("Tempo", "bpm", tempos[atlas.performance])
    if "chord_fit" in atlas.attributes:  # songs: each is its own style
        found["style"] = replace(found["style"], title="Song")
        return found | {
            name: Field(title, unit, atlas.attributes[name].astype(np.float64) * scale)
            for name, (title, unit, scale) in _SONG_FIELDS.items()
        }
    controls = LINE_CONTROLS if TONIC in atlas.attributes else CONTROLS
    for name, values in atlas.attributes.items():
        if name == TONIC:
            continue
        control = controls.get(name)
        title = control.title if control else name.replace("_", " ").capitalize()
        scale, unit = (control.scale, control.unit) if control else (1.0, "")
        found[name] = Field(title, unit, values.astype(np.float64) * scale)
    return found


@lru_cache(maxsize=8)
def _hover_texts(atlas: Atlas) -> NDArray[np.str_]:
    """Return the tooltip of each point, (N,)."""
    said = [f"{player_of(one)}<br>{label_of(one)}" for one in atlas.performances]
    return np.array(said)[atlas.performance]


def matching(atlas: Atlas, search: str) -> NDArray[np.bool_]:
    """Return which points match every word of a search, (N,) bool.

    A word may be abbreviated, but not a number: 12 does not find 120.
    """
    words = _WORD.findall(search.lower())
    known = [
        _WORD.findall(
            f"{style_title(one.style)} {one.style} {drummer_title(one.drummer)} {one.drummer} "
            f"{one.tempo_bpm:.0f} bpm {one.beat_type} {one.name}".lower()
        )
        for one in atlas.performances
    ]
    found = [all(any(_finds(word, one) for one in those) for word in words) for those in known]
    return np.array(found, bool)[atlas.performance]


def _finds(word: str, known: str) -> bool:
    return known == word or (not word[-1].isdigit() and known.startswith(word))


def player_of(performance: Performance) -> str:
    """Return the style of a performance, and the player if known."""
    style, drummer = style_title(performance.style), drummer_title(performance.drummer)
    return style if drummer == UNKNOWN else f"{style}, {drummer}"


def label_of(performance: Performance) -> str:
    """Return tempo and kind of a performance, or its name if the kind is not known."""
    return f"{performance.tempo_bpm:.0f} bpm · {performance.beat_type or performance.name}"
