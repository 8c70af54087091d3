"""What several commands ask for, in the same words."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from musicvae_core.config import MAX_SEED
from musicvae_core.errors import OptionError
from musicvae_core.midi import MidiReading, read_midi


def add_count(
    parser: argparse.ArgumentParser, option: str, least: int, most: int, **more: Any
) -> None:
    """Add an option that takes a whole number within limits, and refuses others in a sentence."""

    def count(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise OptionError(f"{option} is {text!r}; it must be a whole number.") from None
        if not least <= number <= most:
            raise OptionError(f"{option} is {number}; it must be {least} to {most}.")
        return number

    parser.add_argument(option, type=count, **more)


def add_seed(parser: argparse.ArgumentParser) -> None:
    """Add `--seed`, 0 unless it is given."""
    add_count(parser, "--seed", 0, MAX_SEED, default=0)


def add_track(
    parser: argparse.ArgumentParser, option: str = "--track", where: str = "in place of channel 10"
) -> None:
    """Add the option that chooses what to read of a file; `read_drums` takes its text."""
    which = "its name, or its number, from 0, among those of other channels"
    parser.add_argument(option, metavar="TRACK", help=f"the track to read {where}: {which}")


def read_drums(path: Path, track: str | None = None) -> MidiReading:
    """Read a file's drums, or the track of that name or number as drums; see `read_midi`."""
    return read_midi(path, treat_as_drums=track)
