"""MIDI bytes to `Groove` and back, over pretty_midi.

Time on the grid is counted in ticks alone, so no tempo change moves a hit. Notes
reach pretty_midi through `midi_scan`, and with a single tempo, because pretty_midi
looks for tempos on the first track only, drops notes that never end, and allocates
eight bytes for each tick that the file claims to last.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import mido
import numpy as np
import pretty_midi
from numpy.typing import NDArray

from musicvae_core.errors import EmptyMidiError, MalformedMidiError, NoDrumsError
from musicvae_core.groove import Groove
from musicvae_core.midi_scan import (
    MICROSECONDS_PER_MINUTE,
    ScannedMidi,
    ScannedTrack,
    check_size,
    scan_midi,
)
from musicvae_core.vocabulary import (
    BEATS_PER_BAR,
    DRUM_CHANNEL,
    N_VOICES,
    STEPS_PER_BAR,
    STEPS_PER_BEAT,
    TICKS_PER_BEAT,
    TICKS_PER_STEP,
    VELOCITY_LEVELS,
    VOICE_OF_PITCH,
    WRITTEN_PITCHES,
)

DEFAULT_TEMPO_BPM = 120.0
"""The tempo of a MIDI file until it states one (Standard MIDI Files 1.0)."""

_VOICES_BY_PITCH = np.array([VOICE_OF_PITCH.get(pitch, -1) for pitch in range(128)])
_NOTE_TICKS = TICKS_PER_STEP // 2
_OTHER_CHANNEL = "not on the track that was read as drums"


@dataclass(frozen=True)
class MidiReading:
    """A groove and what became of every note of the file it was read from.

    Parameters
    ----------
    groove
        The drums of the file.
    n_notes
        Notes in the file, on all tracks: `groove.n_hits + n_merged` and the
        values of `dropped` add up to it.
    n_merged
        Notes that shared a voice and a step with another, of which the louder is kept.
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
        """What was read, merged, dropped and averaged, in a sentence or more."""
        parts = [f"{self.groove.n_hits} of {self.n_notes} notes read"]
        if self.n_merged:
            parts.append(f"{self.n_merged} merged into a louder hit on the same sixteenth")
        parts += [f"{count} dropped: {reason}" for reason, count in self.dropped.items()]
        text = "; ".join(parts) + "."
        if self.n_tempos > 1:
            text += f" {self.n_tempos} tempos averaged to {self.groove.tempo_bpm:.1f} bpm."
        return text


def read_midi(source: bytes | Path, *, treat_as_drums: int | str | None = None) -> MidiReading:
    """Read the drums of a MIDI file as a groove.

    Parameters
    ----------
    source
        The bytes of a standard MIDI file, or its path.
    treat_as_drums
        One of `NoDrumsError.tracks`, or its index there: read that track instead of
        channel 10.

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
        What `scan_midi` raises; `MalformedMidiError` also for an unreadable path,
        `EmptyMidiError` without a note to read, `NoDrumsError` without a note on
        channel 10 or without the track that is asked for.
    """
    scanned = scan_midi(_read_bytes(source) if isinstance(source, Path) else source)
    instruments = _read_instruments(scanned)
    n_notes = sum(len(instrument.notes) for instrument in instruments)
    if not n_notes:
        raise EmptyMidiError("The file holds no note. Choose another file, or record into it.")
    drums = _choose_drums(instruments, treat_as_drums)
    notes = [note for instrument in drums for note in instrument.notes]
    # (n,) each; pretty_midi's seconds run at the default tempo, so ticks come back exactly
    seconds = np.array([note.start for note in notes])
    beats_per_second = DEFAULT_TEMPO_BPM / 60
    ticks = np.rint(seconds * beats_per_second * scanned.ticks_per_beat).astype(np.int64)
    pitches = np.array([note.pitch for note in notes])
    velocities = np.array([note.velocity for note in notes]) / VELOCITY_LEVELS
    dropped = _count_dropped(pitches, n_notes - len(notes))
    mapped = _VOICES_BY_PITCH[pitches] >= 0
    if not mapped.any():
        raise EmptyMidiError(
            f"None of the {len(notes)} drum notes is on a General MIDI drum pitch "
            "(a kick is 36, a snare 38). Map them to General MIDI and export again."
        )
    groove = _quantise(
        ticks[mapped], _VOICES_BY_PITCH[pitches[mapped]], velocities[mapped], scanned
    )
    n_merged = int(mapped.sum()) - groove.n_hits
    n_tempos = len({tempo for _, tempo in scanned.tempos}) or 1
    return MidiReading(groove, n_notes, n_merged, dropped, n_tempos)


def _read_bytes(path: Path) -> bytes:
    """Read a file whose size is within the limit."""
    try:
        check_size(path.stat().st_size)
        return path.read_bytes()
    except OSError as error:
        reason = error.strerror or error
        raise MalformedMidiError(f"{path} cannot be read ({reason}). Check the path.") from error


def _read_instruments(scanned: ScannedMidi) -> list[pretty_midi.Instrument]:
    """Let pretty_midi sort the notes into instruments, at the default tempo."""
    tracks = [_to_mido(track) for track in scanned.tracks]
    midi_file = mido.MidiFile(ticks_per_beat=scanned.ticks_per_beat, tracks=tracks)
    instruments: list[pretty_midi.Instrument] = pretty_midi.PrettyMIDI(
        mido_object=midi_file
    ).instruments
    return instruments


def _to_mido(track: ScannedTrack) -> mido.MidiTrack:
    """Return the track as mido messages in delta ticks, every note ended after the last one."""
    messages = mido.MidiTrack([mido.MetaMessage("track_name", name=track.name)])
    for channel, program in track.programs.items():
        messages.append(mido.Message("program_change", channel=channel, program=program))
    last_tick = 0
    for tick, channel, pitch, velocity in track.notes:
        messages.append(
            mido.Message(
                "note_on",
                skip_checks=True,
                channel=channel,
                note=pitch,
                velocity=velocity,
                time=tick - last_tick,
            )
        )
        last_tick = tick
    for delta, (channel, pitch) in zip(
        [1, *[0] * len(track.notes)],
        {(note.channel, note.pitch) for note in track.notes},
        strict=False,
    ):
        messages.append(mido.Message("note_off", channel=channel, note=pitch, time=delta))
    return messages


def _choose_drums(
    instruments: list[pretty_midi.Instrument], treat_as_drums: int | str | None
) -> list[pretty_midi.Instrument]:
    """Return the instruments of channel 10, or the one that is asked for by name or index."""
    drums = [instrument for instrument in instruments if instrument.is_drum]
    others = [instrument for instrument in instruments if not instrument.is_drum]
    names = _name_tracks(others)
    if treat_as_drums is None:
        if drums:
            return drums
        raise NoDrumsError(
            f"No note is on the drum channel (10). Choose a track to read as drums: "
            f"{', '.join(names)}.",
            names,
        )
    chosen = dict(zip(names, others, strict=True))
    chosen_by_index = dict(enumerate(others))
    if isinstance(treat_as_drums, str) and treat_as_drums in chosen:
        return [chosen[treat_as_drums]]
    if isinstance(treat_as_drums, int) and treat_as_drums in chosen_by_index:
        return [chosen_by_index[treat_as_drums]]
    raise NoDrumsError(
        f"The file has no track {treat_as_drums!r} to read as drums; "
        f"choose one of: {', '.join(names) or 'none, all its notes are drums'}.",
        names,
    )


def _name_tracks(instruments: list[pretty_midi.Instrument]) -> tuple[str, ...]:
    """Name each instrument by its track or its program, numbered where names repeat."""
    seen: Counter[str] = Counter()
    names = []
    for instrument in instruments:
        name = instrument.name or pretty_midi.program_to_instrument_name(instrument.program)
        seen[name] += 1
        names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return tuple(names)


def _count_dropped(pitches: NDArray[np.int64], n_elsewhere: int) -> Mapping[str, int]:
    """Count the notes that no voice plays, by pitch and name, and those of other tracks."""
    unmapped = Counter(int(pitch) for pitch in pitches if _VOICES_BY_PITCH[pitch] < 0)
    dropped = {
        f"no voice for pitch {pitch}{_drum_name(pitch)}": count
        for pitch, count in sorted(unmapped.items())
    }
    if n_elsewhere:
        dropped[_OTHER_CHANNEL] = n_elsewhere
    return MappingProxyType(dropped)


def _drum_name(pitch: int) -> str:
    name = pretty_midi.note_number_to_drum_name(pitch)
    return f" ({name})" if name else ""


def _quantise(
    ticks: NDArray[np.int64],
    voices: NDArray[np.int64],
    velocities: NDArray[np.float64],
    scanned: ScannedMidi,
) -> Groove:
    """Put each hit on its nearest step; where two share a cell the louder, then the earlier."""
    resolution = scanned.ticks_per_beat
    # floor(position + 0.5), position = ticks / (resolution / 4), in whole numbers
    steps = (2 * STEPS_PER_BEAT * ticks + resolution) // (2 * resolution)
    offsets = (STEPS_PER_BEAT * ticks - steps * resolution) / resolution
    n_loop_bars, beyond = divmod(scanned.end_tick, BEATS_PER_BAR * resolution)
    if beyond:
        n_loop_bars = 0
    steps[(steps == n_loop_bars * STEPS_PER_BAR) & (offsets < 0)] = 0
    n_bars = max(n_loop_bars, int(steps.max()) // STEPS_PER_BAR + 1)
    order = np.lexsort((ticks, -velocities))
    cells = steps * N_VOICES + voices
    _, first = np.unique(cells[order], return_index=True)
    kept = order[first]
    hits = np.zeros((n_bars * STEPS_PER_BAR, N_VOICES), bool)
    grids = np.zeros((2, *hits.shape), np.float32)
    hits[steps[kept], voices[kept]] = True
    grids[0, steps[kept], voices[kept]] = velocities[kept]
    grids[1, steps[kept], voices[kept]] = offsets[kept]
    return Groove(hits, grids[0], grids[1], _mean_tempo_bpm(scanned, n_bars))


def _mean_tempo_bpm(scanned: ScannedMidi, n_bars: int) -> float:
    """Return the one tempo of a file, or the beats by the minutes of its first `n_bars`."""
    stated = scanned.tempos
    default = round(MICROSECONDS_PER_MINUTE / DEFAULT_TEMPO_BPM)
    if len({tempo for _, tempo in stated}) <= 1:
        return MICROSECONDS_PER_MINUTE / (stated[0][1] if stated else default)
    end = n_bars * BEATS_PER_BAR * scanned.ticks_per_beat
    starts = [0, *(min(tick, end) for tick, _ in stated), end]
    lengths = np.diff(starts)
    tempos = np.array([default, *(tempo for _, tempo in stated)])
    return float(MICROSECONDS_PER_MINUTE * end / (lengths @ tempos))


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
    """Return the hits as short notes that end by the loop's end."""
    end_tick = groove.n_steps * TICKS_PER_STEP
    notes = []
    for step, voice in np.argwhere(groove.hits):
        late = round(float(groove.offsets[step, voice]) * TICKS_PER_STEP)
        late = min(late, TICKS_PER_STEP // 2 - 1)  # half a step late is the next step
        start = (int(step) * TICKS_PER_STEP + late) % end_tick
        velocity = max(round(float(groove.velocities[step, voice]) * VELOCITY_LEVELS), 1)
        notes.append((start, WRITTEN_PITCHES[voice], velocity))
    notes.sort()
    return [
        pretty_midi.Note(velocity, pitch, start * seconds_per_tick, end * seconds_per_tick)
        for (start, pitch, velocity), end in zip(notes, _note_ends(notes, end_tick), strict=True)
    ]


def _note_ends(notes: list[tuple[int, int, int]], end_tick: int) -> list[int]:
    """Return where each note ends: half a step on, or at the next of its pitch, or the end."""
    next_start: dict[int, int] = {}
    ends = []
    for start, pitch, _ in reversed(notes):
        ends.append(min(start + _NOTE_TICKS, next_start.get(pitch, end_tick), end_tick))
        next_start[pitch] = start
    return ends[::-1]


def _finish(data: bytes, end_tick: int, microseconds_per_beat: int) -> bytes:
    """Set what pretty_midi leaves inexact: where tracks end (a tick late) and the tempo (cut)."""
    midi_file = mido.MidiFile(file=io.BytesIO(data))
    for track in midi_file.tracks:
        track.pop()  # end of track
        last_tick = sum(message.time for message in track)
        track.append(mido.MetaMessage("end_of_track", time=end_tick - last_tick))
        for message in track:
            if message.type == "set_tempo":
                message.tempo = microseconds_per_beat
    buffer = io.BytesIO()
    midi_file.save(file=buffer)
    return buffer.getvalue()
