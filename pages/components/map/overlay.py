"""What lies over the map's chart and moves with it; the front is in `assets/map`.

The chart itself stays as it is while grooves are chosen: a change of it would be drawn anew,
with its zoom lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.components.front import joined_script
from pages.components.whole import whole

Positions = NDArray[np.float32]
View = tuple[float, float, float, float]
"""What a flat chart shows: from x and to x, from y and to y."""

_ASSETS = Path(__file__).parents[3] / "assets" / "map"
_MODULES = ("place.js", "traveller.js", "clicks.js", "overlay.js")
"""In the order of their imports."""


@dataclass(frozen=True, eq=False)
class Mark:
    """A groove of the listener's on the map: `kind` is the shape, `at` (2,) or (3,) the place."""

    id: str
    kind: str
    name: str
    at: Positions


@dataclass(frozen=True, eq=False)
class PathShown:
    """A path on the map.

    Parameters
    ----------
    stops, trail
        (stops, 2 or 3) and (steps, 2 or 3): where its stops lie, and all its steps.
    strip, piece
        Ids of the cards that morph along it, and that play it through.
    """

    stops: Positions
    trail: Positions
    strip: str
    piece: str


def map_overlay(
    *,
    key: str,
    chart: str,
    marks: Sequence[Mark],
    now: Mark | None,
    path: PathShown | None,
    on_pick: Callable[[str], None],
) -> None:
    """Draw marks, the groove in hand and a path over a chart.

    Zooming the chart runs only this part of the page again, and a click the whole page.

    Parameters
    ----------
    key
        Names the component on its page, and the widget in the session.
    chart
        The key of the container that the chart is in.
    marks, now, path
        What to draw.
    on_pick
        Called with the id of a mark that was clicked, or `point.` and the first of the custom
        data of a point.
    """
    data = {
        "chart": f".st-key-{chart}",
        "marks": [_mark(mark) for mark in marks],
        "now": now and _mark(now),
        "path": path
        and {
            "stops": _numbers(path.stops),
            "trail": _numbers(path.trail),
            "strip": path.strip,
            "piece": path.piece,
        },
    }
    st.session_state.pop(f"{key}.changed", None)  # the page runs: it has heard
    _draw(key, data, on_pick)


@st.fragment
def _draw(key: str, data: dict[str, object], on_pick: Callable[[str], None]) -> None:
    changed, heard = f"{key}.changed", f"{key}.heard"

    @whole()
    def pick() -> None:
        picked = (st.session_state.get(key) or {}).get("picked")
        if picked != st.session_state.get(heard) and _is_pick(picked):
            st.session_state[heard] = picked
            on_pick(picked[0])
            st.session_state[changed] = True

    _mount(
        key=key,
        data=data,
        default={"view": None, "webgl": True, "picked": None},
        on_picked_change=pick,
        on_view_change=lambda: None,
        on_webgl_change=lambda: st.session_state.update({changed: True}),
    )
    pick()  # a change that comes as another run ends can pass without its callback
    if st.session_state.pop(changed, False):
        st.rerun()


def view_of(key: str) -> View | None:
    """Return what the chart under the overlay of that key shows; None for all, or a space."""
    view = (st.session_state.get(key) or {}).get("view")
    if isinstance(view, list) and len(view) == 4 and all(map(_is_number, view)):
        return (view[0], view[1], view[2], view[3])
    return None


def has_webgl(key: str) -> bool:
    """Return whether the browser under the overlay of that key draws with WebGL."""
    return (st.session_state.get(key) or {}).get("webgl") is not False


def _is_pick(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _mark(mark: Mark) -> dict[str, object]:
    return {"id": mark.id, "kind": mark.kind, "name": mark.name, "at": _numbers(mark.at)}


def _numbers(positions: Positions) -> list[object]:
    return np.asarray(positions, np.float64).round(4).tolist()


_mount = st.components.v2.component(
    "map_overlay",
    js=joined_script(_ASSETS, _MODULES),
    css=(_ASSETS / "overlay.css").read_text("utf-8"),
)
