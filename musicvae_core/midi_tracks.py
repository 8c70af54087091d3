"""From the notes of a scanned MIDI file to those that are drums, sorted by pretty_midi."""

from __future__ import annotations

from dataclasses import dataclass

import mido
import numpy as np
import pretty_midi
from numpy.typing import NDArray

from musicvae_core.errors import EmptyMidiError, NoDrumsError
from musicvae_core.midi_scan import ScannedMidi, ScannedNote, ScannedTrack

DEFAULT_TEMPO_BPM = 120.0
"""The tempo of a MIDI file until it states one (Standard MIDI Files 1.0)."""

_MAX_NAMES_LISTED = 8


@dataclass(frozen=True, eq=False)
class DrumNotes:
    """The notes to read as drums: (n,) arrays, n at least 1, in no particular order.

    Parameters
    ----------
    ticks
        (n,) int64, from the start of the file.
    pitches, velocities
        (n,) int64 in 0 to 127 and 1 to 127.
    n_elsewhere
        Notes of the file that other instruments play.
    """

    ticks: NDArray[np.int64]
    pitches: NDArray[np.int64]
    velocities: NDArray[np.int64]
    n_elsewhere: int


def find_drums(scanned: ScannedMidi, treat_as_drums: int | str | None) -> DrumNotes:
    """Return the notes of channel 10, or of the instrument that `treat_as_drums` names.

    Raises
    ------
    EmptyMidiError
        If the file holds no note.
    NoDrumsError
        If no note is on channel 10, or no instrument has the name or index asked for.
    """
    instruments = _read_instruments(scanned)
    n_notes = sum(len(instrument.notes) for instrument in instruments)
    if not n_notes:
        raise EmptyMidiError("The file holds no note. Choose another file, or record into it.")
    chosen = _choose(instruments, treat_as_drums)
    notes = [note for instrument in chosen for note in instrument.notes]
    # pretty_midi's seconds run at the default tempo throughout, so ticks come back exactly
    beats = np.array([note.start for note in notes]) * (DEFAULT_TEMPO_BPM / 60)
    return DrumNotes(
        np.rint(beats * scanned.ticks_per_beat).astype(np.int64),
        np.array([note.pitch for note in notes]),
        np.array([note.velocity for note in notes]),
        n_notes - len(notes),
    )


def _read_instruments(scanned: ScannedMidi) -> list[pretty_midi.Instrument]:
    """Let pretty_midi sort the notes into instruments, at the default tempo.

    It gets neither the tempos (it looks for them on the first track only) nor the ends of
    notes (it drops a note without one, and a drum needs none).
    """
    midi_file = mido.MidiFile(
        ticks_per_beat=scanned.ticks_per_beat,
        tracks=[_to_mido(track) for track in scanned.tracks],
    )
    instruments: list[pretty_midi.Instrument] = pretty_midi.PrettyMIDI(
        mido_object=midi_file
    ).instruments
    return instruments


def _to_mido(track: ScannedTrack) -> mido.MidiTrack:
    """Return the track as mido's messages, with every note ended after the last one."""
    messages = mido.MidiTrack([mido.MetaMessage("track_name", name=track.name)])
    for channel, program in track.programs.items():
        messages.append(mido.Message("program_change", channel=channel, program=program))
    last_tick = 0
    for note in track.notes:
        messages.append(_to_message(note, note.tick - last_tick))
        last_tick = note.tick
    for channel, pitch in dict.fromkeys((note.channel, note.pitch) for note in track.notes):
        messages.append(mido.Message("note_off", channel=channel, note=pitch, time=1))
    return messages


def _to_message(note: ScannedNote, delta_ticks: int) -> mido.Message:
    """Return the start of a note, unchecked: the scan has checked it (a third of the time)."""
    return mido.Message(
        "note_on",
        skip_checks=True,
        channel=note.channel,
        note=note.pitch,
        velocity=note.velocity,
        time=delta_ticks,
    )


def _choose(
    instruments: list[pretty_midi.Instrument], treat_as_drums: int | str | None
) -> list[pretty_midi.Instrument]:
    """Return the instruments of channel 10, or the one asked for by name or index."""
    drums = [instrument for instrument in instruments if instrument.is_drum]
    others = [instrument for instrument in instruments if not instrument.is_drum]
    if treat_as_drums is None and drums:
        return drums
    names = _name(others)
    if treat_as_drums is None:
        raise NoDrumsError(
            "No note is on the drum channel (10). "
            f"Choose a track to read as drums: {_list_names(names)}.",
            names,
        )
    choices: dict[int | str, pretty_midi.Instrument] = dict(enumerate(others))
    choices |= {str(index): instrument for index, instrument in enumerate(others)}
    choices |= zip(names, others, strict=True)  # a name that is a number is a name
    if treat_as_drums not in choices:
        raise NoDrumsError(
            f"The file has no track {treat_as_drums!r} to read as drums. "
            f"Choose one of: {_list_names(names)}.",
            names,
        )
    return [choices[treat_as_drums]]


def _name(instruments: list[pretty_midi.Instrument]) -> tuple[str, ...]:
    """Name each instrument by its track, else its program; a name that repeats is numbered."""
    names: list[str] = []
    for instrument in instruments:
        plain = instrument.name or pretty_midi.program_to_instrument_name(instrument.program)
        name, number = plain, 1
        while name in names:
            number += 1
            name = f"{plain} ({number})"
        names.append(name)
    return tuple(names)


def _list_names(names: tuple[str, ...]) -> str:
    """Join names for a message: none, some, or the first few and how many more."""
    listed = ", ".join(names[:_MAX_NAMES_LISTED]) or "none, every note is on channel 10"
    n_more = len(names) - _MAX_NAMES_LISTED
    return f"{listed} and {n_more} more" if n_more > 0 else listed
