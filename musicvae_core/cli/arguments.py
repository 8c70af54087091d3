"""Options that several commands share."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musicvae_core.errors import DrumMapError, OptionError
from musicvae_core.models.config import MAX_SEED
from musicvae_core.music.grid import COMMON_TIME, Grid
from musicvae_core.music.midi.maps import DRUM_MAPS, DrumMap, find_map
from musicvae_core.music.midi.read import MidiReading, read_midi

if TYPE_CHECKING:
    from musicvae_core.data.windows import AnyWindows, WindowSource
    from musicvae_core.models.kinds import Kind


def add_count(
    parser: argparse.ArgumentParser, option: str, least: int, most: int, **more: Any
) -> None:
    """Add an option for a whole number within limits; others are refused with an explanation."""

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
    parser: argparse.ArgumentParser, option: str = "--track", where: str = "instead of channel 10"
) -> None:
    """Add the option that selects tracks of a file, for `read_drums`."""
    which = "names or numbers, counted from 0 with channel 10 last"
    parser.add_argument(
        option,
        nargs="+",
        action="extend",
        metavar="TRACK",
        help=f"tracks to read together {where}: {which}",
    )


def add_map(parser: argparse.ArgumentParser) -> None:
    """Add the option that selects a drum map."""
    parser.add_argument(
        "--map",
        type=_map,
        help=f"the drum map: {', '.join(DRUM_MAPS)}, or a file of lines like "
        "'62 = closed hi-hat'; by default it is guessed",
    )


def _map(text: str) -> DrumMap:
    try:
        return find_map(text)
    except DrumMapError as error:
        raise OptionError(str(error)) from error


def add_data_source(parser: argparse.ArgumentParser) -> None:
    """Add `--data` and the options of reading its files; `read_data` uses them."""
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        help="a data set: a zip, its folder, or any folder of MIDI files",
    )
    add_reading(parser)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add how the files of a data set are read."""
    add_track(parser, where="of files that have nothing on channel 10")
    add_map(parser)


def read_data(
    kind: Kind, options: argparse.Namespace, grid: Grid, store: Path | None = None
) -> WindowSource[AnyWindows]:
    """Read the set that models of a kind learn from, as the options of `add_reading` say.

    With `store` its windows are kept in files of that folder, see `StoredSet`.

    Raises
    ------
    OptionError
        If an option is given that does not apply to the kind.
    """
    given = {"tracks": options.track, "drum_map": options.map}
    given = {name: value for name, value in given.items() if value is not None}
    if given and kind.plays != "drums":
        raise OptionError("--track and --map are for drums, and this is about melodies.")
    from musicvae_core.data.trios import load_data

    return load_data(kind.plays, options.data, store=store, grid=grid, **given)


def add_loop(parser: argparse.ArgumentParser) -> None:
    """Add `--loop`, the form of the MIDI files that a command writes; see `write_midi`."""
    parser.add_argument(
        "--loop",
        action="store_true",
        help="write MIDI files as loops: a hit just before the first beat goes to the end",
    )


def read_drums(
    path: Path,
    options: argparse.Namespace,
    grid: Grid | None = COMMON_TIME,
    *,
    channel_10_first: bool = False,
) -> MidiReading:
    """Read a file's drums by the options of `add_track` and `add_map`; see `read_midi`."""
    return read_midi(
        path,
        treat_as_drums=options.track,
        drum_map=options.map,
        channel_10_first=channel_10_first,
        grid=grid,
    )
