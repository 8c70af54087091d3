"""The commands of the groove lab: a MIDI file in, a MIDI file out.

Each imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from musicvae_core.commands.arguments import add_track, read_drums
from musicvae_core.errors import ConfigError
from musicvae_core.files import check_file, write_content
from musicvae_core.groove import Groove
from musicvae_core.lab.options import Amounts, Chance, Wishes
from musicvae_core.midi import MidiReading, read_rhythm, write_midi
from musicvae_core.vocabulary import VOICES

_SHIPPED = Path(__file__).parents[2] / "checkpoints" / "groove_lab"

Play = Callable[[Any, Groove, argparse.Namespace], Groove]
"""Makes the groove of the file in, with a `Lab`, into that of the file out."""
Read = Callable[[Path, str | None], MidiReading]
"""Reads a file, or the track of it that is named or numbered."""


def add_lab_commands(commands: Any) -> None:
    """Add the five commands to the parsers of a command line."""
    humanize = _add(commands, "humanize", "keep every note, play it anew", _humanize)
    drumify = _add(commands, "drumify", "make a kit part of any rhythm", _drumify, _read_rhythm)
    transfer = _add(commands, "transfer", "play the notes with the feel of another", _transfer)
    fill = _add(commands, "fill", "write voices or bars anew, hold the rest", _fill)
    more = _add(commands, "continue", "go on from where the file ends", _continue)
    for parser in (humanize, transfer):
        _add_amounts(parser)
    for parser in (drumify, fill, more):
        parser.add_argument("--temperature", type=float, default=1.0, help="of the notes")
        parser.add_argument("--hits-a-bar", type=float, help="of all voices together")
    feel = transfer.add_argument_group("whose feel").add_mutually_exclusive_group(required=True)
    feel.add_argument("--feel", type=Path, metavar="FEEL.mid", help="of another file")
    for parser in (humanize, drumify, fill, more):
        _add_names(parser)
    _add_names(feel)
    add_track(transfer, "--feel-track", where="of FEEL.mid in place of channel 10")
    fill.add_argument("--voices", nargs="+", default=list(VOICES), metavar="VOICE")
    fill.add_argument("--bars", nargs="+", metavar="BAR", help="such as 4 or 5-8; by default all")
    more.add_argument("--bars", type=int, default=4, help="how many more")


def _add(
    commands: Any, name: str, summary: str, play: Play, read: Read = read_drums
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary)
    parser.add_argument("midi", type=Path, metavar="IN.mid")
    parser.add_argument("out", type=Path, metavar="OUT.mid")
    add_track(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--feel-temperature", type=float, default=1.0)
    parser.add_argument("--checkpoint", type=Path, default=_SHIPPED, help="a groove lab's")
    parser.set_defaults(command=lambda options: _run(options, play, read))
    return parser


def _add_amounts(parser: argparse.ArgumentParser) -> None:
    for name, summary in (
        ("dynamics", "0 keeps the file's, 100 takes the new ones, up to 200"),
        ("timing", "the same of the timing"),
        ("quantise", "0 to 100: how far to move hits to the grid"),
    ):
        usual = 0.0 if name == "quantise" else 100.0
        parser.add_argument(f"--{name}", type=float, default=usual, metavar="PERCENT", help=summary)


def _add_names(parser: Any) -> None:
    parser.add_argument("--style", help="one of the data set's, such as funk")
    parser.add_argument("--drummer", help="one of the data set's, drummer1 to drummer10")


def _read_rhythm(path: Path, track: str | None) -> MidiReading:
    return read_rhythm(path, track=track)


def _run(options: argparse.Namespace, play: Play, read: Read) -> None:
    from musicvae_core.lab.checkpoint import load_lab_checkpoint
    from musicvae_core.lab.tools import Lab

    check_file(options.out)
    reading = read(options.midi, options.track)
    print(f"{options.midi}: {reading.summary}")
    groove = play(Lab(load_lab_checkpoint(options.checkpoint)), reading.groove, options)
    write_content(options.out, write_midi(groove))
    print(f"{options.out}: {groove.n_bars} bars, {groove.n_hits} notes")


def _humanize(lab: Any, groove: Groove, options: argparse.Namespace) -> Groove:
    made: Groove = lab.humanize(
        groove, amounts=_amounts(options), wishes=_wishes(options), chance=_chance(options)
    )
    return made


def _drumify(lab: Any, groove: Groove, options: argparse.Namespace) -> Groove:
    made: Groove = lab.drumify(groove, wishes=_wishes(options), chance=_chance(options))
    return made


def _transfer(lab: Any, groove: Groove, options: argparse.Namespace) -> Groove:
    if options.feel is None:
        return _humanize(lab, groove, options)
    feel = read_drums(options.feel, options.feel_track)
    print(f"{options.feel}: {feel.summary}")
    made: Groove = lab.transfer(
        feel.groove, groove, amounts=_amounts(options), chance=_chance(options)
    )
    return made


def _fill(lab: Any, groove: Groove, options: argparse.Namespace) -> Groove:
    made: Groove = lab.fill_in(
        groove,
        voices=[_voice(name) for name in options.voices],
        bars=None if options.bars is None else _bars(options.bars, groove.n_bars),
        wishes=_wishes(options),
        chance=_chance(options),
    )
    return made


def _continue(lab: Any, groove: Groove, options: argparse.Namespace) -> Groove:
    made: Groove = lab.carry_on(
        groove, options.bars, wishes=_wishes(options), chance=_chance(options)
    )
    return made


def _amounts(options: argparse.Namespace) -> Amounts:
    return Amounts(options.dynamics / 100, options.timing / 100, options.quantise / 100)


def _wishes(options: argparse.Namespace) -> Wishes:
    return Wishes(options.style, options.drummer, getattr(options, "hits_a_bar", None))


def _chance(options: argparse.Namespace) -> Chance:
    temperature = getattr(options, "temperature", 1.0)
    return Chance(temperature, options.feel_temperature, options.seed)


def _voice(name: str) -> int:
    if name not in VOICES:
        raise ConfigError(f"There is no voice {name!r}; choose of {', '.join(VOICES)}.")
    return VOICES.index(name)


def _bars(texts: Sequence[str], n_bars: int) -> list[int]:
    """Return the bars that `4` and `5-8` say, counted from 0; of those past the end not all."""
    bars: list[int] = []
    for text in texts:
        first, _, last = text.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()):
            raise ConfigError(f"--bars {text} is no bar; write it as 4 or 5-8.")
        bars += range(int(first) - 1, int(last or first))[: n_bars + 1]
    return bars
