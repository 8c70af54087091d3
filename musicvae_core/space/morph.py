"""Morphs: what lies between two grooves, or four, in the latent space of a model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from musicvae_core.checkpoint import Checkpoint
from musicvae_core.decoding import decode_grooves
from musicvae_core.errors import ConfigError
from musicvae_core.groove import Groove
from musicvae_core.latent import Codes, encode_grooves, slerp
from musicvae_core.takes import Morphed, Reconstruction

Curve = Literal["slerp", "lerp"]
MIN_STEPS, MAX_STEPS = 3, 33
PAD_SIZE = 5
"""Rows and columns of the pad between four corners."""


def morph(
    checkpoint: Checkpoint,
    ends: Sequence[Groove],
    n_steps: int,
    *,
    curve: Curve,
    temperature: float,
    tempo_bpm: float,
    seed: int,
    exact_ends: bool,
) -> Morphed:
    """Morph between two grooves, or on a pad between four; see `Studio.morph`."""
    corners = encode_grooves(checkpoint, ends)
    codes, n_rows = lay_codes(corners, n_steps, curve)
    grooves = tuple(decode_grooves(checkpoint, codes, temperature, tempo_bpm, seed, alike=True))
    played = decode_grooves(checkpoint, corners, 0.0, tempo_bpm)
    if exact_ends:
        grooves = with_exact_ends(grooves, ends, n_rows)
    back = tuple(compare(end, groove) for end, groove in zip(ends, played, strict=True))
    return Morphed(grooves, codes, n_rows, len(codes) // n_rows, back)


def compare(original: Groove, groove: Groove) -> Reconstruction:
    """Measure how much of a groove came back."""
    right = (original.hits == groove.hits).all(axis=1)  # (T,)
    n_both = int((original.hits & groove.hits).sum())
    n_either = original.n_hits + groove.n_hits
    f1 = 2 * n_both / n_either if n_either else 1.0
    return Reconstruction(original, groove, float(right.mean()), f1)


def lay_codes(ends: Codes, n_steps: int, curve: Curve) -> tuple[Codes, int]:
    """Return the codes between two ends, or four, and in how many rows they lie.

    Raises
    ------
    ConfigError
        If there are neither two nor four ends, or what `path_codes` raises.
    """
    if len(ends) == 2:
        return path_codes(ends[0], ends[1], n_steps, curve), 1
    if len(ends) == 4:
        return pad_codes(ends, curve=curve), PAD_SIZE
    raise ConfigError(f"A morph between {len(ends)} grooves; give 2 of them, or 4.")


def path_codes(start: Codes, end: Codes, n_steps: int, curve: Curve = "slerp") -> Codes:
    """Return the codes (n_steps, Z) of an even path between two, both ends included.

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
        If the number of steps is out of its range, or there is no such curve.

    Source: Roberts et al. 2018, section 5.2.
    """
    if not MIN_STEPS <= n_steps <= MAX_STEPS:
        raise ConfigError(f"A morph of {n_steps} steps; it must have {MIN_STEPS} to {MAX_STEPS}.")
    return _between(start, end, np.linspace(0.0, 1.0, n_steps), curve)


def pad_codes(corners: Codes, size: int = PAD_SIZE, curve: Curve = "slerp") -> Codes:
    """Return the codes (size * size, Z) between four, row by row.

    Parameters
    ----------
    corners
        (4, Z) posterior means: upper left, upper right, lower left, lower right.
    size
        Rows, and columns.
    curve
        See `path_codes`; first along the upper and the lower edge, then between the two.
    """
    fractions = np.linspace(0.0, 1.0, size)
    upper = _between(corners[0], corners[1], fractions, curve)
    lower = _between(corners[2], corners[3], fractions, curve)
    columns = [
        _between(top, bottom, fractions, curve) for top, bottom in zip(upper, lower, strict=True)
    ]
    codes: Codes = np.stack(columns, axis=1).reshape(size * size, -1)  # (rows, columns, Z)
    return codes


def _between(start: Codes, end: Codes, fractions: NDArray[np.float64], curve: Curve) -> Codes:
    if curve == "slerp":
        return np.stack([slerp(start, end, float(fraction)) for fraction in fractions])
    if curve == "lerp":
        weights = fractions[:, None]
        return np.asarray((1 - weights) * start + weights * end, np.float32)
    raise ConfigError(f"There is no curve {curve!r}; choose slerp or lerp.")


def with_exact_ends(
    grooves: Sequence[Groove], ends: Sequence[Groove], n_rows: int
) -> tuple[Groove, ...]:
    """Put the ends themselves in place of what was decoded for them.

    Parameters
    ----------
    grooves
        Of a path, or row by row of a pad.
    ends
        Two, or the four corners in the order of `pad_codes`.
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
