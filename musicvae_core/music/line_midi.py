"""MIDI bytes to `Line` and `Piece`: the melody of a file, or its melody, bass and drums."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from musicvae_core.errors import MidiError, NoMelodyError
from musicvae_core.music.drums import DRUMS
from musicvae_core.music.grid import (
    COMMON_TIME,
    VELOCITY_LEVELS,
    Grid,
)
from musicvae_core.music.line import Line, Note
from musicvae_core.music.midi.maps import list_names, number_repeats, program_name
from musicvae_core.music.midi.read import read_midi
from musicvae_core.music.midi.scan import read_bytes, scan_midi
from musicvae_core.music.midi.tracks import (
    DRUM_CHANNEL,
    ScannedMidi,
    ScannedTrack,
    drop_short_bars,
    list_instruments,
)
from musicvae_core.music.piece import BASS, MELODY, Part, Piece

_BASS_PROGRAMS = range(32, 40)
_BASS_WORDS = re.compile(r"bass(?!oon)|tuba", re.IGNORECASE)
_LEAD_WORDS = re.compile(r"melod|lead|voice|vocal|solo", re.IGNORECASE)
_MAX_CHORD_SHARE = 0.1
"""A part with a larger share of simultaneous notes plays chords, not a melody."""


@dataclass(frozen=True)
class LineReading:
    """A line, and what happened to the notes of its part.

    Parameters
    ----------
    line
        The melody.
    track
        The name of the part it was read from.
    n_notes
        Notes of that part: the sum of `line.n_notes` and the values of `dropped`.
    dropped
        The number of notes left out, by a reason to show to the user.
    n_shortened
        Notes cut short because the next one starts.
    onset_steps, pitches, is_on_grid
        (n_notes,) for all notes of the part: step, pitch, and whether the note starts exactly on
        its step.
    """

    line: Line
    track: str
    n_notes: int
    dropped: Mapping[str, int]
    n_shortened: int
    onset_steps: NDArray[np.int64]
    pitches: NDArray[np.int64]
    is_on_grid: NDArray[np.bool_]

    @property
    def summary(self) -> str:
        """What was read, dropped and shortened, in a sentence."""
        parts = [f"{self.line.n_notes} of {self.n_notes} notes of {self.track} read"]
        parts += [f"{count} dropped ({reason})" for reason, count in self.dropped.items()]
        if self.n_shortened:
            parts.append(f"{self.n_shortened} cut short where the next begins")
        return "; ".join(parts) + "."


@dataclass(frozen=True)
class _PieceReading:
    """A piece, and what happened to the notes of its file.

    Parameters
    ----------
    piece
        Those of the parts `melody`, `bass` and `drums` that the file has.
    tracks
        The name of the track that each line was read from.
    summaries
        What was read, dropped and shortened, in a few sentences for each part.
    """

    piece: Piece
    tracks: Mapping[str, str]
    summaries: Mapping[str, str]

    @property
    def summary(self) -> str:
        """What was read, in a few sentences."""
        return " ".join(self.summaries.values())


@dataclass(frozen=True)
class _Part:
    """The notes of one channel of one track, (n, 4): start tick, end tick, pitch, level."""

    name: str
    program: int
    notes: NDArray[np.int64]

    @property
    def chord_share(self) -> float:
        """Share of the notes that start together with another."""
        return 1 - len(np.unique(self.notes[:, 0])) / len(self.notes)

    @property
    def mean_pitch(self) -> float:
        """Mean pitch of the notes."""
        return float(self.notes[:, 2].mean())


def read_line(
    source: bytes | Path, *, track: int | str | None = None, grid: Grid | None = COMMON_TIME
) -> LineReading:
    """Read the melody of a MIDI file.

    Parameters
    ----------
    source
        The bytes of a standard MIDI file, or its path.
    track
        One of `NoMelodyError.tracks`, or its index as a number or text. By default the part with
        the highest mean pitch among those that play few chords; never channel 10.
    grid
        The grid to quantise to; the file must be in its metre, or in one whose bars can be
        regrouped into it. None for the file's own metre, with 4, 6, 8 or 12 steps per beat: the
        first on which most notes start.

    Returns
    -------
    LineReading
        Onsets and ends move to the nearest step, or the later one if halfway. A note lasts at
        least one step, and ends where the next one starts. Of several notes on one step, the
        highest is kept. The line lasts from tick 0 to the end of its last note's bar.

    Raises
    ------
    MidiError
        As `scan_midi`; also if no pitched instrument plays. `NoMelodyError` if all of them play
        chords and none was chosen, or there is no such track.
    """
    scanned = scan_midi(read_bytes(source) if isinstance(source, Path) else source)
    grids = [grid] if grid else scanned.candidate_grids()
    scanned = drop_short_bars(scanned, grids[0].beats_per_bar)
    part = _choose(_parts(scanned), track)
    readings = (_read_part(scanned, part, each) for each in grids)
    return max(readings, key=lambda reading: reading.is_on_grid.sum())


def read_piece(
    source: bytes | Path,
    *,
    tracks: Mapping[str, int | str] | None = None,
    grid: Grid = COMMON_TIME,
) -> _PieceReading:
    """Read the melody, bass and drums of a MIDI file, as far as it has them.

    Parameters
    ----------
    source
        The bytes of a standard MIDI file, or its path.
    tracks
        Which of `NoMelodyError.tracks` is the `melody`, and which the `bass`. By default, the bass
        is the lowest part named bass; failing that, the lowest with a bass program; failing that,
        the lowest of several. The melody is chosen from the rest: a part named melody, lead or
        voice; failing that, as `read_line` does.
    grid
        As `read_line`.

    Returns
    -------
    _PieceReading
        Its parts start at tick 0 and last to the end of the longest, or to the bar line on which
        the file ends. See `read_line` and `read_midi`.

    Raises
    ------
    MidiError
        As `read_line` and `read_midi`; also if there is no part at all.
    """
    data = read_bytes(source) if isinstance(source, Path) else source
    scanned = drop_short_bars(scan_midi(data), grid.beats_per_bar)
    instruments = list_instruments(scanned)
    drum_names = {one.name for one in instruments if one.is_named_drums}
    has_drums = bool(drum_names) or any(one.is_on_drum_channel for one in instruments)
    lines = [part for part in _parts(scanned) if part.name not in drum_names]
    chosen = _choose_lines(lines, tracks or {})
    readings = {name: _read_part(scanned, part, grid) for name, part in chosen.items()}
    parts: dict[str, Part] = {name: reading.line for name, reading in readings.items()}
    summaries = {name: reading.summary for name, reading in readings.items()}
    if has_drums:
        drums = read_midi(data, grid=grid)
        parts[DRUMS], summaries[DRUMS] = drums.groove, drums.notes_summary
    if not parts:
        raise MidiError("The file holds no note. Choose another file, or record into it.")
    n_bars = max(part.n_bars for part in parts.values())
    n_bars = scanned.last_bar_line(n_bars, grid.beats_per_bar) or n_bars
    tempo_bpm = scanned.tempo_map.main_tempo_bpm(grid.beats_per_bar * n_bars)
    padded = {name: part.padded(n_bars) for name, part in parts.items()}
    return _PieceReading(
        Piece.together(padded, tempo_bpm), {n: r.track for n, r in readings.items()}, summaries
    )


def _choose_lines(parts: list[_Part], tracks: Mapping[str, int | str]) -> dict[str, _Part]:
    """Choose the melody and the bass among pitched parts, as far as there are any."""
    unknown = set(tracks) - {MELODY, BASS}
    if unknown:
        raise NoMelodyError(f"A track can be the {MELODY} or the {BASS}, not {min(unknown)}.")
    given = {name: _choose(parts, track) for name, track in tracks.items()}
    left = [part for part in parts if all(part is not one for one in given.values())]
    if BASS not in given and left:
        named = [part for part in left if _BASS_WORDS.search(part.name)]
        named = named or [part for part in left if part.program in _BASS_PROGRAMS]
        alone = len(left) == 1 and MELODY not in given
        if named or not alone:
            given[BASS] = min(named or left, key=lambda part: part.mean_pitch)
            left = [part for part in left if part is not given[BASS]]
    if MELODY not in given and left:
        given[MELODY] = _choose(
            [part for part in left if _LEAD_WORDS.search(part.name)] or left, None
        )
    return {name: given[name] for name in (MELODY, BASS) if name in given}


def _read_part(scanned: ScannedMidi, part: _Part, grid: Grid) -> LineReading:
    """Quantise a part to a single line; see `read_line`."""
    resolution = scanned.ticks_per_beat
    starts, ends, pitches, levels = part.notes.T
    steps = _to_steps(starts, resolution, grid)
    kept = _highest(part, steps)
    onsets = steps[kept]
    lengths = np.maximum(_to_steps(ends[kept], resolution, grid) - onsets, 1)
    room = np.append(np.diff(onsets), lengths[-1])
    n_bars = int(onsets[-1] + lengths[-1] - 1) // grid.steps_per_bar + 1
    notes = map(
        Note, onsets, np.minimum(lengths, room), pitches[kept], levels[kept] / VELOCITY_LEVELS
    )
    scanned.metre_map.check(grid.beats_per_bar, n_bars * grid.beats_per_bar)
    tempo_bpm = scanned.tempo_map.main_tempo_bpm(grid.beats_per_bar * n_bars)
    return LineReading(
        Line.from_notes(notes, n_bars, tempo_bpm, part.program, grid),
        track=part.name,
        n_notes=len(starts),
        dropped=_count_dropped(part, kept, grid),
        n_shortened=int((lengths > room).sum()),
        onset_steps=steps,
        pitches=pitches,
        is_on_grid=grid.steps_per_beat * starts % resolution == 0,
    )


def _parts(scanned: ScannedMidi) -> list[_Part]:
    """Return the part of each channel of each track, except the drum channel."""
    parts = []
    for track in scanned.tracks:
        for channel in sorted({note.channel for note in track.notes} - {DRUM_CHANNEL}):
            program = track.programs.get(channel, 0)
            name = track.name or program_name(program)
            parts.append(_Part(name, program, _notes(track, channel)))
    names = number_repeats([part.name for part in parts])
    return [replace(part, name=name) for part, name in zip(parts, names, strict=True)]


def _notes(track: ScannedTrack, channel: int) -> NDArray[np.int64]:
    """Return (n, 4) start tick, end tick, pitch and level, in order of time.

    A note ends at the first release of its pitch, when the pitch is played again, or at the end of
    the track.
    """
    events = [
        (note.tick, 1, note.pitch, note.velocity) for note in track.notes if note.channel == channel
    ]
    events += [
        (tick, 0, pitch, 0) for tick, of_channel, pitch in track.releases if of_channel == channel
    ]
    events.sort(key=lambda event: event[:2])  # at one tick a release comes first
    open_notes: dict[int, list[int]] = {}
    notes: list[list[int]] = []
    for tick, begins, pitch, level in events:
        if pitch in open_notes:
            open_notes.pop(pitch)[1] = tick
        if begins:
            notes.append([tick, track.end_tick, pitch, level])
            open_notes[pitch] = notes[-1]
    return np.array(notes, np.int64)


def _choose(parts: list[_Part], track: int | str | None) -> _Part:
    """Return the chosen part, or the highest that plays few chords."""
    if not parts:
        raise MidiError("No pitched instrument plays in the file. Choose another file.")
    names = tuple(part.name for part in parts)
    if track is None:
        lines = [part for part in parts if part.chord_share <= _MAX_CHORD_SHARE]
        if lines:
            return max(lines, key=lambda part: part.mean_pitch)
        raise NoMelodyError(
            "Every instrument of the file plays chords. Choose a track, and its highest notes "
            f"are read as the melody: {list_names(names)}.",
            names,
        )
    choices: dict[int | str, _Part] = dict(enumerate(parts))
    choices |= {str(index): part for index, part in enumerate(parts)}
    choices |= zip(names, parts, strict=True)  # a name counts before a number
    if track not in choices:
        raise NoMelodyError(
            f"The file has no track {track!r}. Choose one of: {list_names(names)}.", names
        )
    return choices[track]


def _to_steps(ticks: NDArray[np.int64], ticks_per_beat: int, grid: Grid) -> NDArray[np.int64]:
    """Return the nearest steps, floor(position + 0.5), in integer arithmetic."""
    return (2 * grid.steps_per_beat * ticks + ticks_per_beat) // (2 * ticks_per_beat)


def _highest(part: _Part, steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the index of the highest note on each step; the earliest if several are equal."""
    starts, _, pitches, _ = part.notes.T
    order = np.lexsort((starts, -pitches, steps))
    _, first = np.unique(steps[order], return_index=True)
    return order[first]


def _count_dropped(part: _Part, kept: NDArray[np.int64], grid: Grid) -> Mapping[str, int]:
    """Count the notes dropped in favour of a higher one, by reason."""
    starts = part.notes[:, 0]
    lower = np.delete(np.arange(len(starts)), kept)
    _, which, sizes = np.unique(starts, return_inverse=True, return_counts=True)
    n_chord = int((sizes[which][lower] > 1).sum())
    counts = {
        "lower notes of a chord": n_chord,
        f"on the same {grid.step_name} as another": len(lower) - n_chord,
    }
    return MappingProxyType({reason: count for reason, count in counts.items() if count})
