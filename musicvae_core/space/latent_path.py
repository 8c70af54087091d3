"""A path through z as one piece: from groove to groove, moving with every bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from musicvae_core.checkpoint import Checkpoint
from musicvae_core.codec import features_to_groove
from musicvae_core.decoding import decode_alike
from musicvae_core.groove import Groove
from musicvae_core.latent import Codes, encode_grooves, refine_path, slerp
from musicvae_core.space.route import Route, Stop, check_path


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
    ConfigError, GrooveLengthError
        If a number is out of its range, or a groove has another length.
    """
    check_path(stops, route)
    bars = _lay_bars([stop.n_bars for stop in stops], route)
    corners = encode_grooves(checkpoint, [stop.groove for stop in stops])
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
