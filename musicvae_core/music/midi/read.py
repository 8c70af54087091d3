"""MIDI bytes to `Groove`, with a report on every note.

Positions on the grid are computed from ticks only, so that no tempo change moves a hit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from musicvae_core.errors import MidiError, NoDrumsError
from musicvae_core.music.drums import CLOSED_HAT, N_VOICES, OPEN_HAT, SNARE, VOICES
from musicvae_core.music.grid import (
    COMMON_TIME,
    MAX_TEMPO_BPM,
    MIN_TEMPO_BPM,
    VELOCITY_LEVELS,
    Grid,
    TempoMap,
)
from musicvae_core.music.groove import Groove
from musicvae_core.music.midi.maps import (
    STANDARD,
    DrumMap,
    described_pitch,
    drum_name,
    guess_map,
    maps_with,
)
from musicvae_core.music.midi.scan import read_bytes, scan_midi
from musicvae_core.music.midi.tracks import (
    DrumNotes,
    ScannedMidi,
    TrackChoice,
    drop_short_bars,
    find_drums,
)

_PEDAL_HALF_WAY = 64
_HAT_ARTICULATIONS = (22, 44)
"""Edge and foot: a kit with these marks open hi-hats by pitch."""


@dataclass(frozen=True)
class MidiReading:
    """A groove, and what happened to every note of its file.

    Parameters
    ----------
    groove
        The drums of the file.
    n_notes
        Notes in the file, on all tracks: the sum of `groove.n_hits` and the values of `merged`
        and `dropped`.
    merged
        The number of notes dropped in favour of a louder (or equally loud, earlier) one of the
        same voice on the same step, by drum name.
    dropped
        The number of other notes left out, by a reason to show to the user.
    tempo_map
        The tempos of the file; the groove has the one that most beats have.
    substituted
        The number of percussion notes read as a voice of the kit, by name and voice.
    remarks
        A sentence for everything that was guessed or lost.
    first_bar
        The bar of the file at which `groove` starts, counted from 0.
    """

    groove: Groove
    n_notes: int
    merged: Mapping[str, int]
    dropped: Mapping[str, int]
    tempo_map: TempoMap
    substituted: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    first_bar: int = 0

    @property
    def n_merged(self) -> int:
        """The number of notes merged into a louder one on the same step."""
        return sum(self.merged.values())

    @property
    def n_silent_bars(self) -> int:
        """The number of silent bars before the bar of the first hit."""
        return int(np.flatnonzero(self.groove.hits.any(axis=1))[0]) // self._grid.steps_per_bar

    @property
    def _grid(self) -> Grid:
        return self.groove.grid

    def from_first_hit(self) -> MidiReading:
        """Return the reading without the silent bars at its start."""
        n_silent = self.n_silent_bars
        if not n_silent:
            return self
        return replace(
            self,
            groove=self.groove.bars(n_silent, self.groove.n_bars - n_silent),
            tempo_map=self.tempo_map.section(self._grid.beats_per_bar * n_silent, np.inf),
            first_bar=self.first_bar + n_silent,
        )

    @property
    def summary(self) -> str:
        """What was read, merged, dropped, guessed and lost, and the tempo, in a few sentences."""
        return " ".join([self.notes_summary, *self._tempo_sentences()])

    @property
    def notes_summary(self) -> str:
        """The summary without the tempo."""
        parts = [f"{self.groove.n_hits} of {self.n_notes} notes read"]
        parts += [f"{count} {what}" for what, count in self.substituted.items()]
        parts += [
            f"{count} {what} merged into a louder one on the same {self._grid.step_name}"
            for what, count in self.merged.items()
        ]
        parts += [f"{count} dropped ({reason})" for reason, count in self.dropped.items()]
        sentences = ["; ".join(parts) + ".", *self.remarks]
        first = self.first_bar + self.n_silent_bars
        if first:
            sentences.append(f"It starts at bar {first + 1}.")
        return " ".join(sentences)

    def _tempo_sentences(self) -> list[str]:
        """Return a remark if the groove cannot be played at the file's own tempos."""
        tempos = self.tempo_map.tempos_bpm
        plays = f"the groove plays at {self.groove.tempo_bpm:.4g} bpm."
        if len(tempos) > 1:
            span = f"between {min(tempos):.4g} and {max(tempos):.4g} bpm"
            times = "once" if len(tempos) == 2 else f"{len(tempos) - 1} times"
            return [f"The tempo changes {times}, {span}; {plays}"]
        if not MIN_TEMPO_BPM <= tempos[0] <= MAX_TEMPO_BPM:
            return [f"The file is at {tempos[0]:.4g} bpm; {plays}"]
        return []


def read_midi(
    source: bytes | Path,
    *,
    treat_as_drums: TrackChoice | None = None,
    drum_map: DrumMap | None = None,
    channel_10_first: bool = False,
    grid: Grid | None = COMMON_TIME,
) -> MidiReading:
    """Read the drums of a MIDI file as a groove.

    Parameters
    ----------
    source
        The bytes of a standard MIDI file, or its path.
    treat_as_drums
        Tracks to read, by name or number, as listed in `NoDrumsError.tracks`; a track whose name
        is a number can be given by name. For the default see `find_drums`.
    drum_map
        The voice of each pitch. By default General MIDI, unless most pitches fit only the map of
        one sampler.
    channel_10_first
        Whether `treat_as_drums` applies only to files with nothing on channel 10; for reading many
        files the same way.
    grid
        The grid to quantise to; the file must be in its metre, or in one whose bars can be
        regrouped into it. None for the file's own metre, with 4, 6, 8 or 12 steps per beat: the
        first on which the fewest notes collide.

    Returns
    -------
    MidiReading
        A hit belongs to the nearest step, or the later one if halfway. The groove lasts from tick
        0 to the end of the last hit's bar, or up to two bars longer if a track ends on a bar line
        (within a 32nd note). Such a file is a loop: a hit just before its end becomes an early
        first hit, at step 0 with a negative offset; if that cell is taken, it stays on the last
        step, late. Silent bars shorter than the others, such as pick-up bars, are left out.
        Hi-hats can be opened by controller 4, see `_open_by_pedal`. The tempo is the one that most
        beats have.

    Raises
    ------
    MidiError
        As `read_bytes`, `scan_midi` and `find_drums`; also if no note has a voice, or the drums are
        in a different metre from the grid's.
    """
    scanned = scan_midi(read_bytes(source) if isinstance(source, Path) else source)
    grids = [grid] if grid else scanned.candidate_grids()
    scanned = drop_short_bars(scanned, grids[0].beats_per_bar)
    notes = find_drums(
        scanned,
        treat_as_drums,
        (drum_map or STANDARD).voices,
        channel_10_first=channel_10_first,
    )
    guessed = guess_map(notes.pitches.tolist()) if drum_map is None else None
    chosen = drum_map or guessed or STANDARD
    remarks = [remark for remark in (notes.remark,) if remark]
    if guessed:
        remarks.append(f"Most pitches fit only the drum map of {guessed.name}, so it is used.")
    voices, pedal_remark = _open_by_pedal(notes, _voices_of(chosen)[notes.pitches])
    if not (voices >= 0).any():
        raise MidiError(_no_voice_sentence(notes, chosen, drum_map is None))
    unread = np.unique(notes.pitches[voices < 0]).tolist()
    if drum_map is None and not guessed and (clauses := maps_with(unread)):
        remarks.append(f"Other drum maps have voices for these pitches: {'; '.join(clauses)}.")
    remarks += pedal_remark
    readings = (_to_reading(scanned, notes, voices, chosen, remarks, each) for each in grids)
    return min(readings, key=lambda reading: reading.n_merged)


def read_rhythm(
    source: bytes | Path, *, track: TrackChoice | None = None, grid: Grid = COMMON_TIME
) -> MidiReading:
    """Read all notes of a track, of any pitch, as the rhythm of one voice.

    Parameters
    ----------
    source
        As `read_midi`.
    track
        As `read_midi`'s `treat_as_drums`; by default the drums, or the only track.
    grid
        As `read_midi`.

    Returns
    -------
    MidiReading
        As `read_midi`; its groove has only snare hits.

    Raises
    ------
    MidiError
        As `read_midi`; `NoDrumsError` if `track` is None and there are several tracks, none of them
        drums.
    """
    scanned = scan_midi(read_bytes(source) if isinstance(source, Path) else source)
    scanned = drop_short_bars(scanned, grid.beats_per_bar)
    try:
        notes = find_drums(scanned, track, range(128))
    except NoDrumsError as error:
        if track is not None or len(error.tracks) != 1:
            raise
        notes = find_drums(scanned, 0)
    remarks = [notes.remark.replace("drums", "a rhythm")] if notes.remark else []
    voices = np.full(len(notes.pitches), SNARE)
    return _to_reading(scanned, notes, voices, DrumMap("rhythm", {}), remarks, grid)


def _voices_of(drum_map: DrumMap) -> NDArray[np.int64]:
    """Return the voice of each pitch, (128,); −1 for none."""
    return np.array([drum_map.voices.get(pitch, -1) for pitch in range(128)])


def _open_by_pedal(
    notes: DrumNotes, voices: NDArray[np.int64]
) -> tuple[NDArray[np.int64], list[str]]:
    """Open the hi-hats that are hit with the pedal up, if the file marks them with controller 4.

    Such a file uses neither the pitch of open hi-hats nor an electronic kit's pitches for foot and
    edge, and it has hi-hat hits both above and below the controller's middle; high is open.
    """
    told_by_pitch = (voices == OPEN_HAT).any() or np.isin(notes.pitches, _HAT_ARTICULATIONS).any()
    pedalled = (voices == CLOSED_HAT) & (notes.pedals >= 0)
    opened = pedalled & (notes.pedals >= _PEDAL_HALF_WAY)
    count, n_pedalled = int(opened.sum()), int(pedalled.sum())
    if told_by_pitch or not 0 < count < n_pedalled:
        return voices, []
    remark = f"{count} of {n_pedalled} hi-hats are open by controller 4."
    return np.where(opened, OPEN_HAT, voices), [remark]


def _no_voice_sentence(notes: DrumNotes, drum_map: DrumMap, was_not_chosen: bool) -> str:
    """Return a message for a file in which no pitch has a voice: its pitches, and what to do."""
    names = [described_pitch(pitch) for pitch in np.unique(notes.pitches).tolist()]
    clauses = maps_with(notes.pitches.tolist()) if was_not_chosen else []
    others = f" Drum maps in which they are voices: {'; '.join(clauses)}." if clauses else ""
    return (
        f"None of the {len(notes.pitches)} notes is one of the nine voices "
        f"({', '.join(VOICES)}) in the drum map {drum_map.name}: the file plays "
        f"{', '.join(names[:8])}{' and others' if len(names) > 8 else ''}. Choose another drum "
        f"map, or write one with lines like '{int(notes.pitches[0])} = high tom'.{others}"
    )


def _to_reading(
    scanned: ScannedMidi,
    notes: DrumNotes,
    voices: NDArray[np.int64],
    drum_map: DrumMap,
    remarks: list[str],
    grid: Grid,
) -> MidiReading:
    """Quantise the notes, and count what happened to them."""
    groove, kept = _quantise(notes, voices, scanned, grid)
    n_beats = groove.n_bars * grid.beats_per_bar
    metre_remarks = scanned.metre_map.check(grid.beats_per_bar, n_beats)
    merged, substituted = Counter[str](), Counter[str]()
    for pitch, voice, is_kept in zip(notes.pitches.tolist(), voices.tolist(), kept, strict=True):
        if voice < 0:
            continue
        percussion = drum_map.substitute(pitch)
        if percussion:
            substituted[f"{percussion} read as {VOICES[voice]}"] += 1
        if not is_kept:
            merged[percussion or VOICES[voice]] += 1
    return MidiReading(
        groove,
        n_notes=len(notes.pitches) + notes.n_elsewhere,
        merged=MappingProxyType(merged),
        dropped=_count_dropped(notes, voices, drum_map),
        tempo_map=scanned.tempo_map.section(0, n_beats),
        substituted=MappingProxyType(substituted),
        remarks=(*remarks, *metre_remarks, *scanned.remarks),
    )


def _count_dropped(
    notes: DrumNotes, voices: NDArray[np.int64], drum_map: DrumMap
) -> Mapping[str, int]:
    """Count the notes without a voice, by pitch and name, and those of other instruments."""
    dropped: dict[str, int] = {}
    for pitch, count in sorted(Counter(notes.pitches[voices < 0].tolist()).items()):
        name = drum_name(pitch) or "not a General MIDI drum"
        known = f", {name}" if drum_map.is_general_midi else f" in {drum_map.name}"
        dropped[f"no voice for pitch {pitch}{known}"] = count
    if notes.n_elsewhere:
        dropped["played by another instrument"] = notes.n_elsewhere
    return MappingProxyType(dropped)


def _quantise(
    notes: DrumNotes, note_voices: NDArray[np.int64], scanned: ScannedMidi, grid: Grid
) -> tuple[Groove, NDArray[np.bool_]]:
    """Move each hit to its nearest step; if two share a cell, keep the louder, then the earlier.

    Returns
    -------
    The groove, and which of the notes were kept, (n,).
    """
    (mapped,) = np.nonzero(note_voices >= 0)
    voices, ticks = note_voices[mapped], notes.ticks[mapped]
    levels = notes.velocities[mapped]
    resolution = scanned.ticks_per_beat
    # floor(position + 0.5) with position = ticks / (resolution / steps a beat), in whole numbers
    steps = (2 * grid.steps_per_beat * ticks + resolution) // (2 * resolution)
    offsets = (grid.steps_per_beat * ticks - steps * resolution) / resolution
    n_bars, is_loop = _length(scanned, steps, offsets, grid)
    n_steps = n_bars * grid.steps_per_bar
    if is_loop:
        _wrap(steps, offsets, voices, n_steps, grid.latest_offset)

    order = np.lexsort((ticks, -levels))
    _, first = np.unique((steps * N_VOICES + voices)[order], return_index=True)
    kept = order[first]
    cells = steps[kept], voices[kept]
    # (3, T, 9): hits, velocities, offsets
    arrays = np.zeros((3, n_steps, N_VOICES), np.float32)
    arrays[0][cells] = 1
    arrays[1][cells] = levels[kept] / VELOCITY_LEVELS
    arrays[2][cells] = offsets[kept]
    tempo_bpm = scanned.tempo_map.main_tempo_bpm(grid.beats_per_bar * n_bars)
    is_kept = np.zeros(len(note_voices), bool)
    is_kept[mapped[kept]] = True
    return Groove(arrays[0] > 0, arrays[1], arrays[2], tempo_bpm, grid), is_kept


def _length(
    scanned: ScannedMidi, steps: NDArray[np.int64], offsets: NDArray[np.float64], grid: Grid
) -> tuple[int, bool]:
    """Return the length in bars, and whether a track ends on the last bar line."""
    last, steps_per_bar = int(steps.max()), grid.steps_per_bar
    n_bars = last // steps_per_bar + 1
    if last % steps_per_bar == 0 and (offsets[steps == last] < 0).all():
        n_bars -= 1  # these hits are early for a bar line that may be the end
    end = scanned.last_bar_line(n_bars, grid.beats_per_bar)
    return (last // steps_per_bar + 1, False) if end is None else (end, True)


def _wrap(
    steps: NDArray[np.int64],
    offsets: NDArray[np.float64],
    voices: NDArray[np.int64],
    n_steps: int,
    latest_offset: float,
) -> None:
    """Move hits just before the end of a loop to its start, in place.

    If the voice already has a hit there, they stay on the last step, as late as possible.
    """
    at_end = steps == n_steps
    taken = np.zeros(N_VOICES, bool)
    taken[voices[steps == 0]] = True
    stays = at_end & taken[voices]
    steps[at_end & ~stays] = 0
    steps[stays] = n_steps - 1
    offsets[stays] = np.minimum(offsets[stays] + 1, latest_offset)
