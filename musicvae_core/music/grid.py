"""The grid: beats of a bar, steps of a beat, ticks of a step; tempos and metres of a piece."""

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
"""Resolution of written MIDI files, the data set's own."""
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
    """How time is divided: the beats of a bar, which are quarter notes, and the steps of a beat.

    Parameters
    ----------
    beats_per_bar
        1 to 16: 3 is a bar of 3/4.
    steps_per_beat
        1 to 24, a divisor of 480: 4 is sixteenths, 6 is sixteenth triplets.

    Raises
    ------
    ConfigError
        If one of them is out of its range.
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
        """Say it as musicians do: "sixteenths in 3/4"."""
        steps = _STEP_NAMES.get(self.steps_per_beat, f"{self.steps_per_beat} steps a beat")
        return f"{steps} in {self.beats_per_bar}/4"

    def check(self, other: Grid) -> None:
        """Refuse music on another grid than this.

        Raises
        ------
        GridError
            If the grid of the music is another.
        """
        if other != self:
            raise GridError(
                f"The music is on a grid of {other}; only {self} can be used here: choose other "
                "music."
            )

    @property
    def step_name(self) -> str:
        """What a step is called within a sentence: "sixteenth" where it is one."""
        return "sixteenth" if self.steps_per_beat == COMMON_TIME.steps_per_beat else "step"

    @property
    def steps_per_bar(self) -> int:
        """Steps of a bar."""
        return self.beats_per_bar * self.steps_per_beat

    @property
    def ticks_per_step(self) -> int:
        """MIDI ticks of a step."""
        return TICKS_PER_BEAT // self.steps_per_beat

    def swings(self, steps: ArrayLike) -> NDArray[np.bool_]:
        """Return which steps, counted from a bar line, swing delays.

        That is every second one of a beat; none where a beat has an odd number of steps.
        """
        return np.asarray((np.asarray(steps) % 2 == 1) & (self.steps_per_beat % 2 == 0))

    @property
    def latest_offset(self) -> float:
        """In steps, what an offset that grew too late is cut to: half a step is the next step's."""
        return 0.5 - 0.5 / self.ticks_per_step


COMMON_TIME = Grid()
"""Sixteenths in 4/4, which all models that ship play."""

VELOCITY_LEVELS = 127
"""Loudness levels of a MIDI note; a velocity of 1.0 is level 127."""

MIN_TEMPO_BPM = 20.0
MAX_TEMPO_BPM = 400.0


_MICROSECONDS_PER_MINUTE = 60_000_000
DEFAULT_TEMPO_BPM = 120.0
"""The tempo of a MIDI file until it states one (Standard MIDI Files 1.0)."""
_MAX_MICROSECONDS = 0xFFFFFF


@dataclass(frozen=True)
class TempoMap:
    """The tempos of a piece, each from its place on.

    Parameters
    ----------
    changes
        (beat, microseconds a beat): a beat is a quarter note, counted from 0 as a float, and
        a tempo is what MIDI can state, 1 to 16,777,215. They are sorted; of several at one
        beat the later counts, and a tempo that is stated again is left out. The first holds
        from beat 0 on; 120 bpm by default.

    A tempo map may go where a groove cannot: a fermata at 15 bpm is kept as it is.
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
        """Return the map of one tempo, rounded to whole microseconds a beat."""
        return cls(((0.0, round(_MICROSECONDS_PER_MINUTE / tempo_bpm)),))

    @property
    def is_steady(self) -> bool:
        """Whether there is one tempo throughout."""
        return len(self.changes) == 1

    @property
    def tempos_bpm(self) -> tuple[float, ...]:
        """The tempo of each change, in the order of time."""
        return tuple(_MICROSECONDS_PER_MINUTE / microseconds for _, microseconds in self.changes)

    def tempo_bpm_at(self, beat: float) -> float:
        """Return the tempo that holds from `beat` on."""
        index = bisect_right([start for start, _ in self.changes], beat) - 1
        return self.tempos_bpm[max(index, 0)]

    def seconds_at(self, beats: ArrayLike) -> NDArray[np.float64]:
        """Return when the places sound, in seconds from beat 0; beats may be negative."""
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
        """Return the tempos from one place to before another, counted from the first."""
        held = (0.0, round(_MICROSECONDS_PER_MINUTE / self.tempo_bpm_at(start_beat)))
        later = (
            (beat - start_beat, microseconds)
            for beat, microseconds in self.changes
            if start_beat < beat < end_beat
        )
        return TempoMap((held, *later))

    def main_tempo_bpm(self, n_beats: float) -> float:
        """Return the tempo of most of the first `n_beats` beats, within a groove's limits.

        Tempos that round to the same whole number count as one, and the longest of them is
        returned; of equally long ones the earliest. Where every tempo is too slow or too
        fast for a groove, it is the limit next to the tempo of most beats.
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
    """Bars of one metre, from one place to before another, in quarter notes."""

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
        """Whether its bars, or as many of them as one takes, are bars of so many quarters."""
        is_compound = self.unit >= 8 and self.beats % 3 == 0
        bars = (self.quarters_per_bar, beats_per_bar)
        return not is_compound and max(bars) % min(bars) == 0


@dataclass(frozen=True)
class MetreMap:
    """The metres that a file states.

    Parameters
    ----------
    changes
        (beat, beats of a bar, their unit): from which quarter note on, counted from 0, in any
        order; of several at one place the later counts.
    """

    changes: tuple[tuple[float, int, int], ...] = ()

    def _sections(self) -> Iterator[_Section]:
        latest = {beat: (beats, unit) for beat, beats, unit in self.changes}
        for (start, metre), (end, _) in pairwise((*sorted(latest.items()), (np.inf, (0, 0)))):
            yield _Section(start, end, *metre)

    def beats_per_bar(self, n_beats: float) -> int:
        """Return the quarters of the bars of most of the first `n_beats` beats, 4 by default.

        Of metres that fill bars of 4/4 that is 4, of those that no grid has as well.
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
        """Return where bars are cut off by another metre before they are so long, with its name."""
        return [
            (one.start, one.end, one.metre)
            for one in self._sections()
            if one.end - one.start < beats_per_bar
        ]

    def check(self, beats_per_bar: int, n_beats: float) -> list[str]:
        """Return what to say of metres that are read as bars of so many quarters.

        Raises
        ------
        MidiError
            If the bars of the first `n_beats` beats cannot all be read so.
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
            remarks[one.metre] = f"What is in {one.metre} is read in bars of {beats_per_bar}/4."
        return list(remarks.values())
