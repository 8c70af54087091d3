"""The chart of the map with its overlay, and the effects of a click, a lasso or a box."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
import streamlit as st
from numpy.typing import NDArray
from pydantic import Field, TypeAdapter

from musicvae_core.latent.atlas import Atlas
from pages.map.figure import View, map_figure, place
from pages.map.points import Actions, MapSettings, Path, Spot, point_of
from pages.shared.actions import (
    SELECTION,
    Flag,
    Selection,
    component,
    in_background,
    last_event,
    on_event,
    on_value,
)
from pages.shared.store import SessionVar

_Positions = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Mark:
    """One of the user's grooves on the map: `kind` sets the shape, `at` is (2,) or (3,)."""

    id: str
    kind: str
    name: str
    at: _Positions


@dataclass(frozen=True, eq=False)
class _PathShown:
    """A path on the map.

    Parameters
    ----------
    stops, trail
        Positions (stops, 2 or 3) of its stops, and (steps, 2 or 3) of all its steps.
    strip, piece
        Ids of the card that morphs along it, and of the card that plays it through.
    """

    stops: _Positions
    trail: _Positions
    strip: str
    piece: str


def _map_overlay(
    *,
    key: str,
    chart: str,
    marks: Sequence[_Mark],
    now: _Mark | None,
    path: _PathShown | None,
    deck: str,
    model: str,
    edited: Collection[str],
    hover: bool,
    on_pick: Callable[[str, int], None],
) -> None:
    """Draw marks, the selected groove and a path over a chart.

    This is not a fragment: one that runs while the user leaves its page puts its blocks into the
    next page, and Streamlit's front end crashes ("'setIn' cannot be called on an ElementNode").

    Parameters
    ----------
    key
        Names the component on its page, and the widget in the session.
    chart
        The key of the container that the chart is in.
    marks, now, path
        What to draw.
    deck, model, edited
        The key of the deck that shows the selected groove; the model; the ids of points whose
        groove was edited.
    hover
        Whether the point under the pointer plays.
    on_pick
        Called with the id of a mark that was clicked, or `point.` and the first of the custom
        data of a point, and with the time of the click in milliseconds.
    """
    handled = SessionVar[_Picked | None](f"{key}.handled", None)
    answered = handled.get()
    data: dict[str, object] = {
        "chart": f".st-key-{chart}",
        "marks": [_mark(mark) for mark in marks],
        "now": _mark(now) if now else None,
        "path": path
        and {
            "stops": _numbers(path.stops),
            "trail": _numbers(path.trail),
            "strip": path.strip,
            "piece": path.piece,
        },
        "deck": deck,
        "model": model,
        "edited": sorted(edited),
        "hover": hover,
        "answered": answered.when if answered else None,
    }

    def pick(picked: _Picked) -> None:
        if picked != handled.get():
            handled.set(picked)
            on_pick(picked.spot, int(picked.when))

    picking = on_event(key, "picked", _PICKED, pick)
    _mount(
        key=key,
        data=data,
        default={"view": None, "webgl": True, "picked": None},
        on_picked_change=picking,
        on_view_change=on_event(key, "view", _VIEW, lambda _: None),
        on_webgl_change=on_event(key, "webgl", _FLAG, lambda _: None),
    )
    picking()  # a change that arrives as another run ends may come without its callback
    if handled.get() != answered:
        st.rerun()


def _view_of(key: str) -> View | None:
    """Return the view of the chart under the overlay of that key; None for all, or in 3D."""
    return last_event(key, "view", _VIEW)


def _has_webgl(key: str) -> bool:
    """Return whether the browser under the overlay of that key draws with WebGL."""
    return last_event(key, "webgl", _FLAG) is not False


def _mark(mark: _Mark) -> dict[str, object]:
    return {"id": mark.id, "kind": mark.kind, "name": mark.name, "at": _numbers(mark.at)}


def _numbers(positions: _Positions) -> list[Any]:
    numbers: list[Any] = np.asarray(positions, np.float64).round(4).tolist()
    return numbers


_mount = component("map")


_Coordinate = Annotated[float, Field(strict=True, ge=-1e6, le=1e6)]


class _Picked(NamedTuple):
    """A mark or a point of the map was clicked, at a time in milliseconds."""

    spot: Annotated[str, Field(strict=True, pattern=r"^[a-z]{1,16}\.[0-9a-f]{1,32}$")]
    when: Annotated[float, Field(strict=True, ge=0, le=2**53)]


_PICKED = TypeAdapter(_Picked)
_VIEW: TypeAdapter[View] = TypeAdapter(tuple[_Coordinate, _Coordinate, _Coordinate, _Coordinate])
_FLAG: TypeAdapter[bool] = TypeAdapter(Flag)


_AREA = "map-area"
_FLAT, _SPACE, _OVERLAY = "map.chart", "map.space", "map.overlay"
_DRAWN = SessionVar[tuple[tuple[object, ...], View | None]]("map.drawn", ((), None))
"""What the chart was drawn from, and its view: while the data stay the same, so does the view,
and with both the chart."""
_CONFIG = {
    "scrollZoom": True,
    "displaylogo": False,
    "doubleClick": False,
    "modeBarButtonsToRemove": ["resetScale2d", "toImage", "hoverClosest3d"],
}
"""No action on double click: two quick clicks on two grooves would count as one and reset the
view; "Autoscale" does that."""
_MARKED = {"upload": "upload", "favourite": "favourite"}
"""Shapes of the overlay by the origin of a groove; anything else is `other`."""
_ALT = "Grooves as points: neighbours sound alike. The list below is searchable."


def draw_chart(
    settings: MapSettings,
    actions: Actions,
    path: Path | None,
    deck: str,
    edited: Collection[str],
) -> None:
    """Draw the chart and its overlay.

    Parameters
    ----------
    settings
        What to draw.
    actions
        The effects of a click, a lasso or a box, and the current selection.
    path
        The path through the selected stops.
    deck
        The key of the deck that shows the selected groove.
    edited
        The ids of points whose groove was edited.
    """
    figure = _figure(settings)
    if settings.projection == "tsne":
        _prepare_places(settings.atlas)
    with st.container(key=_AREA):
        if settings.projection == "pca3":
            st.plotly_chart(figure, key=_SPACE, height="stretch", config=_CONFIG, alt=_ALT)
        else:
            st.plotly_chart(
                figure,
                key=_FLAT,
                height="stretch",
                config=_CONFIG,
                alt=_ALT,
                on_select=on_value(_FLAT, SELECTION, partial(_read_selection, actions)),
                selection_mode=("box", "lasso"),
            )
    _draw_overlay(settings, actions, path, deck, edited)


@st.cache_resource(show_spinner=False, hash_funcs={Atlas: lambda atlas: atlas.fingerprint})
def _prepare_places(atlas: Atlas) -> None:
    """Prepare the t-SNE map for placing new codes: once, in the background."""
    in_background(atlas.tsne_map.prepare)


def _figure(settings: MapSettings) -> go.Figure:
    """Return the chart; a new one keeps the view of the last one if it can."""
    drawn = (settings.model.name, settings.projection)
    what = (*drawn, settings.colour, settings.shown.tobytes())
    before, view = _DRAWN.get()
    if what != before:
        view = _view_of(_OVERLAY) if before[:2] == drawn else None
        _DRAWN.set((what, view))
    return map_figure(
        settings.atlas,
        settings.projection,
        settings.colour,
        settings.shown,
        view,
        _has_webgl(_OVERLAY),
    )


def _read_selection(actions: Actions, selected: Selection) -> None:
    """Collect the points inside a lasso or box; clicks are handled by the overlay."""
    actions.select_enclosed(np.unique(np.array(selected.enclosed, np.int64)))


def _draw_overlay(
    settings: MapSettings,
    actions: Actions,
    path: Path | None,
    deck: str,
    edited: Collection[str],
) -> None:
    now, own_spots = actions.now, actions.own_spots
    marks = [
        _Mark(spot.id, _MARKED.get(spot.kind, "other"), spot.name, at)
        for spot, at in zip(own_spots, _where(settings, own_spots), strict=True)
    ]
    spot, shown = now.spot, None
    if now.path:
        stops = _where(settings, now.path)
        trail = _trail(settings, stops, path) if path else stops
        shown = _PathShown(stops, trail, Path.STRIP, Path.PIECE)
    _map_overlay(
        key=_OVERLAY,
        chart=_AREA,
        marks=marks,
        now=_Mark(spot.id, "now", spot.name, _where(settings, [spot])[0]) if spot else None,
        path=shown,
        deck=deck,
        model=settings.model.name,
        edited=edited,
        hover=settings.hover,
        on_pick=actions.select,
    )


def _where(settings: MapSettings, spots: Sequence[Spot]) -> _Positions:
    """Return the positions of spots on the map, (n, 2) or (n, 3); new codes are placed once."""
    positions = place(settings.atlas, settings.projection)
    placed = _placed(settings, [spot.z for spot in spots if point_of(spot.id) is None])
    new = iter(placed)
    found = [
        positions[point] if (point := point_of(spot.id)) is not None else next(new)
        for spot in spots
    ]
    return np.array(found, np.float32).reshape(len(found), positions.shape[1])


def _trail(settings: MapSettings, stops: _Positions, path: Path) -> _Positions:
    """Return the positions of a path's steps; a step at a stop is exactly at the stop."""
    trail = np.array(_placed(settings, list(path.codes)), np.float32)
    trail[:: (len(trail) - 1) // (len(stops) - 1)] = stops
    return trail


def _placed(settings: MapSettings, codes: Sequence[NDArray[np.float32]]) -> list[_Positions]:
    """Return the positions of codes on the map; the session remembers those it has placed."""
    atlas, projection = settings.atlas, settings.projection
    placed = SessionVar[Mapping[bytes, _Positions]](
        f"kept.map.places.{atlas.fingerprint}.{projection}", {}
    )
    known = placed.get()
    new = {z.tobytes(): z for z in codes if z.tobytes() not in known}
    if new:
        places = place(atlas, projection, np.stack(list(new.values())))
        known = {**known, **dict(zip(new, places, strict=True))}
        placed.set(known)
    return [known[z.tobytes()] for z in codes]
