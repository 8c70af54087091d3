"""The grid (beats per bar, steps per beat, ticks per step), and the tempos and metres of a file."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from musicvae_core.errors import ConfigError, GridError, MidiError

TICKS_PER_BEAT = 480
"""The resolution of written MIDI files, the same as the data set's."""
_MAX_BEATS_PER_BAR = 16
_MAX_STEPS_PER_BEAT = 24
MAX_STEPS_PER_BAR = _MAX_BEATS_PER_BAR * _MAX_STEPS_PER_BEAT
_STEP_NAMES = {
    1: "quarters",
    2: "eighths",
    3: "eighth triplets",
    4: "sixteenths",
    6: "sixteenth triplets",
    8: "thirty-seconds",
}


@dataclass(frozen=True)
class Grid:
    """How time is divided: beats (quarter notes) per bar, and steps per beat.

    Parameters
    ----------
    beats_per_bar
        1 to 16; 3 means 3/4.
    steps_per_beat
        1 to 24, a divisor of 480; 4 means sixteenths, 6 sixteenth triplets.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    beats_per_bar: int = 4
    steps_per_beat: int = 4

    def __post_init__(self) -> None:
        if not 1 <= self.beats_per_bar <= _MAX_BEATS_PER_BAR:
            raise ConfigError(
                f"beats_per_bar is {self.beats_per_bar}; it must be 1 to {_MAX_BEATS_PER_BAR}."
            )
        steps = self.steps_per_beat
        if not 1 <= steps <= _MAX_STEPS_PER_BEAT or TICKS_PER_BEAT % steps:
            raise ConfigError(
                f"steps_per_beat is {steps}; it must be 1 to {_MAX_STEPS_PER_BEAT} and divide "
                f"{TICKS_PER_BEAT}."
            )

    def __str__(self) -> str:
        """Describe the grid as musicians do: "sixteenths in 3/4"."""
        steps = _STEP_NAMES.get(self.steps_per_beat, f"{self.steps_per_beat} steps a beat")
        return f"{steps} in {self.beats_per_bar}/4"

    def check(self, other: Grid) -> None:
        """Check that music on another grid can be used here.

        Raises
        ------
        GridError
            If the two grids differ.
        """
        if other != self:
            raise GridError(
                f"The music is on a grid of {other}; only {self} can be used here: choose other "
                "music."
            )

    @property
    def step_name(self) -> str:
        """What to call a step in a sentence: "sixteenth" if it is one, else "step"."""
        return "sixteenth" if self.steps_per_beat == COMMON_TIME.steps_per_beat else "step"

    @property
    def steps_per_bar(self) -> int:
        """Steps per bar."""
        return self.beats_per_bar * self.steps_per_beat

    @property
    def ticks_per_step(self) -> int:
        """MIDI ticks per step."""
        return TICKS_PER_BEAT // self.steps_per_beat

    def swings(self, steps: ArrayLike) -> NDArray[np.bool_]:
        """Return which steps, counted from a bar line, are delayed by swing.

        These are every second step of a beat, or none if a beat has an odd number of steps.
        """
        return np.asarray((np.asarray(steps) % 2 == 1) & (self.steps_per_beat % 2 == 0))

    @property
    def latest_offset(self) -> float:
        """The largest offset, in steps: half a step later would belong to the next step."""
        return 0.5 - 0.5 / self.ticks_per_step


COMMON_TIME = Grid()
"""Sixteenths in 4/4, the grid of all shipped models."""

VELOCITY_LEVELS = 127
"""The number of velocity levels in MIDI; a velocity of 1.0 is level 127."""

MIN_TEMPO_BPM = 20.0
MAX_TEMPO_BPM = 400.0


_MICROSECONDS_PER_MINUTE = 60_000_000
DEFAULT_TEMPO_BPM = 120.0
"""The tempo of a MIDI file that states none (Standard MIDI Files 1.0)."""
_MAX_MICROSECONDS = 0xFFFFFF


@dataclass(frozen=True)
class TempoMap:
    """The tempo changes of a file.

    Parameters
    ----------
    changes
        (beat, microseconds per beat): a beat is a quarter note, counted from 0 as a float; MIDI
        can state 1 to 16,777,215 microseconds. They are sorted; the last of several at one beat
        counts, and repeated tempos are dropped. The first applies from beat 0; 120 bpm by default.

    Unlike a groove, a tempo map can hold any tempo of MIDI, such as a fermata at 15 bpm.
    """

    changes: tuple[tuple[float, int], ...] = ((0.0, 500_000),)

    def __post_init__(self) -> None:
        latest: dict[float, int] = {0.0: round(_MICROSECONDS_PER_MINUTE / DEFAULT_TEMPO_BPM)}
        for beat, microseconds in self.changes:
            if not 1 <= microseconds <= _MAX_MICROSECONDS:
                raise ValueError(
                    f"A tempo is {microseconds} microseconds a beat; "
                    f"it must be 1 to {_MAX_MICROSECONDS:,}."
                )
            latest[max(float(beat), 0.0)] = microseconds
        changes: list[tuple[float, int]] = []
        for beat, microseconds in sorted(latest.items()):
            if not changes or changes[-1][1] != microseconds:
                changes.append((beat, microseconds))
        object.__setattr__(self, "changes", tuple(changes))

    @classmethod
    def steady(cls, tempo_bpm: float) -> TempoMap:
        """Return the map of a constant tempo, rounded to whole microseconds per beat."""
        return cls(((0.0, round(_MICROSECONDS_PER_MINUTE / tempo_bpm)),))

    @property
    def is_steady(self) -> bool:
        """Whether the tempo is constant."""
        return len(self.changes) == 1

    @property
    def tempos_bpm(self) -> tuple[float, ...]:
        """The tempo of each change, in order of time."""
        return tuple(_MICROSECONDS_PER_MINUTE / microseconds for _, microseconds in self.changes)

    def tempo_bpm_at(self, beat: float) -> float:
        """Return the tempo at a beat."""
        index = bisect_right([start for start, _ in self.changes], beat) - 1
        return self.tempos_bpm[max(index, 0)]

    def seconds_at(self, beats: ArrayLike) -> NDArray[np.float64]:
        """Return the times of beats in seconds from beat 0; beats may be negative."""
        starts = np.array([beat for beat, _ in self.changes])
        seconds_per_beat = np.array([microseconds for _, microseconds in self.changes]) / 1e6
        elapsed = np.concatenate([[0.0], np.cumsum(np.diff(starts) * seconds_per_beat[:-1])])
        places = np.asarray(beats, np.float64)
        index = np.maximum(np.searchsorted(starts, places, side="right") - 1, 0)
        seconds: NDArray[np.float64] = (
            elapsed[index] + (places - starts[index]) * seconds_per_beat[index]
        )
        return seconds

    def section(self, start_beat: float, end_beat: float) -> TempoMap:
        """Return the tempos between two beats, with beats counted from the first."""
        held = (0.0, round(_MICROSECONDS_PER_MINUTE / self.tempo_bpm_at(start_beat)))
        later = (
            (beat - start_beat, microseconds)
            for beat, microseconds in self.changes
            if start_beat < beat < end_beat
        )
        return TempoMap((held, *later))

    def main_tempo_bpm(self, n_beats: float) -> float:
        """Return the tempo that most of the first `n_beats` beats have, within a groove's limits.

        Tempos that round to the same whole number count as one, and the one that lasts longest is
        returned; the earliest if several last equally long. If every tempo is too slow or too
        fast for a groove, the result is the limit nearest to the main tempo.
        """
        beats_of: dict[int, float] = defaultdict(float)
        for (beat, microseconds), (end, _) in pairwise((*self.changes, (np.inf, 0))):
            beats_of[microseconds] += max(min(end, n_beats) - beat, 0.0)
        tempos = {_MICROSECONDS_PER_MINUTE / us: beats for us, beats in beats_of.items()}
        playable = {t: b for t, b in tempos.items() if MIN_TEMPO_BPM <= t <= MAX_TEMPO_BPM and b}
        tempos = playable or tempos
        beats_near: dict[int, float] = defaultdict(float)
        for tempo, beats in tempos.items():
            beats_near[round(tempo)] += beats
        near = max(beats_near, key=beats_near.__getitem__)
        main = max((t for t in tempos if round(t) == near), key=tempos.__getitem__)
        return min(max(main, MIN_TEMPO_BPM), MAX_TEMPO_BPM)


class _Section(NamedTuple):
    """A section in one metre; start and end in quarter notes."""

    start: float
    end: float
    beats: int
    unit: int

    @property
    def metre(self) -> str:
        return f"{self.beats}/{self.unit}"

    @property
    def quarters_per_bar(self) -> float:
        return 4 * self.beats / self.unit

    def fills(self, beats_per_bar: int) -> bool:
        """Whether its bars can be regrouped into bars of `beats_per_bar` quarter notes."""
        is_compound = self.unit >= 8 and self.beats % 3 == 0
        bars = (self.quarters_per_bar, beats_per_bar)
        return not is_compound and max(bars) % min(bars) == 0


@dataclass(frozen=True)
class MetreMap:
    """The metre changes of a file.

    Parameters
    ----------
    changes
        (quarter note, numerator, denominator), counted from 0, in any order; the last of several
        at one place counts.
    """

    changes: tuple[tuple[float, int, int], ...] = ()

    def _sections(self) -> Iterator[_Section]:
        latest = {beat: (beats, unit) for beat, beats, unit in self.changes}
        for (start, metre), (end, _) in pairwise((*sorted(latest.items()), (np.inf, (0, 0)))):
            yield _Section(start, end, *metre)

    def beats_per_bar(self, n_beats: float) -> int:
        """Return the quarter notes per bar of the metre that most of the first `n_beats` have.

        The result is 4 for metres that can be regrouped into 4/4, for metres that no grid has, and
        if the file states none.
        """
        longest = max(
            self._sections(),
            key=lambda one: min(one.end, n_beats) - one.start,
            default=_Section(0, 0, 4, 4),
        )
        quarters = longest.quarters_per_bar
        is_own = quarters in range(1, _MAX_BEATS_PER_BAR + 1) and longest.fills(int(quarters))
        if longest.fills(COMMON_TIME.beats_per_bar) or not is_own:
            return COMMON_TIME.beats_per_bar
        return int(quarters)

    def short_bars(self, beats_per_bar: int) -> list[tuple[float, float, str]]:
        """Return the start, end and metre of sections shorter than a bar of `beats_per_bar`."""
        return [
            (one.start, one.end, one.metre)
            for one in self._sections()
            if one.end - one.start < beats_per_bar
        ]

    def check(self, beats_per_bar: int, n_beats: float) -> list[str]:
        """Return remarks on metres that are read as bars of `beats_per_bar` quarter notes.

        Raises
        ------
        MidiError
            If a section of the first `n_beats` beats cannot be read that way.
        """
        remarks = {}
        for one in self._sections():
            if one.start >= n_beats or (one.beats, one.unit) == (beats_per_bar, 4):
                continue
            is_whole = one.end >= n_beats or (one.end - one.start) % beats_per_bar == 0
            if not (one.fills(beats_per_bar) and is_whole):
                metre, bar = f"{beats_per_bar}/4", int(one.start // beats_per_bar) + 1
                raise MidiError(
                    f"The file is in {one.metre} in bar {bar}; "
                    f"only {metre} is supported. Choose a file that is in {metre} throughout, "
                    f"or export its {metre} part alone."
                )
            remarks[one.metre] = f"Bars of {one.metre} are read as bars of {beats_per_bar}/4."
        return list(remarks.values())
