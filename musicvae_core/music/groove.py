"""`Groove`: drums with feel, as played, drawn and saved."""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from musicvae_core.errors import InvalidMusicError
from musicvae_core.music.drums import N_VOICES, OFFSET_SCALE
from musicvae_core.music.grid import COMMON_TIME, VELOCITY_LEVELS, Grid
from musicvae_core.music.packed import MusicOnGrid, pack_bytes, unpack_bytes

_HEAD = struct.Struct("<Id")
"""The start of a groove's text: its number of steps and its tempo."""


@dataclass(frozen=True, eq=False)
class Groove(MusicOnGrid):
    """A drum pattern on a grid, with the feel of each hit.

    Parameters
    ----------
    hits
        (T, 9) bool: which voice is hit at which step; T is a whole number of bars.
    velocities
        (T, 9) float32 in (0, 1] where there is a hit, 0 elsewhere.
    offsets
        (T, 9) float32 in [-0.5, 0.5) of a step where there is a hit, 0 elsewhere;
        positive is late. A negative offset at the first step of a loop is a hit
        before the loop begins, that is at its end.
    tempo_bpm
        Quarter notes per minute, 20 to 400.
    grid
        The grid of the steps; sixteenths in 4/4 by default.

    Raises
    ------
    InvalidMusicError
        If any of the above does not hold.
    """

    hits: NDArray[np.bool_]
    velocities: NDArray[np.float32]
    offsets: NDArray[np.float32]
    tempo_bpm: float
    grid: Grid = COMMON_TIME

    ARRAYS = MappingProxyType({"hits": np.bool_, "velocities": np.float32, "offsets": np.float32})

    def __post_init__(self) -> None:
        self._freeze_arrays()
        if self.hits.shape[1:] != (N_VOICES,):
            raise InvalidMusicError(
                f"hits has shape {self.hits.shape}; a groove is (steps, {N_VOICES})."
            )
        velocities, offsets = self.velocities, self.offsets
        if not (np.isfinite(velocities).all() and np.isfinite(offsets).all()):
            raise InvalidMusicError("velocities and offsets must be finite numbers.")
        levels = velocities[self.hits]
        if levels.size and (levels.min() <= 0 or levels.max() > 1):
            raise InvalidMusicError(
                f"velocities of hits span {levels.min():.3f} to {levels.max():.3f}; "
                "they must lie in (0, 1]."
            )
        if offsets.size and (offsets.min() < -0.5 or offsets.max() >= 0.5):
            raise InvalidMusicError(
                f"offsets span {offsets.min():.3f} to {offsets.max():.3f} of a step; "
                "they must lie in [-0.5, 0.5): move the hit to the nearest step."
            )
        n_loud = np.count_nonzero(velocities)  # all hits have a velocity above 0
        if n_loud > levels.size or (offsets.any() and offsets[~self.hits].any()):
            raise InvalidMusicError("velocities and offsets must be 0 where there is no hit.")

    @classmethod
    def silent(cls, n_bars: int, tempo_bpm: float = 120.0, grid: Grid = COMMON_TIME) -> Groove:
        """Return a groove of `n_bars` bars without hits."""
        cells = (n_bars * grid.steps_per_bar, N_VOICES)
        zeros = np.zeros(cells, np.float32)
        return cls(np.zeros(cells, bool), zeros, zeros, tempo_bpm, grid)

    @classmethod
    def from_hits(
        cls,
        hits: ArrayLike,
        velocities: ArrayLike = 0.8,
        offsets: ArrayLike = 0.0,
        tempo_bpm: float = 120.0,
        grid: Grid = COMMON_TIME,
    ) -> Groove:
        """Build a groove from hits, with velocities and offsets broadcast and masked to them."""
        is_hit = np.asarray(hits, dtype=bool)
        nothing = np.float32(0)
        return cls(
            is_hit,
            np.where(is_hit, np.asarray(velocities, np.float32), nothing),
            np.where(is_hit, np.asarray(offsets, np.float32), nothing),
            tempo_bpm,
            grid,
        )

    @property
    def n_hits(self) -> int:
        """The number of hits."""
        return int(self.hits.sum())

    def performed(self, swing: float = 0.0, feel: float = 1.0) -> Groove:
        """Return the groove with added swing and its feel scaled.

        Parameters
        ----------
        swing
            0 to 1: how late every second step of a beat is, as a share of a third of a step. It
            has no effect if a beat has an odd number of steps.
        feel
            Scales offsets, and velocities around the mean of their voice: 0 removes all feel, 1
            changes nothing.
        """
        if swing == 0.0 and feel == 1.0:
            return self
        velocities, late = self.velocities.copy(), np.zeros(self.n_steps, np.float32)
        late[self.grid.swings(np.arange(self.n_steps))] = swing / 3
        for voice in np.flatnonzero(self.hits.any(axis=0)):
            at = self.hits[:, voice]
            mean = velocities[at, voice].mean()
            velocities[at, voice] = mean + feel * (velocities[at, voice] - mean)
        offsets = feel * self.offsets + late[:, None]
        return Groove.from_hits(
            self.hits,
            np.clip(velocities, 1 / VELOCITY_LEVELS, 1.0),
            np.clip(offsets, -0.5, self.grid.latest_offset),
            self.tempo_bpm,
            self.grid,
        )

    def bars(self, start_bar: int, n_bars: int) -> Groove:
        """Return `n_bars` bars starting at `start_bar`, counted from 0, as a groove.

        Raises
        ------
        InvalidMusicError
            If a bar does not exist, or `n_bars` is not positive.
        """
        return self._at(self._steps_of(start_bar, n_bars))

    def windows(self, n_bars: int) -> list[Groove]:
        """Return every window of `n_bars` bars, one bar apart; none if the groove is shorter."""
        return [self.bars(start, n_bars) for start in range(self.n_bars - n_bars + 1)]

    def padded(self, n_bars: int) -> Groove:
        """Return the groove padded with silence to `n_bars` bars.

        Raises
        ------
        InvalidMusicError
            If the groove is longer.
        """
        self._check_fits(n_bars)
        silence = ((0, n_bars * self.grid.steps_per_bar - self.n_steps), (0, 0))
        return replace(
            self,
            hits=np.pad(self.hits, silence),
            velocities=np.pad(self.velocities, silence),
            offsets=np.pad(self.offsets, silence),
        )

    def to_text(self) -> str:
        """Return the groove as a short, lossless text.

        It holds the hits as bits, the velocities and offsets of the hits and, unless the grid is
        sixteenths in 4/4, two bytes for the grid.
        """
        feel = [array[self.hits].astype("<f4") for array in (self.velocities, self.offsets)]
        parts = [np.packbits(self.hits), *feel]
        head = _HEAD.pack(self.n_steps, self.tempo_bpm)
        is_common = self.grid == COMMON_TIME
        tail = b"" if is_common else bytes((self.grid.beats_per_bar, self.grid.steps_per_beat))
        return pack_bytes(head + b"".join(part.tobytes() for part in parts) + tail)

    @classmethod
    def from_text(cls, text: str) -> Groove:
        """Undo `to_text`.

        Raises
        ------
        ValueError
            If the text is damaged or not a groove.
        """
        data = unpack_bytes(text)
        if len(data) < _HEAD.size:
            raise ValueError("the groove is cut short")
        n_steps, tempo_bpm = _HEAD.unpack_from(data)
        n_cells = n_steps * N_VOICES
        start = _HEAD.size + -(-n_cells // 8)
        bits = np.unpackbits(np.frombuffer(data[_HEAD.size : start], np.uint8))
        hits = bits[:n_cells].astype(bool).reshape(n_steps, N_VOICES)
        end = start + 8 * int(hits.sum())
        if len(data) not in (end, end + 2):
            raise ValueError("the groove does not end where it should")
        feel = np.zeros((2, n_steps, N_VOICES), np.float32)
        feel[:, hits] = np.frombuffer(data[start:end], "<f4").reshape(2, int(hits.sum()))
        grid = Grid(*data[end:]) if len(data) > end else COMMON_TIME
        return cls(hits, feel[0], feel[1], tempo_bpm, grid)


def groove_to_features(groove: Groove, grid: Grid = COMMON_TIME) -> NDArray[np.float32]:
    """Return a groove as features, (T, 27) float32, for a model on this grid.

    Raises
    ------
    GridError
        If the groove is on a different grid.
    """
    grid.check(groove.grid)
    return _stack_features(groove.hits, groove.velocities, groove.offsets)


def _stack_features(
    hits: NDArray[np.bool_], velocities: NDArray[np.float32], offsets: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Join arrays of (..., 9) into model features of (..., 27)."""
    return np.concatenate(
        [hits.astype(np.float32), velocities, offsets * np.float32(OFFSET_SCALE)], axis=-1
    )


def features_to_groove(
    features: NDArray[np.float32], tempo_bpm: float, grid: Grid = COMMON_TIME
) -> Groove:
    """Return features (T, 27), or only hits (T, 9), as a groove.

    A value above one half is a hit. Velocities are rounded to MIDI's levels, at least 1, and
    offsets are clipped to their step. Without feel, every hit is on the grid at velocity 0.8.
    """
    hits = features[..., :N_VOICES] > 0.5
    if features.shape[-1] == N_VOICES:
        return Groove.from_hits(hits, tempo_bpm=tempo_bpm, grid=grid)
    velocities = features[..., N_VOICES : 2 * N_VOICES]
    levels = np.clip(np.rint(velocities * VELOCITY_LEVELS), 1, VELOCITY_LEVELS)
    offsets = np.clip(features[..., 2 * N_VOICES :] / OFFSET_SCALE, -0.5, grid.latest_offset)
    return Groove.from_hits(hits, levels / VELOCITY_LEVELS, offsets, tempo_bpm, grid)
