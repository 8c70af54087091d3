"""The commands that change music: a morph between MIDI files, and the groove lab on one of them.

Each imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musicvae_core.cli.arguments import (
    add_count,
    add_loop,
    add_map,
    add_seed,
    add_track,
    read_drums,
)
from musicvae_core.data.files import check_file, make_folder, write_content
from musicvae_core.errors import ConfigError, MidiError, SoundTooLongError
from musicvae_core.lab.options import Amounts, Preferences, Sampling
from musicvae_core.music.drums import VOICES
from musicvae_core.music.grid import Grid
from musicvae_core.music.groove import Groove
from musicvae_core.music.midi.read import MidiReading, read_midi, read_rhythm
from musicvae_core.music.midi.scan import MAX_BARS
from musicvae_core.music.midi.write import write_midi

if TYPE_CHECKING:
    from musicvae_core.models.config import ModelConfig
    from musicvae_core.studio import Studio


def add_interpolate(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `interpolate`."""
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("midi", type=Path, nargs="+", metavar="MIDI", help="two files, or four")
    parser.add_argument("--steps", type=int, default=9, help="3 to 33, both ends included")
    parser.add_argument("--out", type=Path, required=True)
    add_loop(parser)
    parser.add_argument("--wav", action="store_true", help="write sound too, up to 6 minutes")
    parser.add_argument("--kit", help="a drum kit of the SoundFont, by name")
    add_track(parser, where="in files with nothing on channel 10")
    add_map(parser)
    parser.add_argument(
        "--from-bar",
        type=int,
        help="the first bar to take from a longer file; by default its first with a hit",
    )
    parser.add_argument("--tempo", type=float, help="beats per minute, instead of the first file's")
    parser.add_argument("--temperature", type=float, default=0.0)
    add_seed(parser)
    parser.add_argument(
        "--curve",
        choices=("refined", "slerp", "lerp"),
        default="refined",
        help="refined is pulled towards real music; the others are for comparison",
    )
    parser.add_argument("--exact-ends", action="store_true", help="keep the files' own notes")
    of_steps = "bars per step of the piece; by default the model's length"
    add_count(parser, "--bars", 1, MAX_BARS, help=of_steps)
    parser.set_defaults(command=_interpolate)


def _interpolate(options: argparse.Namespace) -> None:
    """Write the steps of a morph and the piece that they make, and print how the ends fared."""
    from musicvae_core.studio import Studio, limit_threads

    limit_threads()
    make_folder(options.out)
    folder = options.checkpoint.resolve()
    studio = Studio(folder.parent)
    config = studio.checkpoint(folder.name).config
    n_bars = config.n_bars
    ends = [_read_end(path, config, options) for path in options.midi]
    morph = studio.morph(
        folder.name,
        ends,
        options.steps,
        curve=options.curve,
        temperature=options.temperature,
        tempo_bpm=ends[0].tempo_bpm if options.tempo is None else options.tempo,
        seed=options.seed,
        exact_ends=options.exact_ends,
    )
    for path, back in zip(options.midi, morph.reconstructions, strict=True):
        print(f"{path}: {back.summary}")
    bars = n_bars if options.bars is None else options.bars
    steps = [groove for groove in morph.grooves if isinstance(groove, Groove)]  # as the ends are
    piece = Groove.joined([groove.repeated(bars) for groove in steps])
    _write(studio, steps, piece, options)


def _read_end(path: Path, config: ModelConfig, options: argparse.Namespace) -> Groove:
    """Read a file as a groove of the model's length, and print how it was made so."""
    try:
        reading = read_drums(path, options, config.grid, channel_10_first=True)
    except MidiError as error:
        raise ConfigError(f"{path}: {error}") from error
    print(f"{path}: {reading.summary}")
    from_bar = options.from_bar
    if from_bar is None:
        reading, from_bar = reading.from_first_hit(), 1
    groove, n_bars = reading.groove, config.n_bars
    if groove.n_bars > n_bars:
        last = groove.n_bars - n_bars + 1
        if not 1 <= from_bar <= last:
            raise ConfigError(
                f"{path} has {groove.n_bars} bars and the model plays {n_bars}: "
                f"--from-bar is {from_bar} and must be 1 to {last}."
            )
        first = reading.first_bar + from_bar
        print(f"{path}: {n_bars} of {groove.n_bars} bars are used, from bar {first} on")
        return groove.bars(from_bar - 1, n_bars)
    if groove.n_bars < n_bars:
        print(f"{path}: repeated from {groove.n_bars} to {n_bars} bars")
    return groove.repeated(n_bars)


def _write(
    studio: Studio, steps: Sequence[Groove], piece: Groove, options: argparse.Namespace
) -> None:
    """Write the steps and the piece, with their sound; a piece too long to render has none."""
    if options.wav:
        studio.check_sound(steps[0], options.kit)  # all are as long
    named = {f"{step:02d}": groove for step, groove in enumerate(steps)} | {"morph": piece}
    for name, groove in named.items():
        write_content(options.out / f"{name}.mid", studio.midi(groove, loop=options.loop))
        if options.wav:
            _write_sound(studio, name, groove, options)
    print(f"{len(steps)} steps and the piece, morph.mid, in {options.out}")


def _write_sound(studio: Studio, name: str, groove: Groove, options: argparse.Namespace) -> None:
    try:
        write_content(options.out / f"{name}.wav", studio.wav(groove, options.kit))
    except SoundTooLongError as error:
        print(f"{name}.wav is left out. {error}")


_SHIPPED = Path(__file__).parents[2] / "checkpoints" / "groove_lab"

_Play = Callable[[Any, Groove, argparse.Namespace], Groove]
"""Makes the groove of the file in, with a `Lab`, into that of the file out."""
_Read = Callable[[Path, argparse.Namespace, Grid], MidiReading]
"""Reads a file as the options say."""


def add_lab_commands(commands: Any) -> None:
    """Add the five commands to the parsers of a command line."""
    humanize = _add(
        commands, "humanize", "keep the notes, give them velocity and timing", _humanize
    )
    drumify = _add(commands, "drumify", "make a kit part of any rhythm", _drumify, _read_rhythm)
    transfer = _add(commands, "transfer", "play the notes with the feel of another", _transfer)
    fill = _add(commands, "fill", "rewrite voices or bars, keep the rest", _fill)
    more = _add(commands, "continue", "continue where the file ends", _continue)
    for parser in (humanize, transfer):
        _add_amounts(parser)
    for parser in (drumify, fill, more):
        parser.add_argument(
            "--temperature", type=float, default=1.0, help="temperature of the notes"
        )
        parser.add_argument("--hits-a-bar", type=float, help="hits per bar, over all voices")
    feel = transfer.add_argument_group("whose feel").add_mutually_exclusive_group(required=True)
    feel.add_argument("--feel", type=Path, metavar="FEEL.mid", help="a file whose feel to take")
    for parser in (humanize, drumify, fill, more):
        _add_names(parser)
    _add_names(feel)
    add_track(transfer, "--feel-track", where="in FEEL.mid instead of channel 10")
    fill.add_argument("--voices", nargs="+", default=list(VOICES), metavar="VOICE")
    fill.add_argument(
        "--bars", nargs="+", metavar="BAR", help="bars such as 4 or 5-8; by default all"
    )
    more.add_argument("--bars", type=int, default=4, help="how many bars to add")


def _add(
    commands: Any, name: str, summary: str, play: _Play, read: _Read = read_drums
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=summary)
    parser.add_argument("midi", type=Path, metavar="IN.mid")
    parser.add_argument("out", type=Path, metavar="OUT.mid")
    add_track(parser)
    if read is read_drums:
        add_map(parser)
    add_loop(parser)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--feel-temperature", type=float, default=1.0)
    parser.add_argument(
        "--checkpoint", type=Path, default=_SHIPPED, help="a groove lab's checkpoint"
    )
    parser.set_defaults(command=lambda options: _run(options, play, read))
    return parser


def _add_amounts(parser: argparse.ArgumentParser) -> None:
    for name, summary in (
        ("dynamics", "0 keeps the file's velocities, 100 uses the new ones, 200 exaggerates"),
        ("timing", "the same for the timing"),
        ("quantise", "0 to 100: how far to move hits to the grid"),
    ):
        usual = 0.0 if name == "quantise" else 100.0
        parser.add_argument(f"--{name}", type=float, default=usual, metavar="PERCENT", help=summary)


def _add_names(parser: Any) -> None:
    parser.add_argument("--style", help="a style of the data set, such as funk")
    parser.add_argument("--drummer", help="a drummer of the data set, drummer1 to drummer10")


def _read_rhythm(path: Path, options: argparse.Namespace, grid: Grid) -> MidiReading:
    return read_rhythm(path, track=options.track, grid=grid)


def _run(options: argparse.Namespace, play: _Play, read: _Read) -> None:
    from musicvae_core.lab.tools import Lab
    from musicvae_core.models.checkpoint import load_checkpoint
    from musicvae_core.models.lab import GrooveLab
    from musicvae_core.studio import limit_threads

    limit_threads()
    check_file(options.out)
    lab = Lab(load_checkpoint(options.checkpoint, GrooveLab))
    reading = read(options.midi, options, lab.grid)
    print(f"{options.midi}: {reading.notes_summary}")
    # silent first bars are left out, but keep their place; --bars counts from bar 1
    n_silent = 0 if getattr(options, "bars", None) else reading.n_silent_bars
    sounding = reading.groove.bars(n_silent, reading.groove.n_bars - n_silent)
    groove = play(lab, sounding, options)
    if n_silent:
        groove = Groove.joined([Groove.silent(n_silent, groove.tempo_bpm, groove.grid), groove])
    write_content(options.out, write_midi(groove, loop=options.loop, tempo_map=reading.tempo_map))
    kept = "" if reading.tempo_map.is_steady else "; the file's changes of tempo are kept"
    bars = "1 bar" if groove.n_bars == 1 else f"{groove.n_bars} bars"
    notes = "1 note" if groove.n_hits == 1 else f"{groove.n_hits} notes"
    print(f"{options.out}: {bars}, {notes}{kept}")


def _humanize(lab: Any, groove: Groove, options: argparse.Namespace) -> Groove:
    made: Groove = lab.humanize(
        groove,
        amounts=_amounts(options),
        preferences=_preferences(options),
        sampling=_sampling(options),
    )
    return made


def _drumify(lab: Any, groove: Groove, options: argparse.Namespace) -> Groove:
    made: Groove = lab.drumify(
        groove, preferences=_preferences(options), sampling=_sampling(options)
    )
    return made


def _transfer(lab: Any, groove: Groove, options: argparse.Namespace) -> Groove:
    if options.feel is None:
        return _humanize(lab, groove, options)
    feel = read_midi(
        options.feel, treat_as_drums=options.feel_track, drum_map=options.map, grid=lab.grid
    )
    feel = feel.from_first_hit()
    print(f"{options.feel}: {feel.summary}")
    made: Groove = lab.transfer(
        feel.groove, groove, amounts=_amounts(options), sampling=_sampling(options)
    )
    return made


def _fill(lab: Any, groove: Groove, options: argparse.Namespace) -> Groove:
    made: Groove = lab.fill_in(
        groove,
        voices=[_voice(name) for name in options.voices],
        bars=None if options.bars is None else _bars(options.bars, groove.n_bars),
        preferences=_preferences(options),
        sampling=_sampling(options),
    )
    return made


def _continue(lab: Any, groove: Groove, options: argparse.Namespace) -> Groove:
    made: Groove = lab.continue_groove(
        groove, options.bars, preferences=_preferences(options), sampling=_sampling(options)
    )
    return made


def _amounts(options: argparse.Namespace) -> Amounts:
    return Amounts(options.dynamics / 100, options.timing / 100, options.quantise / 100)


def _preferences(options: argparse.Namespace) -> Preferences:
    return Preferences(options.style, options.drummer, getattr(options, "hits_a_bar", None))


def _sampling(options: argparse.Namespace) -> Sampling:
    temperature = getattr(options, "temperature", 1.0)
    return Sampling(temperature, options.feel_temperature, options.seed)


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
