"""Grooves, lines and pieces to MIDI bytes: straight to ticks, written by mido."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import mido
import numpy as np
from numpy.typing import NDArray

from musicvae_core.music.drums import WRITTEN_PITCHES
from musicvae_core.music.grid import TICKS_PER_BEAT, VELOCITY_LEVELS, TempoMap
from musicvae_core.music.groove import Groove
from musicvae_core.music.line import SILENT, Line
from musicvae_core.music.midi.scan import LOOP_END
from musicvae_core.music.midi.tracks import DRUM_CHANNEL, MAX_SILENT_END_BARS
from musicvae_core.music.piece import Part, Piece


class _Note(NamedTuple):
    """A note; times are in ticks from the start of the file."""

    start: int
    end: int
    pitch: int
    level: int


def write_midi(groove: Groove, *, loop: bool = False, tempo_map: TempoMap | None = None) -> bytes:
    """Write a groove as a standard MIDI file.

    Parameters
    ----------
    groove
        What to write.
    loop
        Where to write an early hit on the first beat (step 0, negative offset), since a file
        cannot start before tick 0. False, for a file played once: at tick 0. True, for a loop: at
        its end, from where `read_midi` restores it.
    tempo_map
        The tempos to write instead of the groove's own; the last applies to the end.

    Returns
    -------
    bytes
        Format 1, 480 ticks per beat, with tempo, metre, and drums on channel 10; every track ends
        exactly at the end of the last bar. If the groove ends with more than two silent bars, a
        `loopEnd` marker tells `read_midi` that they belong to it. Offsets are rounded to ticks
        within their step, velocities to 1 to 127, tempos to whole microseconds per beat.
    """
    tempos = tempo_map or TempoMap.steady(groove.tempo_bpm)
    return _file({"drums": groove}, tempos, loop=loop)


def write_line(line: Line, name: str = "Melody") -> bytes:
    """Write a line as a standard MIDI file with one track, named `name`; see `write_piece`."""
    return _file({name: line}, TempoMap.steady(line.tempo_bpm))


def write_piece(piece: Piece, *, loop: bool = False) -> bytes:
    """Write a piece as a standard MIDI file, which `read_piece` restores.

    Parameters
    ----------
    piece
        What to write; a silent part becomes an empty track.
    loop
        Where to write an early hit on the first beat; see `write_midi`.

    Returns
    -------
    bytes
        As `write_midi`, with a track for each part, named after it: lines on channels 1, 2, … with
        their programs, drums on channel 10.
    """
    return _file(piece.parts, TempoMap.steady(piece.tempo_bpm), loop=loop)


def _file(parts: Mapping[str, Part], tempos: TempoMap, *, loop: bool = False) -> bytes:
    """Write parts with the same length and grid."""
    some = next(iter(parts.values()))
    end_tick = some.n_steps * some.grid.ticks_per_step
    first, *later = tempos.section(0, some.n_steps / some.grid.steps_per_beat).changes
    time = [
        _set_tempo(*first),
        mido.MetaMessage("time_signature", numerator=some.grid.beats_per_bar, denominator=4),
        *(_set_tempo(*change) for change in later),
    ]
    if min(map(_silent_end_bars, parts.values())) > MAX_SILENT_END_BARS:
        time.append(mido.MetaMessage("marker", text=LOOP_END, time=end_tick))
    tracks = [_track(time, end_tick)]
    line_channels = (channel for channel in range(16) if channel != DRUM_CHANNEL)
    for name, part in parts.items():
        if isinstance(part, Groove):
            channel, program, notes = DRUM_CHANNEL, 0, _drum_notes(part, loop=loop)
        else:
            channel, program, notes = next(line_channels), part.program, _line_notes(part)
        head = [
            mido.MetaMessage("track_name", name=_title(name)),
            mido.Message("program_change", channel=channel, program=program),
        ]
        tracks.append(_track([*head, *_messages(notes, channel)], end_tick))
    buffer = io.BytesIO()
    mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_BEAT, tracks=tracks).save(file=buffer)
    return buffer.getvalue()


def _title(name: str) -> str:
    """Return a part's name as a track title: capitalised, in Latin-1."""
    return (name[:1].upper() + name[1:]).encode("latin-1", "replace").decode("latin-1")


def _silent_end_bars(part: Part) -> int:
    """Return the number of bars after the last one that sounds."""
    begins = part.hits.any(axis=1) if isinstance(part, Groove) else part.pitches != SILENT
    steps = np.flatnonzero(begins)
    return part.n_bars - int(steps[-1]) // part.grid.steps_per_bar - 1 if len(steps) else 0


def _set_tempo(beat: float, microseconds_per_beat: int) -> mido.MetaMessage:
    tick = round(beat * TICKS_PER_BEAT)
    return mido.MetaMessage("set_tempo", tempo=microseconds_per_beat, time=tick)


def _messages(notes: Iterable[_Note], channel: int) -> list[mido.Message]:
    """Return notes as messages in order, with `time` in ticks from the start of the file.

    At the same tick, a note ends before the next one of its pitch starts.
    """
    events = []  # (tick, pitch, level), level 0 at the end of a note
    for start, end, pitch, level in notes:
        events += [(start, pitch, level), (end, pitch, 0)]
    return [
        mido.Message("note_on", channel=channel, note=pitch, velocity=level, time=tick)
        for tick, pitch, level in sorted(events)
    ]


def _line_notes(line: Line) -> list[_Note]:
    ticks = line.grid.ticks_per_step
    return [
        _Note(
            round(line.place_of(note.step) * ticks),
            round(line.place_of(note.step + note.n_steps) * ticks),
            note.pitch,
            max(round(note.velocity * VELOCITY_LEVELS), 1),
        )
        for note in line.notes()
    ]


def _drum_notes(groove: Groove, *, loop: bool) -> list[_Note]:
    """Return the hits as short notes within the file.

    Offsets are rounded so that each hit stays nearest to its own step.
    """
    ticks_per_step = groove.grid.ticks_per_step
    end_tick = groove.n_steps * ticks_per_step
    steps, voices = np.nonzero(groove.hits)
    late_ticks = _rounded(groove.offsets[steps, voices], ticks_per_step)
    starts = steps * ticks_per_step + np.minimum(late_ticks, (ticks_per_step - 1) // 2)
    starts = starts % end_tick if loop else np.maximum(starts, 0)
    levels = np.maximum(_rounded(groove.velocities[steps, voices], VELOCITY_LEVELS), 1)
    pitches = np.array(WRITTEN_PITCHES)[voices]
    hits = zip(starts.tolist(), pitches.tolist(), levels.tolist(), strict=True)
    notes = []
    next_start: dict[int, int] = {}
    for start, pitch, level in sorted(hits, reverse=True):
        end = min(start + ticks_per_step // 2, next_start.get(pitch, end_tick))
        next_start[pitch] = start
        notes.append(_Note(start, end, pitch, level))
    return notes


def _rounded(values: NDArray[np.float32], scale: int) -> NDArray[np.int64]:
    return np.rint(values.astype(np.float64) * scale).astype(np.int64)


def _track(messages: Iterable[mido.Message], end_tick: int) -> mido.MidiTrack:
    """Return messages, timed from the start of the file, as a track that ends at `end_tick`."""
    track, now = mido.MidiTrack(), 0
    for message in [*messages, mido.MetaMessage("end_of_track", time=end_tick)]:
        track.append(message)
        now, message.time = message.time, message.time - now
    return track
