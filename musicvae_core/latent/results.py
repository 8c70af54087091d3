"""The results that the studio returns: takes, morphs and pieces, and information about models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from musicvae_core.music.forms import AnyMusic, Music, form_of, n_notes
from musicvae_core.music.grid import COMMON_TIME, Grid
from musicvae_core.music.groove import Groove
from musicvae_core.music.packed import Floats
from musicvae_core.music.piece import Plays


@dataclass(frozen=True)
class ModelInfo:
    """What a page needs to know about a model before loading it."""

    name: str
    title: str
    n_bars: int
    has_feel: bool
    has_conductor: bool = False
    plays: Plays = "drums"
    has_atlas: bool = True
    has_vectors: bool = True
    parts: tuple[str, ...] = ()
    grid: Grid = COMMON_TIME
    temperature: float = 1.0
    """See `Kind.temperature`."""


@dataclass(frozen=True, eq=False)
class Take:
    """One result: its music, and everything needed to reproduce or vary it.

    z is (Z,) float32.
    """

    groove: AnyMusic
    z: Floats
    model: str
    seed: int
    temperature: float


@dataclass(frozen=True, eq=False)
class SteeredTake:
    """A steered take, with its attributes before and after, by name (`attributes.CONTROLS`)."""

    take: Take
    before: Mapping[str, float]
    after: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """A piece of music and its reconstruction.

    Parameters
    ----------
    original, groove
        The original and its reconstruction, of the same length.
    accuracy
        Share of steps that are right, 0 to 1: all nine voices of drums, or the event of a line.
    hit_f1
        F1 of the hits, or of note onsets with their pitches, 0 to 1; 1 if both are silent.

    Source: Roberts et al. 2018, table 2, for the accuracy; `evaluate` measures a whole split.
    """

    original: Music
    groove: Music
    accuracy: float
    hit_f1: float

    @property
    def summary(self) -> str:
        """How accurate the reconstruction is, in words; silence does not count as success."""
        if not n_notes(self.original):
            return "silent, so nothing can come back right"
        notes = form_of(self.original).notes
        return f"{self.accuracy:.1%} of steps come back right, F1 of {notes} {self.hit_f1:.3f}"


@dataclass(frozen=True, eq=False)
class Morphed:
    """A morph: grooves along a path or on a pad, row by row, and its ends' reconstructions.

    codes is (n, Z) float32, one for each groove; a path has one row.
    """

    grooves: tuple[Music, ...]
    codes: NDArray[np.float32]
    n_rows: int
    n_columns: int
    reconstructions: tuple[Reconstruction, ...]


@dataclass(frozen=True, eq=False)
class LongTake:
    """A groove, and the embedding that each of its bars was decoded from.

    Parameters
    ----------
    groove
        U bars.
    z
        (Z,) float32, in which every bar has its own part.
    embeddings
        (U, bar size) float32, from the conductor. They decode to the groove's bars, except for
        bars that were played or edited by hand.
    model
        The name of its model.
    seed, temperature
        Seed and temperature with which all bars were sampled.
    """

    groove: Groove
    z: Floats
    embeddings: Floats
    model: str
    seed: int
    temperature: float
