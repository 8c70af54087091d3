"""MIDI in and out: bytes to music with what became of every note, and back."""
