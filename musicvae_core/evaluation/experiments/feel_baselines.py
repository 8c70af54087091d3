"""Baselines for feel: velocities and offsets drawn from statistics of the train split.

Every baseline is given the notes, and knows how drummers on average play each voice at each
sixteenth of the bar. Noise and drift have the size measured in the train split.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from musicvae_core.music.drums import N_VOICES, OFFSET_SCALE
from musicvae_core.music.grid import COMMON_TIME, VELOCITY_LEVELS

_TICKS_PER_STEP = COMMON_TIME.ticks_per_step
_Floats = NDArray[np.float32]
_Doubles = NDArray[np.float64]
Noise = Literal["none", "independent", "drift"]

_PRIOR_HITS = 10.0
"""Shrinkage: a cell counts its voice's overall statistics as this many hits of its own."""
_LEAST_MASS = 1e-6


@dataclass(frozen=True)
class _StepDistributions:
    """How one quantity is played, by voice and sixteenth: a normal distribution over bins.

    Parameters
    ----------
    means, deviations
        (16, 9) float64.
    mean
        Over all hits.
    drift
        Correlation of a hit's standardised residual with that of the previous hit.
    lowest, highest, bin_width
        The centres of the outermost bins, and the width of a bin.
    """

    means: _Doubles
    deviations: _Doubles
    mean: float
    drift: float
    lowest: float
    highest: float
    bin_width: float

    def draw(self, hits: NDArray[np.bool_], noise: Noise, rng: np.random.Generator) -> _Doubles:
        """Draw the quantity for every cell of (N, T, 9) hits; only values at hits count."""
        means, deviations = self._laid_out(hits)
        if noise == "none":
            return means
        rho = self.drift if noise == "drift" else 0.0
        residuals = _drifting(hits, rho, rng) if rho else rng.standard_normal(hits.shape)
        return np.clip(means + deviations * residuals, self.lowest, self.highest)

    def nats(self, hits: NDArray[np.bool_], values: _Floats, noise: Noise) -> float:
        """Return the mean negative log likelihood of a hit's bin."""
        means, deviations = self._laid_out(hits)
        if noise == "drift":
            before = _before(hits, (values - means) / deviations)
            rho = np.where(np.isnan(before), 0.0, self.drift)
            means = means + rho * deviations * np.nan_to_num(before)
            deviations = deviations * np.sqrt(1 - rho**2)
        half = self.bin_width / 2
        upper = np.where(values >= self.highest - half, np.inf, values + half)
        lower = np.where(values <= self.lowest + half, -np.inf, values - half)
        mass = _normal_cdf((upper - means) / deviations) - _normal_cdf((lower - means) / deviations)
        return float(-np.log(np.maximum(mass[hits], _LEAST_MASS)).mean())

    def _laid_out(self, hits: NDArray[np.bool_]) -> tuple[_Doubles, _Doubles]:
        steps = np.arange(hits.shape[1]) % COMMON_TIME.steps_per_bar
        return (
            np.broadcast_to(self.means[steps], hits.shape),
            np.broadcast_to(self.deviations[steps], hits.shape),
        )


@dataclass(frozen=True)
class FeelTable:
    """The train split's feel by voice and sixteenth: velocities in 0 to 1, offsets in steps."""

    velocities: _StepDistributions
    offsets: _StepDistributions

    @classmethod
    def of(cls, features: _Floats) -> FeelTable:
        """Count windows (N, T, 27) of the train split."""
        hits, velocities, offsets = split_feel(features)
        level, tick = 1 / VELOCITY_LEVELS, 1 / _TICKS_PER_STEP
        return cls(
            _fit_steps(hits, velocities, level, 1.0, level),
            _fit_steps(hits, offsets, -0.5, 0.5 - tick, tick),
        )

    def flat(self, features: _Floats) -> _Floats:
        """Return windows (N, T, 27) with the same notes, quantised and equally loud."""
        hits, _, _ = split_feel(features)
        velocity = np.full(hits.shape, self.velocities.mean)
        return _join_feel(hits, velocity, np.zeros(hits.shape))

    def play(self, features: _Floats, noise: Noise, seed: int = 0) -> _Floats:
        """Return windows (N, T, 27) with the same notes, played by the table."""
        hits, _, _ = split_feel(features)
        rng = np.random.default_rng(seed)
        return _join_feel(
            hits, self.velocities.draw(hits, noise, rng), self.offsets.draw(hits, noise, rng)
        )


def split_feel(features: _Floats) -> tuple[NDArray[np.bool_], _Floats, _Floats]:
    """Return hits, velocities in 0 to 1 and offsets in steps, each (N, T, 9)."""
    hits, velocities, offsets = np.split(features, 3, axis=-1)
    return hits > 0.5, velocities, offsets / np.float32(OFFSET_SCALE)


def _join_feel(hits: NDArray[np.bool_], velocities: _Doubles, offsets: _Doubles) -> _Floats:
    """Undo `split_feel`, on the bins of MIDI."""
    levels = np.clip(np.rint(velocities * VELOCITY_LEVELS), 1, VELOCITY_LEVELS) / VELOCITY_LEVELS
    ticks = np.clip(
        np.rint(offsets * _TICKS_PER_STEP),
        -_TICKS_PER_STEP / 2,
        _TICKS_PER_STEP / 2 - 1,
    )
    parts = [hits, levels * hits, ticks / _TICKS_PER_STEP * OFFSET_SCALE * hits]
    return np.concatenate(parts, axis=-1).astype(np.float32)


def _drifting(hits: NDArray[np.bool_], rho: float, rng: np.random.Generator) -> _Doubles:
    """Return standard normal noise that drifts from hit to hit, in the order of playing."""
    noise = np.zeros(hits.shape)
    last = rng.standard_normal(len(hits))
    for step in range(hits.shape[1]):
        for voice in range(N_VOICES):
            is_hit = hits[:, step, voice]
            fresh = rng.standard_normal(len(hits))
            last = np.where(is_hit, rho * last + np.sqrt(1 - rho**2) * fresh, last)
            noise[:, step, voice] = last
    return noise


def _fit_steps(
    hits: NDArray[np.bool_], values: _Floats, lowest: float, highest: float, bin_width: float
) -> _StepDistributions:
    """Compute means and deviations, shrunk towards the voice's overall ones where hits are few."""
    shape = (-1, COMMON_TIME.steps_per_bar, N_VOICES)
    is_hit, played = hits.reshape(shape), np.where(hits, values, 0).reshape(shape).astype(float)
    counts = is_hit.sum(axis=0)  # (16, 9)
    of_voice = np.maximum(counts.sum(axis=0), 1)
    voice_means = played.sum(axis=(0, 1)) / of_voice
    means = (played.sum(axis=0) + _PRIOR_HITS * voice_means) / (counts + _PRIOR_HITS)
    squares = np.where(is_hit, (played - means) ** 2, 0)
    voice_variances = squares.sum(axis=(0, 1)) / of_voice
    variances = (squares.sum(axis=0) + _PRIOR_HITS * voice_variances) / (counts + _PRIOR_HITS)
    deviations = np.sqrt(np.maximum(variances, bin_width**2))
    mean = float(played.sum() / max(1, hits.sum()))
    distributions = _StepDistributions(means, deviations, mean, 0.0, lowest, highest, bin_width)
    laid_means, laid_deviations = distributions._laid_out(hits)
    residuals = (values - laid_means) / laid_deviations
    before = _before(hits, residuals)
    pairs = hits & ~np.isnan(before)
    drift = float(np.corrcoef(residuals[pairs], before[pairs])[0, 1]) if pairs.sum() > 2 else 0.0
    return replace(distributions, drift=drift)


def _before(hits: NDArray[np.bool_], residuals: _Doubles) -> _Doubles:
    """Return the residual of the last hit before each cell; NaN if there is none."""
    flat_hits = hits.reshape(len(hits), -1)  # (N, T * 9), in the order of playing
    places = np.where(flat_hits, np.arange(flat_hits.shape[1]), -1)
    latest = np.maximum.accumulate(places, axis=1)
    before = np.concatenate([np.full((len(hits), 1), -1), latest[:, :-1]], axis=1)
    found = np.take_along_axis(residuals.reshape(flat_hits.shape), np.maximum(before, 0), axis=1)
    return np.where(before >= 0, found, np.nan).reshape(hits.shape)


def _normal_cdf(values: _Doubles) -> _Doubles:
    return np.asarray(torch.special.ndtr(torch.from_numpy(values)).numpy())


_Hits = NDArray[np.bool_]


@dataclass(frozen=True)
class PatternTable:
    """The bars of one voice: counts of each pattern, and the hit rate of each sixteenth.

    Patterns in the data are weighted by their frequency. The remaining probability, the share of
    patterns that were new when they occurred, goes to independent sixteenths.

    Source: Witten and Bell 1991, method C.

    Parameters
    ----------
    counts
        By pattern, as bytes of 16 bools.
    hit_rates
        (16,) float64: the probability of a hit at each sixteenth.
    """

    counts: Counter[bytes]
    hit_rates: NDArray[np.float64]

    @classmethod
    def of(cls, hits: _Hits) -> PatternTable:
        """Count the bars of one voice, hits being (N, T)."""
        bars = hits.reshape(-1, COMMON_TIME.steps_per_bar)
        counts = Counter(bar.tobytes() for bar in bars)
        return cls(counts, (bars.sum(axis=0) + 1) / (len(bars) + 2))

    @property
    def most_common(self) -> _Hits:
        """The most frequent pattern, (16,)."""
        return np.frombuffer(self.counts.most_common(1)[0][0], bool)

    def nats(self, hits: _Hits) -> float:
        """Return the mean negative log likelihood of a bar of hits, (N, T)."""
        bars = hits.reshape(-1, COMMON_TIME.steps_per_bar)
        n_seen, n_patterns = self.counts.total(), len(self.counts)
        by_step = np.where(bars, self.hit_rates, 1 - self.hit_rates).prod(axis=1)
        frequencies = np.array([self.counts[bar.tobytes()] for bar in bars])
        likelihoods = (frequencies + n_patterns * by_step) / (n_seen + n_patterns)
        return float(-np.log(likelihoods).mean())


def hit_f1(found: _Hits, truth: _Hits) -> float:
    """Return the harmonic mean of precision and recall; 1 if both are silent."""
    both, either = (found & truth).sum(), found.sum() + truth.sum()
    return float(2 * both / either) if either else 1.0
