"""MIDI bytes to `Groove` and back, over pretty_midi.

Time on the grid is counted in ticks alone, so that no tempo change moves a hit.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import mido
import numpy as np
import pretty_midi

from musicvae_core.errors import EmptyMidiError, MalformedMidiError, NoDrumsError
from musicvae_core.groove import Groove
from musicvae_core.midi_scan import (
    MAX_BYTES,
    MICROSECONDS_PER_MINUTE,
    ScannedMidi,
    check_size,
    scan_midi,
)
from musicvae_core.midi_tracks import DEFAULT_TEMPO_BPM, DrumNotes, find_drums
from musicvae_core.vocabulary import (
    BEATS_PER_BAR,
    N_VOICES,
    SNARE,
    STEPS_PER_BAR,
    STEPS_PER_BEAT,
    TICKS_PER_BEAT,
    TICKS_PER_STEP,
    VELOCITY_LEVELS,
    VOICE_OF_PITCH,
    WRITTEN_PITCHES,
)

_VOICES_BY_PITCH = np.array([VOICE_OF_PITCH.get(pitch, -1) for pitch in range(128)])
_NOTE_TICKS = TICKS_PER_STEP // 2
_LATEST_TICK = TICKS_PER_STEP // 2 - 1
"""The last tick that is nearest to its step: half a step late belongs to the next."""


@dataclass(frozen=True)
class MidiReading:
    """A groove, and what became of every note of the file it was read from.

    Parameters
    ----------
    groove
        The drums of the file.
    n_notes
        Notes in the file, on all tracks: `groove.n_hits`, `n_merged` and the values of
        `dropped` add up to it.
    n_merged
        Notes that shared a voice and a step with another that was kept: the loudest is,
        the earliest of equals.
    dropped
        How many notes were left out, by a reason to show to people.
    n_tempos
        How many different tempos the file states; more than one are averaged.
    """

    groove: Groove
    n_notes: int
    n_merged: int
    dropped: Mapping[str, int]
    n_tempos: int

    @property
    def summary(self) -> str:
        """What was read, merged, dropped and averaged, in a sentence or two."""
        parts = [f"{self.groove.n_hits} of {self.n_notes} notes read"]
        if self.n_merged:
            parts.append(f"{self.n_merged} merged into a louder one on the same sixteenth")
        parts += [f"{count} dropped ({reason})" for reason, count in self.dropped.items()]
        averaged = f" {self.n_tempos} tempos averaged to {self.groove.tempo_bpm:.1f} bpm."
        return "; ".join(parts) + "." + (averaged if self.n_tempos > 1 else "")


def read_midi(source: bytes | Path, *, treat_as_drums: int | str | None = None) -> MidiReading:
    """Read the drums of a MIDI file as a groove.

    Parameters
    ----------
    source
        The bytes of a standard MIDI file, or its path.
    treat_as_drums
        One of `NoDrumsError.tracks`, or its index there, as a number or as text: read that
        track instead of channel 10. A name that is a number is taken as a name.

    Returns
    -------
    MidiReading
        A hit belongs to the nearest step; halfway goes to the later one. The groove lasts
        from tick 0 to the end of the bar of its last hit. A file that ends exactly on a
        bar line is a loop: it keeps its length, and a hit that is early for that very line
        becomes the early first hit of the loop, at step 0 with a negative offset. The tempo
        is the file's; of several, beats by minutes, so that the groove lasts as long.

    Raises
    ------
    MidiError
        What `scan_midi` and `find_drums` raise; `MalformedMidiError` also for a path that
        cannot be read, `EmptyMidiError` if no note is on the pitch of a voice.
    """
    scanned = scan_midi(_read_bytes(source) if isinstance(source, Path) else source)
    notes = find_drums(scanned, treat_as_drums)
    n_mapped = int((_VOICES_BY_PITCH[notes.pitches] >= 0).sum())
    if not n_mapped:
        raise EmptyMidiError(
            f"None of the {len(notes.pitches)} notes is on a General MIDI drum pitch "
            "(a kick is 36, a snare 38). Map them to General MIDI and export the file again."
        )
    groove = _quantise(notes, scanned)
    return MidiReading(
        groove,
        n_notes=len(notes.pitches) + notes.n_elsewhere,
        n_merged=n_mapped - groove.n_hits,
        dropped=_count_dropped(notes),
        n_tempos=len({tempo for _, tempo in scanned.tempos}) or 1,
    )


def read_rhythm(source: bytes | Path, *, track: int | str | None = None) -> MidiReading:
    """Read every note of a track, whatever its pitch, as the rhythm of one voice.

    Parameters
    ----------
    source
        As `read_midi`.
    track
        As `read_midi`'s `treat_as_drums`; by default channel 10, or the only track of a file
        without it.

    Returns
    -------
    MidiReading
        As `read_midi`; its groove has hits of the snare alone.

    Raises
    ------
    MidiError
        As `read_midi`; `NoDrumsError` if there are several tracks and none is named.
    """
    scanned = scan_midi(_read_bytes(source) if isinstance(source, Path) else source)
    try:
        notes = find_drums(scanned, track)
    except NoDrumsError as error:
        if track is not None or len(error.tracks) != 1:
            raise
        notes = find_drums(scanned, 0)
    n_notes = len(notes.pitches)
    notes = replace(notes, pitches=np.full(n_notes, WRITTEN_PITCHES[SNARE]))
    groove = _quantise(notes, scanned)
    return MidiReading(
        groove,
        n_notes=n_notes + notes.n_elsewhere,
        n_merged=n_notes - groove.n_hits,
        dropped=_count_dropped(notes),
        n_tempos=len({tempo for _, tempo in scanned.tempos}) or 1,
    )


def _read_bytes(path: Path) -> bytes:
    """Read a file, but no more of it than the limit and a byte."""
    try:
        check_size(path.stat().st_size)
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or error
        raise MalformedMidiError(f"{path} cannot be read ({reason}). Check the path.") from error


def _count_dropped(notes: DrumNotes) -> Mapping[str, int]:
    """Count the notes without a voice, by pitch and name, and those of other instruments."""
    dropped: dict[str, int] = {}
    for pitch, count in sorted(Counter(notes.pitches.tolist()).items()):
        if pitch not in VOICE_OF_PITCH:
            name = pretty_midi.note_number_to_drum_name(pitch) or "not a General MIDI drum"
            dropped[f"no voice for pitch {pitch}, {name}"] = count
    if notes.n_elsewhere:
        dropped["played by another instrument"] = notes.n_elsewhere
    return MappingProxyType(dropped)


def _quantise(notes: DrumNotes, scanned: ScannedMidi) -> Groove:
    """Put each hit on its nearest step; of two in one cell keep the louder, then the earlier."""
    voices = _VOICES_BY_PITCH[notes.pitches]
    mapped = voices >= 0
    voices, ticks, levels = voices[mapped], notes.ticks[mapped], notes.velocities[mapped]
    resolution = scanned.ticks_per_beat
    # floor(position + 0.5) with position = ticks / (resolution / 4), in whole numbers
    steps = (2 * STEPS_PER_BEAT * ticks + resolution) // (2 * resolution)
    offsets = (STEPS_PER_BEAT * ticks - steps * resolution) / resolution
    n_bars, beyond = divmod(scanned.end_tick, BEATS_PER_BAR * resolution)
    if beyond:
        n_bars = 0
    else:
        steps[(steps == n_bars * STEPS_PER_BAR) & (offsets < 0)] = 0
    n_bars = max(n_bars, int(steps.max()) // STEPS_PER_BAR + 1)

    order = np.lexsort((ticks, -levels))
    _, first = np.unique((steps * N_VOICES + voices)[order], return_index=True)
    kept = order[first]
    cells = steps[kept], voices[kept]
    # (3, T, 9): hits, velocities, offsets
    grids = np.zeros((3, n_bars * STEPS_PER_BAR, N_VOICES), np.float32)
    grids[0][cells] = 1
    grids[1][cells] = levels[kept] / VELOCITY_LEVELS
    grids[2][cells] = offsets[kept]
    return Groove(grids[0] > 0, grids[1], grids[2], _mean_tempo_bpm(scanned, n_bars))


def _mean_tempo_bpm(scanned: ScannedMidi, n_bars: int) -> float:
    """Return the one tempo of a file, or the beats by the minutes of its first `n_bars`."""
    default = round(MICROSECONDS_PER_MINUTE / DEFAULT_TEMPO_BPM)
    tempos = [microseconds for _, microseconds in scanned.tempos]
    if len(set(tempos)) <= 1:
        return MICROSECONDS_PER_MINUTE / (tempos[0] if tempos else default)
    end_tick = n_bars * BEATS_PER_BAR * scanned.ticks_per_beat
    changes = [min(tick, end_tick) for tick, _ in scanned.tempos]
    lasting_ticks = np.diff([0, *changes, end_tick])
    return float(MICROSECONDS_PER_MINUTE * end_tick / (lasting_ticks @ [default, *tempos]))


def write_midi(groove: Groove) -> bytes:
    """Write a groove as a standard MIDI file that loops cleanly.

    Returns
    -------
    bytes
        Format 1, 480 ticks a beat, tempo, 4/4, drums on channel 10; every track ends
        exactly at the end of the last bar. A hit before the loop begins (step 0, negative
        offset) is written at the loop's end, where `read_midi` finds it again. Offsets are
        rounded to whole ticks within their step, velocities to 1 to 127, and the tempo to
        whole microseconds a beat.
    """
    microseconds_per_beat = round(MICROSECONDS_PER_MINUTE / groove.tempo_bpm)
    midi = pretty_midi.PrettyMIDI(
        resolution=TICKS_PER_BEAT, initial_tempo=MICROSECONDS_PER_MINUTE / microseconds_per_beat
    )
    midi.time_signature_changes.append(pretty_midi.TimeSignature(BEATS_PER_BAR, 4, 0.0))
    drums = pretty_midi.Instrument(program=0, is_drum=True, name="Drums")
    drums.notes = _to_notes(groove, microseconds_per_beat / 1e6 / TICKS_PER_BEAT)
    midi.instruments.append(drums)
    buffer = io.BytesIO()
    midi.write(buffer)
    return _finish(buffer.getvalue(), groove.n_steps * TICKS_PER_STEP, microseconds_per_beat)


def _to_notes(groove: Groove, seconds_per_tick: float) -> list[pretty_midi.Note]:
    """Return the hits as short notes, none before zero or past the loop's end."""
    end_tick = groove.n_steps * TICKS_PER_STEP
    starts = []
    for step, voice in np.argwhere(groove.hits):
        late_ticks = min(round(float(groove.offsets[step, voice]) * TICKS_PER_STEP), _LATEST_TICK)
        level = max(round(float(groove.velocities[step, voice]) * VELOCITY_LEVELS), 1)
        start = (int(step) * TICKS_PER_STEP + late_ticks) % end_tick
        starts.append((start, WRITTEN_PITCHES[voice], level))
    notes = []
    next_start: dict[int, int] = {}
    for start, pitch, level in sorted(starts, reverse=True):
        end = min(start + _NOTE_TICKS, next_start.get(pitch, end_tick))
        next_start[pitch] = start
        notes.append(
            pretty_midi.Note(level, pitch, start * seconds_per_tick, end * seconds_per_tick)
        )
    return notes


def _finish(data: bytes, end_tick: int, microseconds_per_beat: int) -> bytes:
    """Set what pretty_midi leaves inexact: where tracks end (a tick late), the tempo (cut)."""
    midi_file = mido.MidiFile(file=io.BytesIO(data))
    for track in midi_file.tracks:
        track.pop()  # pretty_midi's end of track
        for message in track:
            if message.type == "set_tempo":
                message.tempo = microseconds_per_beat
        last_tick = sum(message.time for message in track)
        track.append(mido.MetaMessage("end_of_track", time=end_tick - last_tick))
    buffer = io.BytesIO()
    midi_file.save(file=buffer)
    return buffer.getvalue()
