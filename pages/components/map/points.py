"""What lies on the map: points of the atlas, and grooves that the listener brought."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from musicvae_core.groove import Groove
from musicvae_core.space.atlas import Atlas, Performance
from musicvae_core.space.projection import mean_code
from musicvae_core.studio import Studio
from musicvae_core.takes import ModelInfo
from pages.components.favourites import favourites
from pages.components.library import library
from pages.components.names import UNKNOWN, drummer_title, style_title
from pages.components.session import shelf
from pages.components.slots import Source, fingerprint
from pages.components.sources import bars_phrase, first_lively_window

Codes = NDArray[np.float32]

_MINE = "mine"


@dataclass(frozen=True, eq=False)
class Spot:
    """A groove on the map.

    Parameters
    ----------
    id
        `point.` and its index for a point of the atlas; of the deck's card, and of a mark.
    name, note
        What it is called, and where it came from.
    z
        (Z,) float32.
    tempo_bpm
        At which it is played.
    kind
        `point`, `middle` of several points, or the origin of what the listener brought.
    groove
        What to play; None for what z decodes to.
    """

    id: str
    name: str
    note: str
    z: Codes
    tempo_bpm: float
    kind: str
    groove: Groove | None = None

    def source(self, groove: Groove, model: str) -> Source:
        """Return the spot, decoded to a groove, for a favourite or another page."""
        own = self.groove is not None
        return Source(self.name, groove, None if own else self.z, None if own else model, "map")


def point_spot(atlas: Atlas, point: int) -> Spot:
    """Return a point of the atlas as a spot."""
    performance = atlas.performance_of(point)
    bars = bars_phrase(int(atlas.start_bar[point]), atlas.n_bars)
    note = f"{label_of(performance)} · {bars} of {performance.name}"
    name = style_title(performance.style)
    drummer = drummer_title(performance.drummer)
    return Spot(
        id=f"point.{point}",
        name=name if drummer == UNKNOWN else f"{name}, {drummer}",
        note=note,
        z=atlas.codes[point],
        tempo_bpm=performance.tempo_bpm,
        kind="point",
    )


def middle_spot(atlas: Atlas, points: NDArray[np.int64]) -> Spot:
    """Return the middle of points of the atlas, at the middle of their tempos."""
    z = mean_code(atlas.codes[points])
    tempos = [atlas.performance_of(int(point)).tempo_bpm for point in points]
    return Spot(
        id=f"middle.{blake2b(z.tobytes(), digest_size=6).hexdigest()}",
        name=f"Middle of {len(points):,}",
        note="The mean of what is inside",
        z=z,
        tempo_bpm=round(float(np.median(tempos))),
        kind="middle",
    )


def point_of(spot_id: str) -> int | None:
    """Return the index in the atlas that an id names, or None."""
    kind, _, rest = spot_id.partition(".")
    return int(rest) if kind == "point" and rest.isdigit() else None


def mine_id(groove: Groove) -> str:
    """Return the id of the spot of a groove that the listener brought."""
    return f"{_MINE}.{fingerprint(groove)}"


def label_of(performance: Performance) -> str:
    """Return tempo and kind of a performance."""
    kind = performance.beat_type or UNKNOWN
    return f"{performance.tempo_bpm:.0f} bpm · {kind}"


def brought_spots(studio: Studio, model: ModelInfo) -> tuple[Spot, ...]:
    """Return favourites, uploads, samples and whatever was sent, each groove once.

    A longer groove is here by its first lively window, a shorter one repeated.
    """
    sources = {}
    for source in [*favourites().values(), *library().values(), *_sampled()]:
        sources.setdefault(fingerprint(source.groove), source)
    codes: dict[str, Codes] = st.session_state.setdefault(f"kept.map.codes.{model.name}", {})
    fitted = {key: _fitted(source.groove, model.n_bars) for key, source in sources.items()}
    for key, source in sources.items():
        if source.z is not None and source.model == model.name:
            codes[key] = source.z
    missing = [key for key in sources if key not in codes]
    encoded = studio.encode(model.name, [fitted[key] for key in missing]) if missing else ()
    codes.update(zip(missing, encoded, strict=True))
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


def _sampled() -> list[Source]:
    """Return what is on the shelf of the Sample page."""
    return [
        Source(entry.name, entry.take.groove, entry.take.z, entry.take.model, "sample")
        for entry in shelf().entries
    ]


def _fitted(groove: Groove, n_bars: int) -> Groove:
    if groove.n_bars <= n_bars:
        return groove.repeated(n_bars)
    windows = groove.windows(n_bars)
    return windows[first_lively_window(windows)]
