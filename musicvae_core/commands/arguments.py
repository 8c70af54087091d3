"""What several commands ask for, in the same words."""

from __future__ import annotations

import argparse
from pathlib import Path

from musicvae_core.midi import MidiReading, read_midi


def add_track(
    parser: argparse.ArgumentParser, option: str = "--track", where: str = "in place of channel 10"
) -> None:
    """Add the option that chooses what to read of a file; `read_drums` takes its text."""
    which = "its name, or its number, from 0, among those of other channels"
    parser.add_argument(option, metavar="TRACK", help=f"the track to read {where}: {which}")


def read_drums(path: Path, track: str | None = None) -> MidiReading:
    """Read a file's drums, or the track of that name or number as drums; see `read_midi`."""
    return read_midi(path, treat_as_drums=track)
