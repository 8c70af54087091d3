"""`Groove` to model arrays and back: owns sign, scale and class numbering.

Features a step, in this order: 9 hits in {0, 1}; 9 velocities in [0, 1]; 9 offsets, doubled
to [-1, 1). A positive offset is late here as in `Groove`; Magenta's sign is the opposite.
A class is the set of voices of a step read as a binary number, voice v being bit v.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from musicvae_core.music.drums import N_COMBINATIONS, N_VOICES
from musicvae_core.music.grid import COMMON_TIME, VELOCITY_LEVELS, Grid
from musicvae_core.music.groove import Groove

CODEC_VERSION = 1
"""Raised whenever the meaning of a feature or a class changes; checkpoints carry it."""

N_FEATURES = 3 * N_VOICES
"""Hits, velocities and offsets of the nine voices."""

OFFSET_SCALE = 2.0
"""Model units to a step."""

_BITS = 2 ** np.arange(N_VOICES)

COMBINATIONS: NDArray[np.bool_] = ((np.arange(N_COMBINATIONS)[:, None] & _BITS) > 0).copy()
"""(512, 9) bool: the voices that each class sounds; the inverse of `hits_to_classes`."""


@dataclass(frozen=True, eq=False)
class Alphabet:
    """The classes of a step, one of which a model draws, and the features of each.

    Parameters
    ----------
    name
        What the classes stand for; losses and metrics are named after it.
    onset_features
        The features any of which means that something begins at the step.
    table
        (classes, F) float32 in {0, 1}: the features of each class.
    key
        (K,) int64, K at most F: the first K features of a class times the key are its number.
    """

    name: str
    onset_features: slice
    table: NDArray[np.float32]
    key: NDArray[np.int64]

    @property
    def n_classes(self) -> int:
        """How many classes there are."""
        return len(self.table)

    @property
    def n_features(self) -> int:
        """Features a step."""
        return int(self.table.shape[1])


DRUM_CLASSES = Alphabet("hits", slice(0, N_VOICES), COMBINATIONS.astype(np.float32), _BITS)
"""The 512 combinations of the nine voices."""


def hits_to_classes(hits: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the class of each voice combination: (..., 9) bool to (...) int64 in 0..511."""
    return np.asarray(hits, bool) @ _BITS


def groove_to_features(groove: Groove, grid: Grid = COMMON_TIME) -> NDArray[np.float32]:
    """Return a groove as (T, 27) float32, for a model of this grid.

    Raises
    ------
    GridError
        If the groove is on another grid.
    """
    grid.check(groove.grid)
    return stack_features(groove.hits, groove.velocities, groove.offsets)


def stack_features(
    hits: NDArray[np.bool_], velocities: NDArray[np.float32], offsets: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Join arrays of (..., 9) into model features of (..., 27)."""
    return np.concatenate(
        [hits.astype(np.float32), velocities, offsets * np.float32(OFFSET_SCALE)], axis=-1
    )


def features_to_groove(
    features: NDArray[np.float32], tempo_bpm: float, grid: Grid = COMMON_TIME
) -> Groove:
    """Read (T, 27) features, or (T, 9) hits alone, as a groove.

    Hits are those above one half. Velocities are rounded to MIDI's levels, at least 1, and
    offsets clipped into their cell. Without feel, every hit is at 0.8 and on the grid.
    """
    hits = features[..., :N_VOICES] > 0.5
    if features.shape[-1] == N_VOICES:
        return Groove.from_hits(hits, tempo_bpm=tempo_bpm, grid=grid)
    velocities = features[..., N_VOICES : 2 * N_VOICES]
    levels = np.clip(np.rint(velocities * VELOCITY_LEVELS), 1, VELOCITY_LEVELS)
    offsets = np.clip(features[..., 2 * N_VOICES :] / OFFSET_SCALE, -0.5, grid.latest_offset)
    return Groove.from_hits(hits, levels / VELOCITY_LEVELS, offsets, tempo_bpm, grid)
