"""The contents of a MIDI file: its tracks, which of them are drums, and its bars."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from musicvae_core.errors import MidiError, NoDrumsError
from musicvae_core.music.grid import Grid, MetreMap, TempoMap
from musicvae_core.music.midi.maps import STANDARD, list_names, number_repeats, program_name

DRUM_CHANNEL = 9
"""Channel 10 when counted from 1."""
MAX_SILENT_END_BARS = 2
"""If more silent bars follow the last hit, the groove ends with that hit's bar."""

TrackChoice = int | str | Sequence[int | str]
"""One track or several, by name or number."""

_DRUM_WORDS = re.compile(
    r"(?<![a-z])(drum ?(s|kit|set|track|machine)?|kit|perc(ussions?)?|batter(ia|ie|y)|bater[ií]a"
    r"|schlagzeug|slagwerk|trommeln?)(?![a-z])",
    re.IGNORECASE,
)
_PITCHED_WORDS = re.compile(
    r"bass(?! ?drum)|piano|guitar|gtr|synth|lead|pad|string|organ|vocal|voice|choir|melod|chord"
    r"|key|brass|horn|sax|trump|flute|violin|cello|harp|bell|steel|arp|left|right|hand",
    re.IGNORECASE,
)
_FEW_PITCHES = 3
_MELODIC_PROGRAMS = range(1, 112)
"""Programs, from 0, that are neither the default nor percussion."""


class ScannedNote(NamedTuple):
    """The start of a note."""

    tick: int
    channel: int
    pitch: int
    velocity: int


@dataclass
class ScannedTrack:
    """The events of one track, in file order, and the last program of each channel.

    `releases` are the note ends (tick, channel, pitch), which drums do not need. `pedals` are
    (tick, channel, value) of controller 4, the hi-hat pedal. `tempos` are (tick, microseconds per
    beat), `metres` (tick, beats, unit). `last_event_tick` is that of the last note or controller,
    negative if there is none; `loop_end_tick` is that of a `loopEnd` marker, which game music and
    `write_midi` use, or 0.
    """

    name: str = ""
    notes: list[ScannedNote] = field(default_factory=list)
    releases: list[tuple[int, int, int]] = field(default_factory=list)
    pedals: list[tuple[int, int, int]] = field(default_factory=list)
    programs: dict[int, int] = field(default_factory=dict)
    tempos: list[tuple[int, int]] = field(default_factory=list)
    metres: list[tuple[int, int, int]] = field(default_factory=list)
    last_event_tick: int = -2
    end_tick: int = 0
    loop_end_tick: int = 0

    def ends_on(self, bar_line_tick: int, tolerance: int) -> bool:
        """Whether the track ends on a bar line, or intentionally within `tolerance` ticks of it.

        A track that ends with its last note or controller, as recordings do, ends there by
        accident.
        """
        ends_by_accident = 0 <= self.end_tick - self.last_event_tick <= 1
        if self.end_tick == bar_line_tick or (
            ends_by_accident and self.last_event_tick == bar_line_tick == self.end_tick - 1
        ):
            return True
        return not ends_by_accident and abs(self.end_tick - bar_line_tick) <= tolerance


@dataclass(frozen=True)
class ScannedMidi:
    """The contents of a MIDI file, with every time in ticks from its start.

    Parameters
    ----------
    ticks_per_beat
        Ticks in a quarter note, 1 to 32767.
    tracks
        In file order.
    remarks
        A sentence for everything that was lost or interpreted.
    """

    ticks_per_beat: int
    tracks: tuple[ScannedTrack, ...]
    remarks: tuple[str, ...] = ()

    @property
    def tempo_map(self) -> TempoMap:
        """The tempos of all tracks."""
        return TempoMap(
            tuple(
                (tick / self.ticks_per_beat, microseconds)
                for track in self.tracks
                for tick, microseconds in track.tempos
            )
        )

    @property
    def loop_end_tick(self) -> int:
        """The tick of the `loopEnd` marker; 0 without one."""
        return max(track.loop_end_tick for track in self.tracks)

    def last_bar_line(self, n_bars: int, beats_per_bar: int) -> int | None:
        """Return the bar line on which the file ends, at bar `n_bars` or later.

        That is the `loopEnd` marker, or the last bar line on which a track ends (within a 32nd
        note), up to two bars later; None if there is neither.
        """
        ticks_per_bar = beats_per_bar * self.ticks_per_beat
        if self.loop_end_tick % ticks_per_bar == 0 and self.loop_end_tick > 0:
            return max(self.loop_end_tick // ticks_per_bar, n_bars, 1)
        bar_lines = set()
        for track in self.tracks:
            bar_line = (2 * track.end_tick + ticks_per_bar) // (2 * ticks_per_bar)
            if track.ends_on(bar_line * ticks_per_bar, self.ticks_per_beat // 8):  # a 32nd
                bar_lines.add(bar_line)
        within = [bar for bar in bar_lines if max(n_bars, 1) <= bar <= n_bars + MAX_SILENT_END_BARS]
        return max(within, default=None)

    @property
    def metre_map(self) -> MetreMap:
        """The metres of all tracks."""
        return MetreMap(
            tuple(
                (tick / self.ticks_per_beat, beats, unit)
                for track in self.tracks
                for tick, beats, unit in track.metres
            )
        )

    def candidate_grids(self) -> list[Grid]:
        """Return the grids to try for the file, most common first: its metre and 4 to 12 steps."""
        ticks = (note.tick for track in self.tracks for note in track.notes)
        n_beats = max(ticks, default=0) / self.ticks_per_beat
        beats_per_bar = self.metre_map.beats_per_bar(n_beats)
        return [Grid(beats_per_bar, steps_per_beat) for steps_per_beat in (4, 6, 8, 12)]


@dataclass(frozen=True)
class _Instrument:
    """The notes of one channel of one track, in file order; there is at least one.

    `title` is the track's name if it plays only on that channel, else empty.
    """

    name: str
    title: str
    channel: int
    program: int | None
    notes: list[ScannedNote]
    pedals: list[tuple[int, int]]

    @property
    def is_on_drum_channel(self) -> bool:
        """Whether the file marks these notes as drums."""
        return self.channel == DRUM_CHANNEL

    @property
    def is_named_drums(self) -> bool:
        """Whether its title names drums, such as Drums, Kit 2 or Percussion."""
        return bool(_DRUM_WORDS.search(self.title)) and "steel" not in self.title.casefold()

    @property
    def is_named_otherwise(self) -> bool:
        """Whether its title or program is that of a pitched instrument."""
        return bool(_PITCHED_WORDS.search(self.title)) or self.program in _MELODIC_PROGRAMS

    @property
    def plays_only_kit_pitches(self) -> bool:
        """Whether every note has the pitch of a voice."""
        return all(note.pitch in STANDARD.voices for note in self.notes)

    @property
    def plays_like_drums(self) -> bool:
        """Whether it plays few pitches, or several at once; a bass line does neither."""
        pitches = {note.pitch for note in self.notes}
        return len(pitches) <= _FEW_PITCHES or len({n.tick for n in self.notes}) < len(self.notes)


@dataclass(frozen=True, eq=False)
class DrumNotes:
    """The notes to read as drums: (n,) arrays, n at least 1, in file order.

    Parameters
    ----------
    ticks
        (n,) int64, from the start of the file.
    pitches, velocities
        (n,) int64 in 0 to 127 and 1 to 127.
    pedals
        (n,) int64: the value of controller 4, 0 to 127; −1 before the first.
    n_elsewhere
        The number of notes of other instruments.
    remark
        Which tracks these are, if they are not on the drum channel.
    """

    ticks: NDArray[np.int64]
    pitches: NDArray[np.int64]
    velocities: NDArray[np.int64]
    pedals: NDArray[np.int64]
    n_elsewhere: int
    remark: str = ""


def find_drums(
    scanned: ScannedMidi,
    choice: TrackChoice | None,
    voices: Iterable[int] = STANDARD.voices,
    *,
    channel_10_first: bool = False,
) -> DrumNotes:
    """Return the drum notes of a file.

    Parameters
    ----------
    scanned
        The file.
    choice
        Tracks to read as drums, by name or number. By default channel 10; failing that, the tracks
        named drums; failing that, those that play only kit pitches.
    voices
        The pitches that can be read; tracks with none of them are considered last.
    channel_10_first
        Whether `choice` applies only to files with nothing on channel 10.

    Raises
    ------
    MidiError
        If the file has no notes.
    NoDrumsError
        If no drums are found, or no track has the given name or number.
    """
    instruments = list_instruments(scanned)
    if not instruments:
        raise MidiError("The file holds no note. Choose another file, or record into it.")
    if channel_10_first and any(one.is_on_drum_channel for one in instruments):
        choice = None
    if choice is not None:
        chosen = _choose(instruments, choice)
    else:
        chosen = _find(instruments, frozenset(voices))
    notes = [note for one in chosen for note in one.notes]
    columns = np.array(notes, np.int64).T
    return DrumNotes(
        columns[0],
        columns[2],
        columns[3],
        np.concatenate([_pedal_at(one) for one in chosen]),
        sum(len(one.notes) for one in instruments) - len(notes),
        "" if choice is None and chosen[0].is_on_drum_channel else _remark(chosen),
    )


def list_instruments(scanned: ScannedMidi) -> list[_Instrument]:
    """Return the instrument of each channel of each track, those on channel 10 last."""
    instruments = []
    for track in scanned.tracks:
        notes_of: dict[int, list[ScannedNote]] = {}
        for note in track.notes:
            notes_of.setdefault(note.channel, []).append(note)
        pedals_of: dict[int, list[tuple[int, int]]] = {}
        for tick, channel, value in track.pedals:
            pedals_of.setdefault(channel, []).append((tick, value))
        title = track.name if len(notes_of) == 1 else ""
        for channel, notes in sorted(notes_of.items()):
            program, pedals = track.programs.get(channel), pedals_of.get(channel, [])
            on_drums = channel == DRUM_CHANNEL
            name = title or ("Channel 10" if on_drums else program_name(program or 0))
            instruments.append(_Instrument(name, title, channel, program, notes, pedals))
    instruments.sort(key=lambda one: one.is_on_drum_channel)
    names = number_repeats(one.name for one in instruments)
    return [replace(one, name=name) for one, name in zip(instruments, names, strict=True)]


def _find(instruments: list[_Instrument], voices: frozenset[int]) -> list[_Instrument]:
    """Return the instruments that are most likely drums."""
    named = [one for one in instruments if one.is_named_drums]
    on_channel = [one for one in instruments if one.is_on_drum_channel]
    candidates = [on_channel, named, _kit_like(instruments)]
    for group in candidates:
        if any(note.pitch in voices for one in group for note in one.notes):
            return group
    for group in candidates:
        if group:
            return group
    names = tuple(one.name for one in instruments)
    raise NoDrumsError(
        "No note is on the drum channel (10), no track is named drums, and none plays the "
        f"pitches of a kit alone. Choose tracks to read as drums: {list_names(names)}.",
        names,
    )


def _kit_like(instruments: list[_Instrument]) -> list[_Instrument]:
    """Return those that play only kit pitches and, among several instruments, look like drums."""
    alone = len(instruments) == 1
    return [
        one
        for one in instruments
        if one.plays_only_kit_pitches
        and not one.is_named_otherwise
        and (alone or one.plays_like_drums)
    ]


def _choose(instruments: list[_Instrument], choice: TrackChoice) -> list[_Instrument]:
    """Return the instruments with the given names or numbers, without duplicates."""
    names = tuple(one.name for one in instruments)
    choices: dict[int | str, int] = {index: index for index in range(len(instruments))}
    choices |= {str(index): index for index in range(len(instruments))}
    choices |= {name: index for index, name in enumerate(names)}  # a name counts before a number
    wanted = [choice] if isinstance(choice, int | str) else list(choice)
    missing = [one for one in wanted if one not in choices]
    if missing or not wanted:
        what = ", ".join(repr(one) for one in missing)
        raise NoDrumsError(
            f"The file has no track {what} to read as drums. Choose one of: {list_names(names)}.",
            names,
        )
    return [instruments[index] for index in dict.fromkeys(choices[one] for one in wanted)]


def _pedal_at(instrument: _Instrument) -> NDArray[np.int64]:
    """Return the value of controller 4 at each note."""
    pedals = sorted(instrument.pedals, key=itemgetter(0))
    ticks = [tick for tick, _ in pedals]
    places = [bisect_right(ticks, note.tick) - 1 for note in instrument.notes]
    return np.array([pedals[at][1] if at >= 0 else -1 for at in places], np.int64)


def _remark(chosen: list[_Instrument]) -> str:
    """Return a sentence on which tracks are read as drums."""
    names = list_names([one.name for one in chosen])
    if len(chosen) == 1:
        return f"Track {names} is read as drums."
    return f"{len(chosen)} tracks are read together as drums: {names}."


def drop_short_bars(scanned: ScannedMidi, beats_per_bar: int) -> ScannedMidi:
    """Return the file without silent bars shorter than `beats_per_bar` quarter notes.

    Some songs start with one, to make room for a pick-up; others are interrupted by one. A note
    up to a 32nd note before the next bar belongs to that bar.
    """
    early, gaps, remarks = scanned.ticks_per_beat // 8, [], []
    for start, end, metre in scanned.metre_map.short_bars(beats_per_bar):
        first, last = (round(beat * scanned.ticks_per_beat) for beat in (start, end))
        ticks = (note.tick for track in scanned.tracks for note in track.notes)
        if not any(first <= tick < last - early for tick in ticks):
            gaps.append((first, last))
            bar = int(start // beats_per_bar) + 1
            remarks.append(f"A silent bar of {metre} before bar {bar} is left out.")
    if not gaps:
        return scanned
    tracks = tuple(_without(track, gaps) for track in scanned.tracks)
    return ScannedMidi(scanned.ticks_per_beat, tracks, (*scanned.remarks, *remarks))


def _without(track: ScannedTrack, gaps: list[tuple[int, int]]) -> ScannedTrack:
    """Return the track with gaps (first tick, tick after) cut out of time.

    Events within a gap move to its start, except for metres, which are dropped.
    """

    def place(tick: int) -> int:
        return tick - sum(min(max(tick - first, 0), end - first) for first, end in gaps)

    kept = [one for one in track.metres if not any(a <= one[0] < b for a, b in gaps)]
    return replace(
        track,
        notes=[note._replace(tick=place(note.tick)) for note in track.notes],
        releases=[(place(tick), channel, pitch) for tick, channel, pitch in track.releases],
        pedals=[(place(tick), channel, value) for tick, channel, value in track.pedals],
        tempos=[(place(tick), microseconds) for tick, microseconds in track.tempos],
        metres=[(place(tick), beats, unit) for tick, beats, unit in kept],
        last_event_tick=place(track.last_event_tick),
        end_tick=place(track.end_tick),
        loop_end_tick=place(track.loop_end_tick),
    )
