"""The nine drum voices, their pitches, and how a model represents a step: features and a class.

The features of a step are, in order: 9 hits in {0, 1}; 9 velocities in [0, 1]; 9 offsets, doubled
to [-1, 1). A positive offset is late, as in `Groove`; Magenta's sign is the opposite. The class of
a step is its set of voices as a binary number: bit v is voice v.

Source: the nine voices and their order are those of MusicVAE's and GrooVAE's drum
models (Roberts et al. 2018, section 4; Gillick et al. 2019, section 3); pitches are
General MIDI's percussion key map and the Roland TD-11's, on which the Groove MIDI
Dataset was played.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

DRUMS = "drums"
"""The name of the drum part of a piece."""

VOICES: tuple[str, ...] = (
    "kick",
    "snare",
    "closed hi-hat",
    "open hi-hat",
    "low tom",
    "mid tom",
    "high tom",
    "crash",
    "ride",
)
N_VOICES = len(VOICES)
_N_COMBINATIONS = 2**N_VOICES
"""The number of classes: one for each set of voices."""

KICK, SNARE, CLOSED_HAT, OPEN_HAT, LOW_TOM, MID_TOM, HIGH_TOM, CRASH, RIDE = range(N_VOICES)

WRITTEN_PITCHES: tuple[int, ...] = (36, 38, 42, 46, 43, 47, 50, 49, 51)
"""The General MIDI pitch to write for each voice, in the order of `VOICES`."""

_PITCHES_OF_VOICE: dict[int, tuple[int, ...]] = {
    KICK: (36, 35),
    SNARE: (38, 37, 40, 39),
    CLOSED_HAT: (42, 22, 44, 54, 69, 70, 82),
    OPEN_HAT: (46, 26),
    LOW_TOM: (43, 58, 41),
    MID_TOM: (47, 45),
    HIGH_TOM: (50, 48),
    CRASH: (49, 52, 55, 57),
    RIDE: (51, 53, 59, 56),
}

VOICE_OF_PITCH = MappingProxyType(
    {pitch: voice for voice, pitches in _PITCHES_OF_VOICE.items() for pitch in pitches}
)
"""The voice of each General MIDI and Roland TD-11 pitch; others are counted and dropped."""

CODEC_VERSION = 1
"""Incremented whenever the meaning of a feature or a class changes; stored in checkpoints."""

N_FEATURES = 3 * N_VOICES
"""Hits, velocities and offsets of the nine voices."""

OFFSET_SCALE = 2.0
"""Model units per step."""

_BITS = 2 ** np.arange(N_VOICES)

_COMBINATIONS: NDArray[np.bool_] = ((np.arange(_N_COMBINATIONS)[:, None] & _BITS) > 0).copy()
"""(512, 9) bool: the voices of each class; undoes `hits_to_classes`."""


@dataclass(frozen=True, eq=False)
class Alphabet:
    """The classes that a model chooses from at a step, and the features of each.

    Parameters
    ----------
    name
        What the classes represent; losses and metrics are named after it.
    onset_features
        The features that mark an onset at the step.
    table
        (classes, F) float32 in {0, 1}: the features of each class.
    key
        (K,) int64, K at most F: the number of a class is the dot product of its first K features
        with the key.
    """

    name: str
    onset_features: slice
    table: NDArray[np.float32]
    key: NDArray[np.int64]

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return len(self.table)

    @property
    def n_features(self) -> int:
        """Features per step."""
        return int(self.table.shape[1])


DRUM_CLASSES = Alphabet("hits", slice(0, N_VOICES), _COMBINATIONS.astype(np.float32), _BITS)
"""The 512 combinations of the nine voices."""


def hits_to_classes(hits: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the class of each set of voices: (..., 9) bool to (...) int64, 0 to 511."""
    return np.asarray(hits, bool) @ _BITS
