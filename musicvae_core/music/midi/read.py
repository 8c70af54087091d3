"""MIDI bytes to `Groove`, with a report of what became of every note.

Time on the grid is counted in ticks alone, so that no tempo change moves a hit.
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
    close_up,
    find_drums,
)

_PEDAL_HALF_WAY = 64
_HAT_ARTICULATIONS = (22, 44)
"""Edge and foot: a kit that has these tells open hi-hats by pitch."""


@dataclass(frozen=True)
class MidiReading:
    """A groove, and what became of every note of the file it was read from.

    Parameters
    ----------
    groove
        The drums of the file.
    n_notes
        Notes in the file, on all tracks: `groove.n_hits` and the values of `merged` and
        `dropped` add up to it.
    merged
        How many notes gave way to a louder one of their voice on the same step, the earliest
        of equals, by what they are.
    dropped
        How many notes were left out, by a reason to show to people.
    tempo_map
        The tempos of the file; the groove plays at the one of most beats.
    substituted
        How many notes of percussion were read as a voice of the kit, by name and voice.
    remarks
        A sentence for each thing of the file that was guessed or lost.
    first_bar
        The bar of the file that `groove` begins with, from 0.
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
        """How many notes gave way to a louder one on the same step."""
        return sum(self.merged.values())

    @property
    def n_silent_bars(self) -> int:
        """How many bars of the groove pass before the bar of its first hit."""
        return int(np.flatnonzero(self.groove.hits.any(axis=1))[0]) // self._grid.steps_per_bar

    @property
    def _grid(self) -> Grid:
        return self.groove.grid

    def from_first_hit(self) -> MidiReading:
        """Return the reading without the silent bars that it begins with."""
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
        """The same without the tempo at which the groove plays."""
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
        """Return a remark on a file that cannot be played at its own tempos."""
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
        Tracks to read, by name or number, as `NoDrumsError.tracks` lists them; a name that is
        a number is taken as a name. By default see `find_drums`.
    drum_map
        Which pitch is which voice. By default General MIDI, unless most pitches fit the map
        of one sampler alone.
    channel_10_first
        Whether `treat_as_drums` is for files that have nothing on channel 10 alone, as where
        many files are read in one way.
    grid
        What to put the notes on; the file must be in its metre, or in one whose bars fill its
        bars. None for the file's own: its metre, and the coarsest steps, of sixteenths first,
        on which fewest notes meet.

    Returns
    -------
    MidiReading
        A hit belongs to the nearest step; halfway goes to the later one. The groove lasts
        from tick 0 to the end of the bar of its last hit, or to the bar line on which a track
        ends, within a 32nd, up to two bars later. A file that ends so is a loop: a hit that is
        early for its end becomes the early first hit, at step 0 with a negative offset, unless
        that cell is taken; then it stays, late. A silent bar that is shorter than the others,
        as of a pick-up, is left out. Hi-hats are open where controller 4 says so,
        see `_open_by_pedal`. The tempo is the file's; of several, that of most beats.

    Raises
    ------
    MidiError
        What `read_bytes`, `scan_midi` and `find_drums` raise; also if no note is on the pitch of a
        voice, or the drums play in another metre than the grid's.
    """
    scanned = scan_midi(read_bytes(source) if isinstance(source, Path) else source)
    grids = [grid] if grid else scanned.own_grids()
    scanned = close_up(scanned, grids[0].beats_per_bar)
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
        remarks.append(f"Most pitches fit the drum map of {guessed.name} alone; it is used.")
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
    """Read every note of a track, whatever its pitch, as the rhythm of one voice.

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
        As `read_midi`; its groove has hits of the snare alone.

    Raises
    ------
    MidiError
        As `read_midi`; `NoDrumsError` if there are several tracks, none of them drums, and
        none is named.
    """
    scanned = scan_midi(read_bytes(source) if isinstance(source, Path) else source)
    scanned = close_up(scanned, grid.beats_per_bar)
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
    """Return the voice of each pitch, (128,), −1 where it has none."""
    return np.array([drum_map.voices.get(pitch, -1) for pitch in range(128)])


def _open_by_pedal(
    notes: DrumNotes, voices: NDArray[np.int64]
) -> tuple[NDArray[np.int64], list[str]]:
    """Open the hi-hats that are struck with the pedal up, in files that show it by controller 4.

    Such a file has no pitch for open hi-hats, nor an electronic kit's for the foot and the
    edge, and strikes the hi-hat on both sides of the controller's middle. High is open.
    """
    told_by_pitch = (voices == OPEN_HAT).any() or np.isin(notes.pitches, _HAT_ARTICULATIONS).any()
    struck = (voices == CLOSED_HAT) & (notes.pedals >= 0)
    opened = struck & (notes.pedals >= _PEDAL_HALF_WAY)
    count, n_struck = int(opened.sum()), int(struck.sum())
    if told_by_pitch or not 0 < count < n_struck:
        return voices, []
    remark = f"{count} of {n_struck} hi-hats are open by controller 4."
    return np.where(opened, OPEN_HAT, voices), [remark]


def _no_voice_sentence(notes: DrumNotes, drum_map: DrumMap, was_not_chosen: bool) -> str:
    """Say which pitches a file without a single voice has, and what can be done."""
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
    """Put the notes on the grid and count what became of them."""
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
    """Put each hit on its nearest step; of two in one cell keep the louder, then the earlier.

    Returns
    -------
    The groove, and which of the notes it has, (n,).
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
    """Return how many bars the groove has, and whether a track ends with the last of them."""
    last, steps_per_bar = int(steps.max()), grid.steps_per_bar
    n_bars = last // steps_per_bar + 1
    if last % steps_per_bar == 0 and (offsets[steps == last] < 0).all():
        n_bars -= 1  # for hits that are early for a bar line, which may be the end
    end = scanned.last_bar_line(n_bars, grid.beats_per_bar)
    return (last // steps_per_bar + 1, False) if end is None else (end, True)


def _wrap(
    steps: NDArray[np.int64],
    offsets: NDArray[np.float64],
    voices: NDArray[np.int64],
    n_steps: int,
    latest_offset: float,
) -> None:
    """Move hits that are early for a loop's end to its start, in place.

    Where the voice has a hit there already they stay on the last step, as late as can be.
    """
    at_end = steps == n_steps
    taken = np.zeros(N_VOICES, bool)
    taken[voices[steps == 0]] = True
    stays = at_end & taken[voices]
    steps[at_end & ~stays] = 0
    steps[stays] = n_steps - 1
    offsets[stays] = np.minimum(offsets[stays] + 1, latest_offset)
