"""The groove lab's conditioning: the known parts of a groove, and controls such as tempo and style.

In a groove to complete, hits, velocities and offsets are known or unknown cell by cell; of a
rhythm to drumify, only taps are known. Both are arrays with a batch dimension.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from musicvae_core.music.drums import N_FEATURES, N_VOICES
from musicvae_core.music.grid import COMMON_TIME, Grid

_N_TAP_FEATURES = 3
UNKNOWN = -1
_TEMPO_CENTRE_BPM, _TEMPO_OCTAVES = 120.0, 1.0

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Conditioning:
    """The known parts of grooves, cell by cell.

    Parameters
    ----------
    features
        (B, T, 27) float32; see `music.drums`. Only known values are read.
    hits, velocities, offsets
        (B, T, 9) bool: the cells whose hit, velocity or offset is known.
    taps
        (B, T, 3) float32: 1 where a step is tapped, the tap's velocity (0 where unknown) and
        its offset in model units; zeros where there are no taps.
    """

    N_KINDS: ClassVar[int] = 5
    """Number of kinds of conditioning; see `kinds`."""

    features: Floats
    hits: Flags
    velocities: Flags
    offsets: Flags
    taps: Floats

    @classmethod
    def nothing(cls, features: Floats) -> Conditioning:
        """Nothing is known of grooves of this shape."""
        cells = np.zeros((*features.shape[:2], N_VOICES), bool)
        taps = np.zeros((*features.shape[:2], _N_TAP_FEATURES), np.float32)
        return cls(features, cells, cells, cells, taps)

    @classmethod
    def notes(cls, features: Floats) -> Conditioning:
        """All hits are known, but not how they are played."""
        nothing = cls.nothing(features)
        return replace(nothing, hits=np.ones_like(nothing.hits))

    @classmethod
    def everything(cls, features: Floats) -> Conditioning:
        """Everything is known."""
        cells = np.ones((*features.shape[:2], N_VOICES), bool)
        return replace(cls.nothing(features), hits=cells, velocities=cells, offsets=cells)

    def revealing(self, steps: Flags) -> Conditioning:
        """Return the conditioning with everything known at the given steps, (B, T) bool."""
        cells = steps[..., None]
        return replace(
            self,
            hits=self.hits | cells,
            velocities=self.velocities | cells,
            offsets=self.offsets | cells,
        )

    def at(self, steps: slice) -> Conditioning:
        """Return the conditioning of some steps only."""
        return Conditioning(
            self.features[:, steps],
            self.hits[:, steps],
            self.velocities[:, steps],
            self.offsets[:, steps],
            self.taps[:, steps],
        )

    def take(self, indices: NDArray[np.int64]) -> Conditioning:
        """Return the conditioning of the grooves at the indices."""
        return Conditioning(
            self.features[indices],
            self.hits[indices],
            self.velocities[indices],
            self.offsets[indices],
            self.taps[indices],
        )

    def followed_by(self, other: Conditioning) -> Conditioning:
        """Return the conditioning of these grooves followed by others."""
        return Conditioning(
            np.concatenate([self.features, other.features], axis=1),
            np.concatenate([self.hits, other.hits], axis=1),
            np.concatenate([self.velocities, other.velocities], axis=1),
            np.concatenate([self.offsets, other.offsets], axis=1),
            np.concatenate([self.taps, other.taps], axis=1),
        )

    def kinds(self) -> NDArray[np.int64]:
        """Return the kind of each groove's conditioning, (B,): how much of it is hidden.

        0: all notes are known, but no feel. 1: all notes and some feel are known. 2: some notes
        are known. 3: only taps are known. 4: nothing is known.
        """
        cells = (1, 2)
        no_feel = ~(self.velocities | self.offsets).any(axis=cells)
        tapped = self.taps[..., 0].any(axis=1)
        kinds = np.where(tapped, 3, 4)
        kinds = np.where(self.hits.any(axis=cells), 2, kinds)
        return np.where(self.hits.all(axis=cells), np.where(no_feel, 0, 1), kinds)

    def known_features(self) -> Floats:
        """Return (B, T, 54) float32: the features, 0 where unknown, and a mask of known cells."""
        known = np.concatenate([self.hits, self.velocities, self.offsets], axis=-1)
        known = known.astype(np.float32)
        return np.concatenate([self.features * known, known], axis=-1)


class Controls(NamedTuple):
    """Further controls: tempo, density, style and drummer.

    tempos_bpm: (B,). densities: (B,) mean hits a step, NaN where unknown. styles, drummers:
    (B,) indices into the configuration's lists, -1 where unknown.
    """

    tempos_bpm: Floats
    densities: Floats
    styles: NDArray[np.int64]
    drummers: NDArray[np.int64]

    def take(self, indices: NDArray[np.int64] | slice) -> Controls:
        """Return the controls of the examples at the indices."""
        tempos, densities = self.tempos_bpm[indices], self.densities[indices]
        return Controls(tempos, densities, self.styles[indices], self.drummers[indices])


def tempo_only(tempos_bpm: Floats) -> Controls:
    """Return controls that give the tempo only."""
    n = len(tempos_bpm)
    unknown = np.full(n, UNKNOWN)
    return Controls(tempos_bpm, np.full(n, np.nan, np.float32), unknown, unknown)


def taps_of(features: Floats) -> Floats:
    """Fold all voices into one: (B, T, 27) features to (B, T, 3) taps.

    A step is tapped if any voice is hit; the tap has the velocity and offset of the loudest hit.
    """
    hits, velocities, offsets = np.split(features, 3, axis=-1)  # each (B, T, 9)
    loudest = np.where(hits > 0, velocities, -1.0).argmax(axis=-1)[..., None]
    tapped = hits.max(axis=-1, keepdims=True)
    values = [np.take_along_axis(part, loudest, axis=-1) for part in (velocities, offsets)]
    return np.concatenate([tapped, *(tapped * value for value in values)], axis=-1)


def n_condition_features(n_styles: int, n_drummers: int, grid: Grid = COMMON_TIME) -> int:
    """Return the width of `condition_features`."""
    per_step = 2 * N_FEATURES + _N_TAP_FEATURES + grid.steps_per_bar
    return per_step + 1 + 3 + n_styles + n_drummers


def condition_features(
    given: Conditioning,
    controls: Controls,
    n_styles: int,
    n_drummers: int,
    grid: Grid = COMMON_TIME,
) -> Floats:
    """Return the model's conditioning features: (B, T, C) float32."""
    n_examples, n_steps = given.hits.shape[:2]
    steps_per_bar = grid.steps_per_bar
    place = np.eye(steps_per_bar, dtype=np.float32)[np.arange(n_steps) % steps_per_bar]
    has_taps = given.taps[..., :1].any(axis=1)  # (B, 1)
    tempos = np.log2(controls.tempos_bpm / _TEMPO_CENTRE_BPM) / _TEMPO_OCTAVES
    is_dense = ~np.isnan(controls.densities)
    of_whole = [
        has_taps,
        np.stack([tempos, is_dense, np.nan_to_num(controls.densities)], axis=-1),
        _one_hot(controls.styles, n_styles),
        _one_hot(controls.drummers, n_drummers),
    ]
    whole = np.concatenate(of_whole, axis=-1).astype(np.float32)  # (B, rest)
    return np.concatenate(
        [
            given.known_features(),
            given.taps,
            np.broadcast_to(place, (n_examples, n_steps, steps_per_bar)),
            np.broadcast_to(whole[:, None], (n_examples, n_steps, whole.shape[-1])),
        ],
        axis=-1,
    )


def _one_hot(places: NDArray[np.int64], n: int) -> Floats:
    """Return (B, n) float32, all zeros where the index is unknown."""
    return np.asarray(places[:, None] == np.arange(n), np.float32)
