"""What a path through z leads through, and how it moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray

from musicvae_core.errors import ConfigError
from musicvae_core.latent.codes import Codes, decode_alike, encode_music, refine_path, slerp
from musicvae_core.models.checkpoint import Checkpoint
from musicvae_core.music.codec import features_to_groove
from musicvae_core.music.groove import Groove

MIN_STOPS, MAX_STOPS = 2, 16
MAX_PATH_BARS = 64
"""Of a whole path: two minutes at 128 bpm."""


@dataclass(frozen=True, eq=False)
class Stop:
    """A groove on a path, and how many bars its part of the piece has."""

    groove: Groove
    n_bars: int


@dataclass(frozen=True)
class Route:
    """How a path moves from stop to stop.

    Parameters
    ----------
    glide
        The share of each part, at its end, in which it moves on to the next groove: 0 jumps at
        the bar line, 1 moves all the time.
    returns
        Whether the last part moves on to the first groove, so that the piece loops; else the
        last groove stays.
    exact
        Whether the grooves' own notes are played where they stand, in place of what the model
        makes of them.
    refined
        Whether what lies between is drawn towards what drummers play, see `latent.refine_path`.
    temperature, seed
        See `Studio.sample`; all bars share their chance.
    """

    glide: float = 1.0
    returns: bool = False
    exact: bool = True
    refined: bool = True
    temperature: float = 0.0
    seed: int = 0


def check_path(stops: Sequence[Stop], route: Route) -> None:
    """Refuse a path that is too short, too long, or moves as nothing can.

    Raises
    ------
    ConfigError
        Where a number is out of its range.
    """
    n_bars = sum(stop.n_bars for stop in stops)
    if not MIN_STOPS <= len(stops) <= MAX_STOPS:
        raise ConfigError(
            f"A path through {len(stops)} grooves; it must have {MIN_STOPS} to {MAX_STOPS}."
        )
    if min(stop.n_bars for stop in stops) < 1 or n_bars > MAX_PATH_BARS:
        raise ConfigError(
            f"A path of {n_bars} bars; it must have at least one for each groove and "
            f"{MAX_PATH_BARS} at most."
        )
    if not 0 <= route.glide <= 1:
        raise ConfigError(f"The glide is {route.glide:g}; it must lie in 0 to 1.")


def journey_codes(stops: Codes, steps_a_leg: int) -> Codes:
    """Return the codes from stop to stop, evenly along the great circle of each leg.

    Parameters
    ----------
    stops
        (n, Z), n at least 2.
    steps_a_leg
        How many steps lead from one stop to the next, at least 1.

    Returns
    -------
    ((n - 1) * steps_a_leg + 1, Z) float32: every stop is there, exactly.

    Raises
    ------
    ConfigError
        If there are too few stops or steps.

    Source: Roberts et al. 2018, section 5.2, for one leg.
    """
    if len(stops) < 2:
        raise ConfigError(f"A journey of {len(stops)} stops; choose two or more.")
    if steps_a_leg < 1:
        raise ConfigError(f"{steps_a_leg} steps a leg; take at least one.")
    on_the_way = [
        slerp(start, end, step / steps_a_leg)
        for start, end in pairwise(stops)
        for step in range(steps_a_leg)
    ]
    return np.stack([*on_the_way, stops[-1]]).astype(np.float32)


@dataclass(frozen=True)
class _Bars:
    """For every bar of the piece: its part, the bar within it, and how far it has moved on."""

    part: NDArray[np.int64]
    place: NDArray[np.int64]
    fraction: NDArray[np.float64]


def play_path(
    checkpoint: Checkpoint, stops: Sequence[Stop], route: Route, tempo_bpm: float
) -> Groove:
    """Return the piece that a path through z makes.

    Every bar of the piece has a code of its own, on the way from its part's groove to the next
    one's. Of the loop that it decodes to, the bar is taken whose turn it is, counted from the
    beginning of the part; so seams fall on bar lines, and every part begins with its groove's
    first bar.

    Parameters
    ----------
    checkpoint
        A model of any length.
    stops
        2 to 16, with 1 or more bars each and 64 in all; grooves of the model's length.
    route
        How to move.
    tempo_bpm
        Of the piece.

    Raises
    ------
    ConfigError, InvalidGrooveError
        If a number is out of its range, or a groove has another length.
    """
    check_path(stops, route)
    bars = _lay_bars([stop.n_bars for stop in stops], route)
    corners = encode_music(checkpoint, [stop.groove for stop in stops])
    loops = _decoded(checkpoint, _codes(checkpoint, corners, bars, route), route, tempo_bpm)
    return Groove.joined(
        [
            _own_or_decoded(stops[part].groove, loop, at, route.exact and fraction == 0)
            for loop, part, at, fraction in zip(
                loops, bars.part, bars.place, bars.fraction, strict=True
            )
        ]
    ).at_tempo(tempo_bpm)


def _lay_bars(lengths: Sequence[int], route: Route) -> _Bars:
    part = np.repeat(np.arange(len(lengths)), lengths)
    place = np.concatenate([np.arange(length) for length in lengths])
    progress = place / np.asarray(lengths)[part]
    waited = 1 - route.glide
    moved = np.clip((progress - waited) / max(route.glide, 1e-9), 0, 1)
    stays = (part == len(lengths) - 1) & (not route.returns)
    return _Bars(part, place, np.where(stays, 0.0, moved))


def _codes(checkpoint: Checkpoint, corners: Codes, bars: _Bars, route: Route) -> Codes:
    ways = zip(bars.part, bars.fraction, strict=True)
    codes = np.stack(
        [slerp(corners[part], corners[(part + 1) % len(corners)], float(f)) for part, f in ways]
    )
    return refine_path(checkpoint, codes, bars.fraction) if route.refined else codes


@torch.inference_mode()
def _decoded(checkpoint: Checkpoint, codes: Codes, route: Route, tempo_bpm: float) -> list[Groove]:
    generator = torch.Generator().manual_seed(route.seed)
    z = torch.from_numpy(codes)
    features = decode_alike(checkpoint.model, z, route.temperature, generator).numpy()
    return [features_to_groove(one, tempo_bpm) for one in features]


def _own_or_decoded(own: Groove, decoded: Groove, place: int, is_own: bool) -> Groove:
    groove = own if is_own else decoded
    return groove.bars(int(place) % groove.n_bars, 1)
