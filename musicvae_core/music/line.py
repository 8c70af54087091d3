"""`Line`: one pitched voice on a grid, and the classes that represent its steps to a model.

At each step a note starts, continues, or nothing sounds. As in the paper, each step has one class:
a pitch starts a note, a note-off ends one, and "no event" continues the note or the silence.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from musicvae_core.errors import ConfigError, InvalidMusicError
from musicvae_core.music.drums import Alphabet
from musicvae_core.music.grid import COMMON_TIME, VELOCITY_LEVELS, Grid
from musicvae_core.music.packed import MusicOnGrid, pack_bytes, unpack_bytes

SILENT = -1
"""The pitch of a silent step."""

_LOWEST_PITCH, _HIGHEST_PITCH = 21, 108
"""Models play the piano's 88 keys; a `Line` can hold any MIDI pitch."""

_NO_EVENT, _NOTE_OFF = 0, 1
FIRST_PITCH_CLASS = 2
_N_CLASSES = FIRST_PITCH_CLASS + _HIGHEST_PITCH - _LOWEST_PITCH + 1

LINE_CLASSES = Alphabet(
    "notes",
    slice(FIRST_PITCH_CLASS, None),
    np.eye(_N_CLASSES, dtype=np.float32),
    np.arange(_N_CLASSES),
)
"""88 pitches, note-off and no event, one feature each.

Source: Roberts et al. 2018, section 4 (melody), with 128 pitches; Magenta's checkpoints have 88.
"""

MAX_TRANSPOSITION = 6
"""The most semitones to transpose a training window by, up or down: enough for all keys."""

_DEFAULT_VELOCITY = 0.8
_HEAD = struct.Struct("<IdBBB")
"""The start of a line's text: steps, tempo, program, beats per bar and steps per beat."""


class Note(NamedTuple):
    """A note of a line; its start and length are in steps."""

    step: int
    n_steps: int
    pitch: int
    velocity: float


@dataclass(frozen=True, eq=False)
class Line(MusicOnGrid):
    """One pitched voice on a grid.

    Parameters
    ----------
    pitches
        (T,) int64: the MIDI pitch at each step, or `SILENT`; T is a whole number of bars.
    onsets
        (T,) bool: where a note starts. A sounding step without an onset continues the previous
        note.
    velocities
        (T,) float32 in (0, 1] at onsets, 0 elsewhere.
    tempo_bpm
        Quarter notes per minute, 20 to 400.
    program
        General MIDI program, 0 to 127; 0 is the grand piano.
    grid
        The grid of the steps; sixteenths in 4/4 by default.
    swing
        0 to 1: how late every second step of a beat is played, as a share of a third of a step.
        It is not part of the line's text.

    Raises
    ------
    InvalidMusicError
        If any of the above does not hold.
    """

    pitches: NDArray[np.int64]
    onsets: NDArray[np.bool_]
    velocities: NDArray[np.float32]
    tempo_bpm: float
    program: int = 0
    grid: Grid = COMMON_TIME
    swing: float = 0.0

    ARRAYS = MappingProxyType({"pitches": np.int64, "onsets": np.bool_, "velocities": np.float32})

    def __post_init__(self) -> None:
        self._freeze_arrays()
        if self.pitches.ndim != 1:
            raise InvalidMusicError(
                f"pitches has shape {self.pitches.shape}; a line has one pitch a step."
            )
        self._check_notes()
        if not 0 <= self.program <= 127:
            raise InvalidMusicError(f"The program is {self.program}; it must be 0 to 127.")

    def _check_notes(self) -> None:
        pitches, velocities = self.pitches, self.velocities
        if pitches.min() < SILENT or pitches.max() > 127:
            raise InvalidMusicError(
                f"pitches span {pitches.min()} to {pitches.max()}; they must be 0 to 127, or "
                f"{SILENT} for silence."
            )
        onset_velocities = velocities[self.onsets]
        if not np.isfinite(velocities).all() or (
            onset_velocities.size and (onset_velocities.min() <= 0 or onset_velocities.max() > 1)
        ):
            raise InvalidMusicError("The velocities of onsets must lie in (0, 1].")
        if np.count_nonzero(velocities) > onset_velocities.size:
            raise InvalidMusicError("velocities must be 0 where no note begins.")
        if (pitches[self.onsets] == SILENT).any():
            raise InvalidMusicError("A note begins at a silent step: give it a pitch.")
        before = np.concatenate([[SILENT], pitches[:-1]])
        orphans = (pitches != SILENT) & ~self.onsets & (pitches != before)
        if orphans.any():
            raise InvalidMusicError(
                f"The pitch changes at step {int(orphans.argmax())} without an onset: "
                "begin a note there."
            )

    @classmethod
    def from_notes(
        cls,
        notes: Iterable[Note],
        n_bars: int,
        tempo_bpm: float = 120.0,
        program: int = 0,
        grid: Grid = COMMON_TIME,
    ) -> Line:
        """Build a line from notes; a note is cut off by the next one or by the end of the line.

        Raises
        ------
        InvalidMusicError
            If two notes share an onset, or one lies outside the bars.
        """
        n_steps = n_bars * grid.steps_per_bar
        pitches = np.full(n_steps, SILENT)
        onsets, velocities = np.zeros(n_steps, bool), np.zeros(n_steps, np.float32)
        for note in sorted(notes):
            if not 0 <= note.step < n_steps or note.n_steps < 1 or onsets[note.step]:
                raise InvalidMusicError(
                    f"The note {tuple(note)} shares its onset with another, is empty, or lies "
                    f"outside of {n_bars} bars."
                )
            pitches[note.step :] = SILENT
            pitches[note.step : note.step + note.n_steps] = note.pitch
            onsets[note.step], velocities[note.step] = True, note.velocity
        return cls(pitches, onsets, velocities, tempo_bpm, program, grid)

    def notes(self) -> Iterator[Note]:
        """Yield the notes in order; undoes `from_notes`."""
        starts = np.flatnonzero(self.onsets)
        for step, limit in pairwise([*starts, self.n_steps]):
            n_sounding = int((self.pitches[step:limit] != SILENT).sum())
            yield Note(int(step), n_sounding, int(self.pitches[step]), float(self.velocities[step]))

    @property
    def n_notes(self) -> int:
        """The number of notes."""
        return int(self.onsets.sum())

    def bars(self, start_bar: int, n_bars: int) -> Line:
        """Return `n_bars` bars starting at `start_bar`, counted from 0, as a line.

        A note held into the first of them starts there; one held beyond the last ends there.

        Raises
        ------
        InvalidMusicError
            If a bar does not exist, or `n_bars` is not positive.
        """
        steps = self._steps_of(start_bar, n_bars)
        onsets, velocities = self.onsets[steps].copy(), self.velocities[steps].copy()
        if self.pitches[steps.start] != SILENT and not onsets[0]:
            begun = np.flatnonzero(self.onsets[: steps.start])[-1]
            onsets[0], velocities[0] = True, self.velocities[begun]
        return replace(self, pitches=self.pitches[steps], onsets=onsets, velocities=velocities)

    def padded(self, n_bars: int) -> Line:
        """Return the line padded with silence to `n_bars` bars.

        Raises
        ------
        InvalidMusicError
            If the line is longer.
        """
        self._check_fits(n_bars)
        return Line.from_notes(self.notes(), n_bars, self.tempo_bpm, self.program, self.grid)

    def performed(self, swing: float = 0.0, feel: float = 1.0) -> Line:
        """Return the line with this swing, its velocities scaled around their mean by `feel`."""
        if (swing, feel) == (self.swing, 1.0):
            return self
        onset_velocities = self.velocities[self.onsets]
        velocities = self.velocities.copy()
        if onset_velocities.size:
            scaled = onset_velocities.mean() + feel * (onset_velocities - onset_velocities.mean())
            velocities[self.onsets] = np.clip(scaled, 1 / VELOCITY_LEVELS, 1.0)
        return replace(self, velocities=velocities, swing=swing)

    def place_of(self, step: int) -> float:
        """Return when a step is played, in steps, including swing."""
        return step + self.swing / 3 if self.grid.swings(step) else float(step)

    def transposed(self, semitones: int) -> Line:
        """Return the line transposed; negative is down.

        Raises
        ------
        InvalidMusicError
            If a pitch would leave 0 to 127.
        """
        sounding = self.pitches != SILENT
        moved = np.where(sounding, self.pitches + semitones, SILENT)
        if sounding.any() and not 0 <= moved[sounding].min() <= moved[sounding].max() <= 127:
            raise InvalidMusicError(
                f"Transposed by {semitones} semitones, the pitches would span "
                f"{moved[sounding].min()} to {moved[sounding].max()}; they must stay in 0 to 127."
            )
        return replace(self, pitches=moved)

    def events(self) -> NDArray[np.int64]:
        """Return the event at each step, (T,): 0 none, 1 a note-off, 2 + pitch an onset."""
        sounding = self.pitches != SILENT
        ends = ~sounding & np.concatenate([[False], sounding[:-1]])
        changes = np.where(ends, _NOTE_OFF, _NO_EVENT)
        return np.where(self.onsets, self.pitches + FIRST_PITCH_CLASS, changes)

    @classmethod
    def from_events(
        cls,
        events: NDArray[np.integer[Any]],
        velocities: NDArray[np.float32] | np.float32,
        tempo_bpm: float,
        program: int = 0,
        grid: Grid = COMMON_TIME,
    ) -> Line:
        """Undo `events`, given a velocity for each note or one for all.

        A note-off during silence has no effect, and the line is silent until the first onset.
        """
        numbers = np.asarray(events, np.int64)  # bytes would have no room for SILENT
        onsets = numbers >= FIRST_PITCH_CLASS
        changes = np.where(numbers != _NO_EVENT, np.arange(len(numbers)), -1)
        last_change = np.maximum.accumulate(changes)
        source = np.where(last_change >= 0, numbers[last_change], _NOTE_OFF)
        pitches = np.where(source >= FIRST_PITCH_CLASS, source - FIRST_PITCH_CLASS, SILENT)
        loudness = np.zeros(len(numbers), np.float32)
        loudness[onsets] = velocities
        return cls(pitches, onsets, loudness, tempo_bpm, program, grid)

    def to_text(self) -> str:
        """Return the line as a short, lossless text."""
        grid = (self.grid.beats_per_bar, self.grid.steps_per_beat)
        head = _HEAD.pack(self.n_steps, self.tempo_bpm, self.program, *grid)
        events = self.events().astype(np.uint8).tobytes()
        return pack_bytes(head + events + self.velocities[self.onsets].astype("<f4").tobytes())

    @classmethod
    def from_text(cls, text: str) -> Line:
        """Undo `to_text`.

        Raises
        ------
        ValueError
            If the text is damaged or not a line.
        """
        data = unpack_bytes(text)
        try:
            n_steps, tempo_bpm, program, *grid = _HEAD.unpack_from(data)
            events = np.frombuffer(data, np.uint8, n_steps, _HEAD.size)
            velocities = np.frombuffer(data, "<f4", offset=_HEAD.size + n_steps)
            return cls.from_events(events, velocities, tempo_bpm, program, Grid(*grid))
        except (struct.error, ConfigError) as error:
            raise ValueError("the line is damaged") from error


def line_to_classes(line: Line, grid: Grid = COMMON_TIME) -> NDArray[np.int64]:
    """Return the class of each step of a line, (T,) int64; `classes_to_line` undoes it.

    Raises
    ------
    InvalidMusicError
        If a pitch is outside the piano's range.
    GridError
        If the line is on a different grid.
    """
    pitches = line.pitches[line.onsets]
    if pitches.size and not _LOWEST_PITCH <= pitches.min() <= pitches.max() <= _HIGHEST_PITCH:
        raise InvalidMusicError(
            f"The pitches span {pitches.min()} to {pitches.max()}; models play "
            f"{_LOWEST_PITCH} to {_HIGHEST_PITCH}: transpose the line."
        )
    grid.check(line.grid)
    events = line.events()
    return np.where(events >= FIRST_PITCH_CLASS, events - _LOWEST_PITCH, events)


def classes_to_line(
    classes: NDArray[np.integer[Any]],
    tempo_bpm: float = 120.0,
    program: int = 0,
    velocity: float = _DEFAULT_VELOCITY,
    grid: Grid = COMMON_TIME,
) -> Line:
    """Return classes (T,) as a line of equally loud notes; see `from_events`."""
    numbers = np.asarray(classes, np.int64)
    events = np.where(numbers >= FIRST_PITCH_CLASS, numbers + _LOWEST_PITCH, numbers)
    return Line.from_events(events, np.float32(velocity), tempo_bpm, program, grid)


def line_to_features(line: Line, grid: Grid = COMMON_TIME) -> NDArray[np.float32]:
    """Return a line as features, (T, 90) float32; see `line_to_classes`."""
    return LINE_CLASSES.table[line_to_classes(line, grid)]


def features_to_line(
    features: NDArray[np.float32], tempo_bpm: float, grid: Grid = COMMON_TIME
) -> Line:
    """Return one-hot features (T, 90) as a line; see `classes_to_line`."""
    return classes_to_line(features.argmax(axis=-1), tempo_bpm, grid=grid)
