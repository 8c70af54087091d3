"""`Groove`: the one domain type. Everything a person hears or sees is one of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from musicvae_core.errors import InvalidGrooveError
from musicvae_core.vocabulary import (
    MAX_TEMPO_BPM,
    MIN_TEMPO_BPM,
    N_VOICES,
    STEPS_PER_BAR,
    STEPS_PER_BEAT,
)


@dataclass(frozen=True, eq=False)
class Groove:
    """A drum pattern on a grid of sixteenths, with the feel of each hit.

    Parameters
    ----------
    hits
        (T, 9) bool, T a positive multiple of 16: which voice sounds at which step.
    velocities
        (T, 9) float32 in (0, 1] where there is a hit, 0 elsewhere.
    offsets
        (T, 9) float32 in [-0.5, 0.5) of a step where there is a hit, 0 elsewhere;
        positive is late. At the first step of a loop a negative offset is a hit
        played before the loop begins, that is at its end.
    tempo_bpm
        Quarter notes a minute, 20 to 400.

    The arrays are copied and made read-only, so a groove can be shared and cached.

    Raises
    ------
    InvalidGrooveError
        If any of the above does not hold.
    """

    hits: NDArray[np.bool_]
    velocities: NDArray[np.float32]
    offsets: NDArray[np.float32]
    tempo_bpm: float

    def __post_init__(self) -> None:
        for name, dtype in (
            ("hits", np.bool_),
            ("velocities", np.float32),
            ("offsets", np.float32),
        ):
            array = np.array(getattr(self, name), dtype=dtype)
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        object.__setattr__(self, "tempo_bpm", float(self.tempo_bpm))
        self._check_shapes()
        self._check_ranges()

    def _check_shapes(self) -> None:
        shape = self.hits.shape
        if len(shape) != 2 or shape[1] != N_VOICES or shape[0] == 0 or shape[0] % STEPS_PER_BAR:
            raise InvalidGrooveError(
                f"hits has shape {shape}; a groove is (steps, {N_VOICES}) "
                f"with a positive multiple of {STEPS_PER_BAR} steps."
            )
        for name in ("velocities", "offsets"):
            if getattr(self, name).shape != shape:
                raise InvalidGrooveError(
                    f"{name} has shape {getattr(self, name).shape}; "
                    f"hits has {shape}: make them equal."
                )

    def _check_ranges(self) -> None:
        velocities, offsets = self.velocities, self.offsets
        if not (np.isfinite(velocities).all() and np.isfinite(offsets).all()):
            raise InvalidGrooveError("velocities and offsets must be finite numbers.")
        struck = velocities[self.hits]
        if struck.size and (struck.min() <= 0 or struck.max() > 1):
            raise InvalidGrooveError(
                f"velocities of hits span {struck.min():.3f} to {struck.max():.3f}; "
                "they must lie in (0, 1]."
            )
        if offsets.size and (offsets.min() < -0.5 or offsets.max() >= 0.5):
            raise InvalidGrooveError(
                f"offsets span {offsets.min():.3f} to {offsets.max():.3f} of a step; "
                "they must lie in [-0.5, 0.5): move the hit to the nearest step."
            )
        n_loud = np.count_nonzero(velocities)  # those of hits all are
        if n_loud > struck.size or (offsets.any() and offsets[~self.hits].any()):
            raise InvalidGrooveError("velocities and offsets must be 0 where there is no hit.")
        if not MIN_TEMPO_BPM <= self.tempo_bpm <= MAX_TEMPO_BPM:
            raise InvalidGrooveError(
                f"tempo is {self.tempo_bpm:g} bpm; "
                f"it must lie in {MIN_TEMPO_BPM:g} to {MAX_TEMPO_BPM:g}."
            )

    @classmethod
    def silent(cls, n_bars: int, tempo_bpm: float = 120.0) -> Groove:
        """Return a groove of `n_bars` bars without a hit."""
        cells = (n_bars * STEPS_PER_BAR, N_VOICES)
        zeros = np.zeros(cells, np.float32)
        return cls(np.zeros(cells, bool), zeros, zeros, tempo_bpm)

    @classmethod
    def from_hits(
        cls,
        hits: ArrayLike,
        velocities: ArrayLike = 0.8,
        offsets: ArrayLike = 0.0,
        tempo_bpm: float = 120.0,
    ) -> Groove:
        """Build a groove from hits, with velocities and offsets broadcast and masked to them."""
        struck = np.asarray(hits, dtype=bool)
        nothing = np.float32(0)
        return cls(
            struck,
            np.where(struck, np.asarray(velocities, np.float32), nothing),
            np.where(struck, np.asarray(offsets, np.float32), nothing),
            tempo_bpm,
        )

    def __eq__(self, other: object) -> bool:
        """Two grooves are equal when all their arrays and tempos are, exactly."""
        if not isinstance(other, Groove):
            return NotImplemented
        return (
            self.tempo_bpm == other.tempo_bpm
            and np.array_equal(self.hits, other.hits)
            and np.array_equal(self.velocities, other.velocities)
            and np.array_equal(self.offsets, other.offsets)
        )

    def __hash__(self) -> int:
        arrays = (self.hits, self.velocities + 0.0, self.offsets + 0.0)  # -0.0 is equal to 0.0
        return hash((self.tempo_bpm, *(array.tobytes() for array in arrays)))

    @property
    def n_steps(self) -> int:
        """Length in sixteenths."""
        return int(self.hits.shape[0])

    @property
    def n_bars(self) -> int:
        """Length in bars of 4/4."""
        return self.n_steps // STEPS_PER_BAR

    @property
    def n_hits(self) -> int:
        """How many notes the groove has."""
        return int(self.hits.sum())

    @property
    def step_seconds(self) -> float:
        """Duration of a sixteenth."""
        return 60.0 / self.tempo_bpm / STEPS_PER_BEAT

    @property
    def duration_seconds(self) -> float:
        """Duration of one pass through the groove."""
        return self.n_steps * self.step_seconds

    def at_tempo(self, tempo_bpm: float) -> Groove:
        """Return the same groove at another tempo."""
        return replace(self, tempo_bpm=tempo_bpm)

    def bars(self, start_bar: int, n_bars: int) -> Groove:
        """Return `n_bars` bars from `start_bar` on, counted from 0, as a groove of their own.

        Raises
        ------
        InvalidGrooveError
            If any of them is not there, or none is asked for.
        """
        if not 0 <= start_bar < start_bar + n_bars <= self.n_bars:
            raise InvalidGrooveError(
                f"There are not {n_bars} bars from bar {start_bar} on; "
                f"the groove has bars 0 to {self.n_bars - 1}: ask for one or more of these."
            )
        cells = slice(start_bar * STEPS_PER_BAR, (start_bar + n_bars) * STEPS_PER_BAR)
        return Groove(self.hits[cells], self.velocities[cells], self.offsets[cells], self.tempo_bpm)

    @classmethod
    def joined(cls, grooves: Sequence[Groove]) -> Groove:
        """Return grooves one after the other, at the tempo of the first.

        Raises
        ------
        InvalidGrooveError
            If there are none.
        """
        if not grooves:
            raise InvalidGrooveError("There is no groove to join: give one or more.")
        return cls(
            np.concatenate([groove.hits for groove in grooves]),
            np.concatenate([groove.velocities for groove in grooves]),
            np.concatenate([groove.offsets for groove in grooves]),
            grooves[0].tempo_bpm,
        )

    def windows(self, n_bars: int) -> list[Groove]:
        """Return every stretch of `n_bars` bars, one for each bar that it can start at.

        A groove that is shorter has none.
        """
        return [self.bars(start, n_bars) for start in range(self.n_bars - n_bars + 1)]

    def padded(self, n_bars: int) -> Groove:
        """Return the groove with silence after it, `n_bars` bars long in all.

        Raises
        ------
        InvalidGrooveError
            If the groove is longer than that.
        """
        if self.n_bars > n_bars:
            raise InvalidGrooveError(
                f"The groove has {self.n_bars} bars, more than {n_bars}: choose some of them."
            )
        silence = ((0, n_bars * STEPS_PER_BAR - self.n_steps), (0, 0))
        return Groove(
            np.pad(self.hits, silence),
            np.pad(self.velocities, silence),
            np.pad(self.offsets, silence),
            self.tempo_bpm,
        )

    def repeated(self, n_bars: int) -> Groove:
        """Return the groove played over and over until it is `n_bars` bars long."""
        steps = np.arange(n_bars * STEPS_PER_BAR) % self.n_steps
        arrays = (self.hits[steps], self.velocities[steps], self.offsets[steps])
        return Groove(*arrays, self.tempo_bpm)
