"""Interpolation between pieces of music in a model's latent space: morphs and paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from musicvae_core.errors import ConfigError
from musicvae_core.latent.codes import (
    MAX_STEPS,
    MIN_STEPS,
    Codes,
    decode_music,
    encode_music,
    refine_path,
    slerp,
)
from musicvae_core.latent.results import Morphed, Reconstruction
from musicvae_core.models.checkpoint import Checkpoint
from musicvae_core.music.forms import Music, parts_of
from musicvae_core.music.groove import Groove

Curve = Literal["refined", "slerp", "lerp"]
"""The great circle, pulled towards the codes of real music or not, or a straight line."""
_PAD_SIZE = 5
"""Rows and columns of the pad between four corners."""
_MIN_STOPS, MAX_STOPS = 2, 16
MAX_PATH_BARS = 64
"""Longest path: two minutes at 128 bpm."""


def morph(
    checkpoint: Checkpoint,
    ends: Sequence[Music],
    n_steps: int,
    *,
    curve: Curve,
    temperature: float,
    tempo_bpm: float,
    seed: int,
    exact_ends: bool,
) -> Morphed:
    """Morph between two grooves, or on a pad between four; see `Studio.morph`."""
    corners = encode_music(checkpoint, ends)
    codes, n_rows = _lay_codes(corners, n_steps, curve)
    if curve == "refined":
        codes = refine_path(checkpoint, codes, _fractions(len(codes), n_rows))
    grooves = tuple(decode_music(checkpoint, codes, temperature, tempo_bpm, seed, share_noise=True))
    played = decode_music(checkpoint, corners, 0.0, tempo_bpm)
    if exact_ends:
        grooves = _with_exact_ends(grooves, ends, n_rows)
    back = tuple(_compare(end, groove) for end, groove in zip(ends, played, strict=True))
    return Morphed(grooves, codes, n_rows, len(codes) // n_rows, back)


def _compare(original: Music, groove: Music) -> Reconstruction:
    """Measure how accurately a piece of music was reconstructed."""
    right = (_steps(original) == _steps(groove)).all(axis=1)  # (T,)
    begins, begins_again = _onsets(original), _onsets(groove)
    n_either = int(begins.sum() + begins_again.sum())
    f1 = 2 * int((begins & begins_again).sum()) / n_either if n_either else 1.0
    return Reconstruction(original, groove, float(right.mean()), f1)


def _steps(music: Music) -> NDArray[np.int64]:
    """Return the content of each step, (T, K): drum hits, and each line's event."""
    parts = parts_of(music).values()
    columns = [part.hits if isinstance(part, Groove) else part.events()[:, None] for part in parts]
    return np.concatenate(columns, axis=1, dtype=np.int64)


def _onsets(music: Music) -> NDArray[np.bool_]:
    """Return the onsets of each voice or pitch at each step, (T, K)."""
    columns: list[NDArray[np.bool_]] = []
    for part in parts_of(music).values():
        if isinstance(part, Groove):
            columns.append(part.hits)
        else:
            columns.append(part.onsets[:, None] & (part.pitches[:, None] == np.arange(128)))
    return np.concatenate(columns, axis=1)


def _lay_codes(ends: Codes, n_steps: int, curve: Curve) -> tuple[Codes, int]:
    """Return the codes between two or four ends, and their number of rows.

    Raises
    ------
    ConfigError
        If there are neither two nor four ends, or as `_path_codes`.
    """
    if len(ends) == 2:
        return _path_codes(ends[0], ends[1], n_steps, curve), 1
    if len(ends) == 4:
        return _pad_codes(ends, curve=curve), _PAD_SIZE
    raise ConfigError(f"There is no morph between {len(ends)} grooves; choose 2 or 4.")


def _path_codes(start: Codes, end: Codes, n_steps: int, curve: Curve = "slerp") -> Codes:
    """Return the codes (n_steps, Z) of an even path between two codes, both ends included.

    Parameters
    ----------
    start, end
        (Z,) posterior means.
    n_steps
        3 to 33.
    curve
        `slerp`, or `lerp` for a straight line, to compare.

    Raises
    ------
    ConfigError
        If the number of steps is out of range, or there is no such curve.

    Source: Roberts et al. 2018, section 5.2.
    """
    if not MIN_STEPS <= n_steps <= MAX_STEPS:
        raise ConfigError(f"Steps of the morph: {n_steps}; choose {MIN_STEPS} to {MAX_STEPS}.")
    return _between(start, end, np.linspace(0.0, 1.0, n_steps), curve)


def _pad_codes(corners: Codes, size: int = _PAD_SIZE, curve: Curve = "slerp") -> Codes:
    """Return the codes (size * size, Z) between four corners, row by row.

    Parameters
    ----------
    corners
        (4, Z) posterior means: upper left, upper right, lower left, lower right.
    size
        Number of rows and of columns.
    curve
        See `_path_codes`; applied along the upper and lower edges first, then between them.
    """
    fractions = np.linspace(0.0, 1.0, size)
    upper = _between(corners[0], corners[1], fractions, curve)
    lower = _between(corners[2], corners[3], fractions, curve)
    columns = [
        _between(top, bottom, fractions, curve) for top, bottom in zip(upper, lower, strict=True)
    ]
    codes: Codes = np.stack(columns, axis=1).reshape(size * size, -1)  # (rows, columns, Z)
    return codes


def _fractions(n: int, n_rows: int) -> NDArray[np.float64]:
    """Return the position of each of n codes along a path, or its distance from the pad's corners.

    On an edge of the pad, that is the distance to the nearer of the edge's two ends.
    """
    along = np.linspace(0.0, 1.0, n // n_rows)
    if n_rows == 1:
        return along
    ends = 1 - 4 * along * (1 - along)  # 1 at both ends of an edge, 0 in its middle
    fractions: NDArray[np.float64] = (1 - np.sqrt(np.outer(ends, ends))) / 2
    return fractions.ravel()


def _between(start: Codes, end: Codes, fractions: NDArray[np.float64], curve: Curve) -> Codes:
    if curve in ("refined", "slerp"):
        return np.stack([slerp(start, end, float(fraction)) for fraction in fractions])
    if curve == "lerp":
        weights = fractions[:, None]
        return np.asarray((1 - weights) * start + weights * end, np.float32)
    raise ConfigError(f"There is no curve {curve!r}; choose refined, slerp or lerp.")


def _with_exact_ends(
    grooves: Sequence[Music], ends: Sequence[Music], n_rows: int
) -> tuple[Music, ...]:
    """Replace the reconstructions of the ends by the ends themselves.

    Parameters
    ----------
    grooves
        The grooves of a path, or of a pad row by row.
    ends
        Two, or the four corners in the order of `_pad_codes`.
    n_rows
        1 for a path.
    """
    last = len(grooves) - 1
    n_columns = len(grooves) // n_rows
    places = (0, last) if n_rows == 1 else (0, n_columns - 1, last - n_columns + 1, last)
    exact = list(grooves)
    for place, end in zip(places, ends, strict=True):
        exact[place] = end.at_tempo(grooves[place].tempo_bpm)
    return tuple(exact)


@dataclass(frozen=True, eq=False)
class Stop:
    """A groove on a path, and the number of bars in its part of the piece."""

    groove: Groove
    n_bars: int


@dataclass(frozen=True)
class Route:
    """How a path moves from stop to stop.

    Parameters
    ----------
    glide
        The fraction of each part, at its end, that is spent moving to the next groove: 0 jumps
        at the bar line, 1 moves all the time.
    returns
        Whether the last part moves back to the first groove, so that the piece loops; otherwise
        it stays on the last groove.
    exact
        Whether bars at a stop play the groove's own notes instead of the model's reconstruction.
    refined
        Whether codes between stops are pulled towards those of real music; see
        `latent.refine_path`.
    temperature, seed
        See `Studio.sample`; all bars share the same noise.
    """

    glide: float = 1.0
    returns: bool = False
    exact: bool = True
    refined: bool = True
    temperature: float = 0.0
    seed: int = 0


def _check_path(stops: Sequence[Stop], route: Route) -> None:
    """Check a path's number of stops, its length and its glide.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """
    n_bars = sum(stop.n_bars for stop in stops)
    if not _MIN_STOPS <= len(stops) <= MAX_STOPS:
        raise ConfigError(
            f"Grooves on the path: {len(stops)}; it must have {_MIN_STOPS} to {MAX_STOPS}."
        )
    if min(stop.n_bars for stop in stops) < 1 or n_bars > MAX_PATH_BARS:
        raise ConfigError(
            f"The path has {n_bars} bars; it must have at least one for each groove and "
            f"{MAX_PATH_BARS} at most."
        )
    if not 0 <= route.glide <= 1:
        raise ConfigError(f"The glide is {route.glide:g}; it must lie in 0 to 1.")


def journey_codes(stops: Codes, steps_a_leg: int) -> Codes:
    """Return codes from stop to stop, evenly spaced along the great circle of each leg.

    Parameters
    ----------
    stops
        (n, Z), n at least 2.
    steps_a_leg
        How many steps lead from one stop to the next, at least 1.

    Returns
    -------
    ((n - 1) * steps_a_leg + 1, Z) float32, including every stop exactly.

    Raises
    ------
    ConfigError
        If there are too few stops or steps.

    Source: Roberts et al. 2018, section 5.2, for one leg.
    """
    if len(stops) < 2:
        raise ConfigError(f"The number of stops is {len(stops)}; choose two or more.")
    if steps_a_leg < 1:
        raise ConfigError(f"The number of steps per leg is {steps_a_leg}; choose at least one.")
    on_the_way = [
        slerp(start, end, step / steps_a_leg)
        for start, end in pairwise(stops)
        for step in range(steps_a_leg)
    ]
    return np.stack([*on_the_way, stops[-1]]).astype(np.float32)


@dataclass(frozen=True)
class _Bars:
    """For every bar of the piece: its part, its place in that part, and how far it has moved."""

    part: NDArray[np.int64]
    place: NDArray[np.int64]
    fraction: NDArray[np.float64]


def play_path(
    checkpoint: Checkpoint, stops: Sequence[Stop], route: Route, tempo_bpm: float
) -> Groove:
    """Return the piece that a path through z plays.

    Every bar of the piece has its own code, between its part's groove and the next one. Each
    code decodes to a loop, from which one bar is taken: the one at the bar's place in its part.
    So seams fall on bar lines, and every part begins with its groove's first bar.

    Parameters
    ----------
    checkpoint
        A model of any length.
    stops
        2 to 16 grooves of the model's length, with at least 1 bar each and at most 64 in all.
    route
        How to move from stop to stop.
    tempo_bpm
        Tempo of the piece.

    Raises
    ------
    ConfigError, InvalidMusicError
        If a number is out of range, or a groove has another length.
    """
    _check_path(stops, route)
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
    features = checkpoint.model.decode(z, route.temperature, generator, share_noise=True).numpy()
    return [checkpoint.to_music(one, tempo_bpm) for one in features]


def _own_or_decoded(own: Groove, decoded: Groove, place: int, is_own: bool) -> Groove:
    groove = own if is_own else decoded
    return groove.bars(int(place) % groove.n_bars, 1)
