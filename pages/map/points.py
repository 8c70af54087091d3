"""The contents of the map: points of the atlas, and the user's own grooves."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from musicvae_core.latent.atlas import Atlas, mean_code, nearest
from musicvae_core.latent.results import ModelInfo
from musicvae_core.music.forms import Music, windows
from musicvae_core.music.piece import Plays
from musicvae_core.studio import Studio
from pages.map.figure import label_of, player_of
from pages.shared.collection import (
    Source,
    bars_phrase,
    favourites,
    fingerprint,
    first_lively_window,
    library,
)
from pages.shared.session import shelves, take_sent
from pages.shared.store import SessionVar

_Codes = NDArray[np.float32]

_MINE = "mine"
_POINT = re.compile(r"point\.([0-9]{1,9})")


@dataclass(frozen=True, eq=False)
class Spot:
    """A groove on the map.

    Parameters
    ----------
    id
        `point.` and its index for a point of the atlas; also the id of its card and its mark.
    name, note
        Its name, and where it came from.
    z
        (Z,) float32.
    tempo_bpm
        Its tempo.
    kind
        `point`, `middle` of several points, or the origin of the user's groove.
    groove
        The groove to play; None to decode z.
    """

    POINT: ClassVar[str] = "point."
    """What the id of a point of the atlas begins with, before its index."""

    id: str
    name: str
    note: str
    z: _Codes
    tempo_bpm: float
    kind: str
    groove: Music | None = None

    @classmethod
    def of_point(cls, atlas: Atlas, point: int) -> Spot:
        """Return a point of the atlas as a spot."""
        performance = atlas.performance_of(point)
        bars = bars_phrase(int(atlas.start_bar[point]), atlas.n_bars)
        label = label_of(performance)
        of = "" if performance.name in label else f" of {performance.name}"
        note = f"{label} · {bars}{of}"
        return cls(
            id=f"{cls.POINT}{point}",
            name=player_of(performance),
            note=note,
            z=atlas.codes[point],
            tempo_bpm=performance.tempo_bpm,
            kind="point",
        )

    def source(self, groove: Music, model: str) -> Source:
        """Return the spot, decoded to a groove, for a favourite or another page."""
        own = self.groove is not None
        return Source(self.name, groove, None if own else self.z, None if own else model, "map")


def _middle_spot(atlas: Atlas, points: NDArray[np.int64]) -> Spot:
    """Return the mean of points of the atlas, at the median of their tempos."""
    z = mean_code(atlas.codes[points])
    tempos = [atlas.performance_of(int(point)).tempo_bpm for point in points]
    return Spot(
        id=f"middle.{blake2b(z.tobytes(), digest_size=6).hexdigest()}",
        name=f"Middle of {len(points):,}",
        note="The average of the selection",
        z=z,
        tempo_bpm=round(float(np.median(tempos))),
        kind="middle",
    )


def point_of(spot_id: str) -> int | None:
    """Return the index in the atlas that an id names, or None."""
    found = _POINT.fullmatch(spot_id)
    return int(found[1]) if found else None


def _mine_id(groove: Music) -> str:
    """Return the id of the spot of one of the user's grooves."""
    return f"{_MINE}.{fingerprint(groove)}"


def own_spots(studio: Studio, model: ModelInfo) -> tuple[Spot, ...]:
    """Return favourites, uploads, samples and grooves sent here, each groove once.

    A longer groove is represented by its first lively window, a shorter one is repeated. Music on a
    different grid from the model's is left out.
    """
    sources: dict[str, Source] = {}
    for source in [*favourites.all().values(), *library.all().values(), *_sampled(model.plays)]:
        if source.plays != model.plays or source.groove.grid != model.grid:
            continue
        sources.setdefault(fingerprint(source.groove), source)
    encoded_before = SessionVar[Mapping[str, _Codes]](f"kept.map.codes.{model.name}", {})
    codes = dict(encoded_before.get())
    fitted = {key: _fitted(source.groove, model.n_bars) for key, source in sources.items()}
    for key, source in sources.items():
        if source.z is not None and source.model == model.name:
            codes[key] = source.z
    missing = [key for key in sources if key not in codes]
    encoded = studio.encode(model.name, [fitted[key] for key in missing]) if missing else ()
    codes.update(zip(missing, encoded, strict=True))
    encoded_before.set(codes)
    return tuple(
        Spot(
            id=f"{_MINE}.{key}",
            name=source.name,
            note=source.origin,
            z=codes[key],
            tempo_bpm=source.groove.tempo_bpm,
            kind=source.origin or "sent",
            groove=fitted[key],
        )
        for key, source in sources.items()
    )


def _sampled(plays: Plays) -> list[Source]:
    """Return the grooves on the shelf of the Sample page."""
    return [
        Source(entry.name, entry.take.groove, entry.take.z, entry.take.model, "sample")
        for entry in shelves.now(plays).entries
    ]


def _fitted(groove: Music, n_bars: int) -> Music:
    if groove.n_bars <= n_bars:
        return groove.repeated(n_bars)
    found = windows(groove, n_bars)
    fitted: Music = found[first_lively_window(found)]
    return fitted


@dataclass(frozen=True, eq=False)
class MapSelection:
    """The current selection.

    Parameters
    ----------
    spot
        The groove that was selected last.
    path
        The stops of a path, in order.
    inside
        Points of the atlas inside the last lasso or box.
    choice
        Number of the last selection, 0 before any; a new number plays it. Of a click it is the
        time, so that the browser knows it, too.
    plays_path
        Whether the path is being played through.
    """

    MAX_STOPS: ClassVar[int] = 8

    spot: Spot | None = None
    path: tuple[Spot, ...] = ()
    inside: tuple[int, ...] = ()
    choice: int = 0
    plays_path: bool = False

    def with_spot(
        self, spot: Spot, choice: int | None = None, *, to_path: bool = False
    ) -> MapSelection:
        """Return the selection with a new groove, which is added to the path if requested."""
        number = self.choice + 1 if choice is None else choice
        path = self.path
        if to_path and len(path) < self.MAX_STOPS and (not path or path[-1].id != spot.id):
            path = (*path, spot)
        return replace(self, spot=spot, path=path, choice=number, plays_path=False)

    def with_lasso(self, spot: Spot, inside: tuple[int, ...]) -> MapSelection:
        """Return the selection with the middle of what is inside a lasso."""
        return replace(self.with_spot(spot), inside=inside)

    def without_lasso(self) -> MapSelection:
        """Return the selection without what is inside a lasso."""
        return replace(self, inside=())

    def playing_path(self) -> MapSelection:
        """Return the selection with its path playing through."""
        return replace(self, choice=self.choice + 1, plays_path=True)

    def without_last_stop(self) -> MapSelection:
        """Return the selection without the last stop of its path."""
        return replace(self, path=self.path[:-1], plays_path=False)

    def without_path(self) -> MapSelection:
        """Return the selection without its path."""
        return replace(self, path=(), plays_path=False)


def _selection(model: str) -> SessionVar[MapSelection]:
    """Return the selection in a model's space."""
    return SessionVar(f"kept.map.selection.{model}", MapSelection())


@dataclass(frozen=True, eq=False)
class MapSettings:
    """Values of the widgets.

    Parameters
    ----------
    model, atlas, kit
        The model, its map and its sound; `kit` is None if there is no sound.
    projection
        One of `PROJECTIONS`.
    colour
        One of `fields_of`.
    shown
        (N,) bool: the points that match filter and search.
    to_path
        Whether a click adds to the path.
    hover
        Whether the point under the pointer plays.
    """

    model: ModelInfo
    atlas: Atlas
    projection: str
    colour: str
    shown: NDArray[np.bool_]
    to_path: bool
    hover: bool

    @property
    def is_filtered(self) -> bool:
        """Whether filter or search exclude any points."""
        return not bool(self.shown.all())


@dataclass(frozen=True, eq=False)
class Actions:
    """Callbacks of the page; each is called before the page runs again.

    Parameters
    ----------
    settings
        Values of the widgets.
    own_spots
        The user's own grooves.
    """

    settings: MapSettings
    own_spots: Sequence[Spot]

    @property
    def now(self) -> MapSelection:
        """The current selection."""
        return _selection(self.settings.model.name).get()

    def _set(self, changed: MapSelection) -> None:
        """Set the current selection."""
        _selection(self.settings.model.name).set(changed)

    def select(self, spot_id: str, choice: int | None = None) -> None:
        """Select a spot, and add it to the path if the user is building one.

        `choice` is the number of this selection if the browser has given it one.
        """
        spot = self._find(spot_id)
        if spot is not None:
            self._set(self.now.with_spot(spot, choice, to_path=self.settings.to_path))

    def select_enclosed(self, points: NDArray[np.int64]) -> None:
        """Select the middle of the shown points among these, and list them."""
        points = points[points < len(self.settings.atlas)]
        points = points[self.settings.shown[points]]
        if len(points):
            spot = _middle_spot(self.settings.atlas, points)
            self._set(self.now.with_lasso(spot, tuple(points.tolist())))

    def clear_lasso(self) -> None:
        """Clear the selection of the last lasso."""
        self._set(self.now.without_lasso())

    def play_path(self) -> None:
        """Play the path through."""
        self._set(self.now.playing_path())

    def go_back(self) -> None:
        """Remove the last stop of the path."""
        self._set(self.now.without_last_stop())

    def clear_path(self) -> None:
        """Remove all stops of the path."""
        self._set(self.now.without_path())

    def take_sent(self) -> None:
        """Select what another page sent.

        Raises
        ------
        GridError
            If something is on a different grid from the model's.
        """
        for source in take_sent("map"):
            self.settings.model.grid.check(source.groove.grid)
            self.select(_mine_id(source.groove))

    def start(self) -> None:
        """On the first visit, select the groove in the middle of all."""
        if self.now.spot is None:
            atlas = self.settings.atlas
            [point] = nearest(atlas.codes, mean_code(atlas.codes), 1)
            self._set(replace(self.now, spot=Spot.of_point(atlas, int(point))))

    def _find(self, spot_id: str) -> Spot | None:
        """Return the spot with an id; None if it is gone."""
        point = point_of(spot_id)
        if point is not None and point < len(self.settings.atlas):
            return Spot.of_point(self.settings.atlas, point)
        known = [*self.own_spots, *self.now.path, *filter(None, [self.now.spot])]
        return next((spot for spot in known if spot.id == spot_id), None)


@dataclass(frozen=True, eq=False)
class Path:
    """A path through the selected stops: codes (n, Z) and a groove for each."""

    STRIP: ClassVar[str] = "strip"
    PIECE: ClassVar[str] = "piece"
    """Ids of its cards."""

    name: str
    ends: tuple[str, str]
    codes: NDArray[np.float32]
    grooves: tuple[Music, ...]
