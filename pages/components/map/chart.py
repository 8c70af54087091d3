"""The chart of the map with its overlay: what a click, a lasso or a box on it does."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Thread

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray

from musicvae_core.space.atlas import Atlas
from pages.components.map.actions import Actions
from pages.components.map.cards import PIECE, STRIP, Path
from pages.components.map.figure import axis_titles, map_figure, place, positions_of
from pages.components.map.overlay import Mark, PathShown, has_webgl, map_overlay, view_of
from pages.components.map.points import Spot, point_of
from pages.components.map.settings import MapSettings

Positions = NDArray[np.float32]

_AREA = "map-area"
_FLAT, _SPACE, _OVERLAY = "map.chart", "map.space", "map.overlay"
_DRAWN = "map.drawn"
"""Session key of what the chart was drawn from, and with what view: as long as the first stays,
so does the second, and with both the chart."""
_CONFIG = {
    "scrollZoom": True,
    "displaylogo": False,
    "doubleClick": False,
    "modeBarButtonsToRemove": ["resetScale2d", "toImage", "hoverClosest3d"],
}
"""Two quick clicks on two grooves would pass for a double click and bring the whole map back;
"Autoscale" does that."""
_MARKED = {"upload": "upload", "favourite": "favourite"}
"""Shapes of the overlay by where a groove came from; all else is `other`."""
_ALT = "Grooves as points: those that are near sound alike. The list below can be searched."


def draw_chart(settings: MapSettings, actions: Actions, path: Path | None) -> None:
    """Draw the chart, what lies over it, and what is to be said of it.

    Parameters
    ----------
    settings
        What to draw.
    actions
        What a click, a lasso or a box does, and what is in hand.
    path
        The path through the stops in hand.
    """
    figure = _figure(settings)
    if settings.projection == "tsne":
        _prepare_places(settings.atlas)
    with st.container(key=_AREA):
        if settings.projection == "pca3":
            st.plotly_chart(figure, key=_SPACE, config=_CONFIG, alt=_ALT)
        else:
            st.plotly_chart(
                figure,
                key=_FLAT,
                config=_CONFIG,
                alt=_ALT,
                on_select=lambda: _read_selection(settings, actions),
                selection_mode=("box", "lasso"),
            )
    _draw_overlay(settings, actions, path)
    st.caption(_caption(settings, len(actions.brought)))


@st.cache_resource(show_spinner=False, hash_funcs={Atlas: lambda atlas: atlas.fingerprint})
def _prepare_places(atlas: Atlas) -> None:
    """Make the t-SNE map ready for new codes in the background, once."""
    Thread(target=atlas.tsne_map.prepare, daemon=True).start()


def _figure(settings: MapSettings) -> go.Figure:
    """Return the chart; a new one shows what the last one showed, where it can."""
    drawn = (settings.model.name, settings.projection)
    what = (*drawn, settings.colour, settings.shown.tobytes())
    before, view = st.session_state.get(_DRAWN, ((), None))
    if what != before:
        view = view_of(_OVERLAY) if before[:2] == drawn else None
        st.session_state[_DRAWN] = (what, view)
    return map_figure(
        settings.atlas,
        settings.projection,
        settings.colour,
        settings.shown,
        view,
        has_webgl(_OVERLAY),
    )


def _read_selection(settings: MapSettings, actions: Actions) -> None:
    """Gather the points inside a lasso or box; a click is the overlay's to answer."""
    selection = st.session_state[_FLAT]["selection"]
    if not (selection["box"] or selection["lasso"]):
        return
    ids = [point.get("customdata") for point in selection["points"]]
    points = np.unique([int(np.ravel(at)[0]) for at in ids if at is not None]).astype(np.int64)
    actions.gather(points[settings.shown[points]])


def _draw_overlay(settings: MapSettings, actions: Actions, path: Path | None) -> None:
    now, brought = actions.now, actions.brought
    marks = [
        Mark(spot.id, _MARKED.get(spot.kind, "other"), spot.name, at)
        for spot, at in zip(brought, where(settings, brought), strict=True)
    ]
    spot, shown = now.spot, None
    if now.path:
        stops = where(settings, now.path)
        trail = _trail(settings, stops, path) if path else stops
        shown = PathShown(stops, trail, STRIP, PIECE)
    map_overlay(
        key=_OVERLAY,
        chart=_AREA,
        marks=marks,
        now=spot and Mark(spot.id, "now", spot.name, where(settings, [spot])[0]),
        path=shown,
        on_pick=actions.take,
    )


def where(settings: MapSettings, spots: Sequence[Spot]) -> Positions:
    """Return where spots lie on the map, (n, 2) or (n, 3); new codes are placed once."""
    positions = positions_of(settings.atlas, settings.projection)
    placed = _placed(settings, [spot.z for spot in spots if point_of(spot.id) is None])
    new = iter(placed)
    found = [
        positions[point] if (point := point_of(spot.id)) is not None else next(new)
        for spot in spots
    ]
    return np.array(found, np.float32).reshape(len(found), positions.shape[1])


def _trail(settings: MapSettings, stops: Positions, path: Path) -> Positions:
    """Return where the steps of a path lie; at a stop that is where the stop lies."""
    trail = np.array(_placed(settings, list(path.codes)), np.float32)
    trail[:: (len(trail) - 1) // (len(stops) - 1)] = stops
    return trail


def _placed(settings: MapSettings, codes: Sequence[NDArray[np.float32]]) -> list[Positions]:
    """Return where codes lie on the map; the session remembers those it has placed."""
    atlas, projection = settings.atlas, settings.projection
    key = f"kept.map.places.{atlas.fingerprint}.{projection}"
    known: dict[bytes, Positions] = st.session_state.setdefault(key, {})
    new = {z.tobytes(): z for z in codes if z.tobytes() not in known}
    if new:
        places = place(atlas, projection, np.stack(list(new.values())))
        known.update(zip(new, places, strict=True))
    return [known[z.tobytes()] for z in codes]


def _caption(settings: MapSettings, n_brought: int) -> str:
    n, n_shown = len(settings.atlas), int(settings.shown.sum())
    count = f"{n_shown:,} of {n:,} grooves" if n_shown < n else f"{n:,} grooves"
    says = [f"{count} from real performances"]
    if settings.projection == "tsne":
        says.append("Near is alike, far says little")
    else:
        says.append("; ".join(axis_titles(settings.atlas, settings.projection)))
    if n_brought:
        says.append("Yours: ▲ uploads, ★ favourites, ◆ samples and others")
    return ". ".join(says) + "."
