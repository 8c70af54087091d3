"""A groove lab for tests of its page: it keeps what it should, and draws the rest at random."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from musicvae_core.lab.options import (
    DEFAULT_AMOUNTS,
    DEFAULT_SAMPLING,
    NO_PREFERENCES,
    Amounts,
    Preferences,
    Sampling,
)
from musicvae_core.music.drums import CLOSED_HAT, N_VOICES
from musicvae_core.music.grid import COMMON_TIME
from musicvae_core.music.groove import Groove

STEPS_PER_BAR = COMMON_TIME.steps_per_bar


class FakeLab:
    """Takes the place of `Lab`; what it was asked is noted in `calls`."""

    styles = ("funk", "hiphop", "jazz", "neworleans")
    drummers = ("drummer1", "drummer2")
    grid = COMMON_TIME

    def __init__(self, calls: list[dict[str, object]]) -> None:
        self.calls = calls

    def humanize(
        self,
        groove: Groove,
        *,
        amounts: Amounts = DEFAULT_AMOUNTS,
        preferences: Preferences = NO_PREFERENCES,
        sampling: Sampling = DEFAULT_SAMPLING,
    ) -> Groove:
        self.calls.append({"tool": "humanize", "preferences": preferences, "sampling": sampling})
        return amounts.apply(groove, played_at_random(groove, sampling.seed))

    def transfer(
        self,
        feel: Groove,
        groove: Groove,
        *,
        amounts: Amounts = DEFAULT_AMOUNTS,
        sampling: Sampling = DEFAULT_SAMPLING,
    ) -> Groove:
        self.calls.append({"tool": "transfer", "feel": feel, "sampling": sampling})
        return amounts.apply(groove, played_at_random(groove, sampling.seed))

    def drumify(
        self,
        rhythm: Groove,
        *,
        preferences: Preferences = NO_PREFERENCES,
        sampling: Sampling = DEFAULT_SAMPLING,
    ) -> Groove:
        self.calls.append({"tool": "drumify", "preferences": preferences, "sampling": sampling})
        hits = np.repeat(rhythm.hits.any(axis=1, keepdims=True), N_VOICES, axis=1)
        hits[:, CLOSED_HAT + 1 :] = False
        return played_at_random(Groove.from_hits(hits, tempo_bpm=rhythm.tempo_bpm), sampling.seed)

    def fill_in(
        self,
        groove: Groove,
        *,
        voices: Collection[int] = range(N_VOICES),
        bars: Collection[int] | None = None,
        preferences: Preferences = NO_PREFERENCES,
        sampling: Sampling = DEFAULT_SAMPLING,
    ) -> Groove:
        self.calls.append(
            {"tool": "fill", "voices": voices, "bars": bars, "preferences": preferences}
        )
        is_unknown = np.zeros(groove.hits.shape, bool)
        for bar in range(groove.n_bars) if bars is None else bars:
            is_unknown[STEPS_PER_BAR * bar : STEPS_PER_BAR * (bar + 1), list(voices)] = True
        drawn = np.random.default_rng(sampling.seed).random(is_unknown.shape) < 0.3
        velocities = np.where(is_unknown, 0.5, groove.velocities)
        offsets = np.where(is_unknown, 0.0, groove.offsets)
        hits = np.where(is_unknown, drawn, groove.hits)
        return Groove.from_hits(hits, velocities, offsets, groove.tempo_bpm)

    def continue_groove(
        self,
        groove: Groove,
        n_bars: int,
        *,
        preferences: Preferences = NO_PREFERENCES,
        sampling: Sampling = DEFAULT_SAMPLING,
    ) -> Groove:
        self.calls.append({"tool": "continue", "n_bars": n_bars, "sampling": sampling})
        return Groove.joined([groove, groove.repeated(n_bars)])


def played_at_random(groove: Groove, seed: int) -> Groove:
    rng = np.random.default_rng(seed)
    velocities = rng.uniform(0.2, 1.0, groove.hits.shape)
    offsets = rng.uniform(-0.3, 0.3, groove.hits.shape)
    return Groove.from_hits(groove.hits, velocities, offsets, groove.tempo_bpm)
