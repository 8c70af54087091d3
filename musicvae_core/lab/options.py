"""Options of the groove lab: amounts, style, randomness, and matching another groove's feel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from musicvae_core.errors import ConfigError
from musicvae_core.models.config import MAX_TEMPERATURE
from musicvae_core.music.grid import VELOCITY_LEVELS
from musicvae_core.music.groove import Groove

_MAX_SEED = 2**63 - 1
_SOFTEST = 1 / VELOCITY_LEVELS

_Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Sampling:
    """How random the result is, and its seed.

    Parameters
    ----------
    temperature, feel_temperature
        Temperature of the hits, and of velocities and offsets, 0 to 2; 0 takes the most likely
        hits and the mean feel.
    seed
        The same seed gives the same groove.
    """

    temperature: float = 1.0
    feel_temperature: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        _check("temperature", self.temperature, 0, MAX_TEMPERATURE)
        _check("feel temperature", self.feel_temperature, 0, MAX_TEMPERATURE)
        _check("seed", self.seed, 0, _MAX_SEED)


@dataclass(frozen=True)
class Preferences:
    """What the groove should be like; where a field is None, the model chooses.

    Parameters
    ----------
    style, drummer
        Names from `LabConfig.style_names` and `LabConfig.drummer_names`.
    hits_a_bar
        Hits per bar over all voices, 0 to 64.
    """

    MAX_HITS_A_BAR: ClassVar[float] = 64.0

    style: str | None = None
    drummer: str | None = None
    hits_a_bar: float | None = None

    def __post_init__(self) -> None:
        if self.hits_a_bar is not None:
            _check("number of hits a bar", self.hits_a_bar, 0, self.MAX_HITS_A_BAR)


@dataclass(frozen=True)
class Amounts:
    """How far to move a groove from its original feel towards the new one.

    Parameters
    ----------
    dynamics, timing
        Amount of the new velocities and offsets, 0 to 2: 0 keeps the original ones, 1 takes the
        new ones, and more exaggerates the change.
    quantise
        Applied last: 0 leaves the timing alone; 1 puts every hit on the grid.
    """

    dynamics: float = 1.0
    timing: float = 1.0
    quantise: float = 0.0

    def __post_init__(self) -> None:
        for name, most in (("dynamics", 2), ("timing", 2), ("quantise", 1)):
            _check(f"amount of {name}", getattr(self, name), 0, most)

    def apply(self, before: Groove, after: Groove) -> Groove:
        """Interpolate or extrapolate the feel of two grooves with the same hits."""
        assert np.array_equal(before.hits, after.hits)
        latest = before.grid.latest_offset
        offsets = _between(before.offsets, after.offsets, self.timing, -0.5, latest)
        if self.quantise:
            offsets = offsets * np.float32(1 - self.quantise)
        velocities = _between(before.velocities, after.velocities, self.dynamics, _SOFTEST, 1.0)
        return Groove.from_hits(before.hits, velocities, offsets, before.tempo_bpm, before.grid)


def _between(
    before: _Floats, after: _Floats, amount: float, lowest: float, highest: float
) -> _Floats:
    """Interpolate or extrapolate, clipped to limits; 0 and 1 give exactly one or the other."""
    if amount in (0, 1):
        return after if amount else before
    moved = before + np.float32(amount) * (after - before)
    return np.clip(moved, lowest, highest).astype(np.float32)


def _check(name: str, value: float, lowest: float, highest: float) -> None:
    if not lowest <= value <= highest:
        raise ConfigError(f"The {name} is {value:g}; it must lie in {lowest:g} to {highest:g}.")


DEFAULT_AMOUNTS, NO_PREFERENCES, DEFAULT_SAMPLING = Amounts(), Preferences(), Sampling()
"""The defaults."""


_LEAST_HITS = 4
"""With fewer hits than this, the other groove says too little about its feel."""
_MOST_STRETCH = 2.0


def match_feel(groove: Groove, feel: Groove) -> Groove:
    """Return a groove with the loudness, dynamic range, lateness and swing of another.

    Velocities get the other groove's mean and standard deviation; the deviation changes by at
    most a factor of two. Offsets get the other groove's mean, separately for steps that swing
    and steps that do not. Differences between single hits stay the groove's own.
    """
    velocities = np.array(groove.velocities)
    if min(groove.n_hits, feel.n_hits) >= _LEAST_HITS:
        velocities[groove.hits] = _matched(groove.velocities[groove.hits], feel)
    offsets = np.array(groove.offsets)
    swung, swung_too = (one.grid.swings(np.arange(one.n_steps)) for one in (groove, feel))
    for steps, other_steps in ((~swung, ~swung_too), (swung, swung_too)):
        own, other = groove.hits[steps], feel.hits[other_steps]
        if own.any() and other.sum() >= _LEAST_HITS:
            mean = feel.offsets[other_steps][other].mean()
            offsets[steps] += mean - offsets[steps][own].mean()
    return Groove.from_hits(
        groove.hits,
        np.clip(velocities, 1 / VELOCITY_LEVELS, 1),
        np.clip(offsets, -0.5, groove.grid.latest_offset),
        groove.tempo_bpm,
        groove.grid,
    )


def _matched(velocities: _Floats, feel: Groove) -> _Floats:
    """Return velocities (n,) with a groove's mean velocity and deviation."""
    wanted = feel.velocities[feel.hits]
    deviation = velocities.std()
    stretch = wanted.std() / deviation if deviation > 0 else 1.0
    stretch = np.clip(stretch, 1 / _MOST_STRETCH, _MOST_STRETCH)
    return np.asarray(wanted.mean() + stretch * (velocities - velocities.mean()), np.float32)
