"""What the studio hands out: takes, morphs and pieces, and what is known of their models."""

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
    """What a page need know of a model before it is loaded."""

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


@dataclass(frozen=True, eq=False)
class Take:
    """One result: its music, and what it takes to make it again or to find its neighbours.

    z is (Z,) float32.
    """

    groove: AnyMusic
    z: Floats
    model: str
    seed: int
    temperature: float


@dataclass(frozen=True, eq=False)
class SteeredTake:
    """A take that was steered, and its attributes before and after, by `attributes.CONTROLS`."""

    take: Take
    before: Mapping[str, float]
    after: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """Music beside what its code decodes to.

    Parameters
    ----------
    original, groove
        The two, of one length.
    accuracy
        Share of steps with all nine voices right, or the one of a line, 0 to 1.
    hit_f1
        Harmonic mean of precision and recall of the hits, or of where notes begin with their
        pitches, 0 to 1; silence for silence is 1.

    Source: Roberts et al. 2018, table 2, count steps so; `evaluate` does for a whole split.
    """

    original: Music
    groove: Music
    accuracy: float
    hit_f1: float

    @property
    def summary(self) -> str:
        """How much comes back right; of silence nothing can, so it is no success."""
        if not n_notes(self.original):
            return "silent, so nothing can come back right"
        notes = form_of(self.original).notes
        return f"{self.accuracy:.1%} of steps come back right, F1 of {notes} {self.hit_f1:.3f}"


@dataclass(frozen=True, eq=False)
class Morphed:
    """A morph: grooves on a path or a pad, row by row, and its ends as the model plays them.

    codes is (n, Z) float32, one for each groove; a path has one row.
    """

    grooves: tuple[Music, ...]
    codes: NDArray[np.float32]
    n_rows: int
    n_columns: int
    reconstructions: tuple[Reconstruction, ...]


@dataclass(frozen=True, eq=False)
class LongTake:
    """A groove, and what each of its bars was decoded from.

    Parameters
    ----------
    groove
        U bars.
    z
        (Z,) float32, of which every bar has its own part.
    embeddings
        (U, bar size) float32, the conductor's; they decode to the groove's bars, but for those
        that were played or edited by hand.
    model
        The name of its model.
    seed, temperature
        Of the chance that all bars were drawn by.
    """

    groove: Groove
    z: Floats
    embeddings: Floats
    model: str
    seed: int
    temperature: float
