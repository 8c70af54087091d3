"""MIDI in and out: bytes to music, with a report of what became of every note, and back."""
