"""MIDI in and out: bytes to music with what became of every note, and back."""

from musicvae_core.music.midi.maps import (
    DRUM_MAPS,
    STANDARD,
    DrumMap,
    drum_name,
    find_map,
    override_map,
)
from musicvae_core.music.midi.read import MidiReading, read_midi, read_rhythm
from musicvae_core.music.midi.scan import MAX_BARS, MAX_BYTES, MAX_NOTES
from musicvae_core.music.midi.tracks import TrackChoice
from musicvae_core.music.midi.write import write_line, write_midi, write_piece

__all__ = [
    "DRUM_MAPS",
    "MAX_BARS",
    "MAX_BYTES",
    "MAX_NOTES",
    "STANDARD",
    "DrumMap",
    "MidiReading",
    "TrackChoice",
    "drum_name",
    "find_map",
    "override_map",
    "read_midi",
    "read_rhythm",
    "write_line",
    "write_midi",
    "write_piece",
]
