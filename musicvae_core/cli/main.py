"""The command line; `musicvae --help` or `python -m musicvae_core --help` lists the commands.

Each command imports what it needs when it runs, so that `render` does not wait for torch.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musicvae_core.cli.arguments import (
    add_count,
    add_data_source,
    add_loop,
    add_map,
    add_seed,
    add_track,
    read_data,
    read_drums,
)
from musicvae_core.cli.checkpoints import add_checkpoint_commands, add_data
from musicvae_core.cli.experiments import add_experiment
from musicvae_core.cli.transform import add_interpolate, add_lab_commands
from musicvae_core.data.files import check_file, file_stem, make_folder, write_content
from musicvae_core.errors import ConfigError, MusicVAEError
from musicvae_core.music.line import Line
from musicvae_core.music.midi.scan import MAX_BARS
from musicvae_core.music.piece import Plays

if TYPE_CHECKING:
    from musicvae_core.studio import Studio

_WHAT = "Sample, morph, steer and complete grooves; train models and measure them."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or 2 with one sentence on standard error."""
    try:
        options = _make_parser().parse_args(arguments)
        logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING)
        options.command(options)
    except BrokenPipeError:
        sys.stderr.close()
    except (MusicVAEError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    is_script = Path(sys.argv[0]).stem == "musicvae"
    program = "musicvae" if is_script else "python -m musicvae_core"
    parser = argparse.ArgumentParser(prog=program, description=_WHAT)
    parser.add_argument("-v", "--verbose", action="store_true", help="log more")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    add_data(commands.add_parser("data", help="read a data set and print its contents"))
    add_checkpoint_commands(commands)
    _add_evaluate(commands.add_parser("evaluate", help="measure a checkpoint on held-out music"))
    add_experiment(commands.add_parser("experiment", help="run an experiment of the model cards"))
    _add_sample(commands.add_parser("sample", help="sample grooves, melodies or trios into files"))
    add_interpolate(commands.add_parser("interpolate", help="morph between MIDI files"))
    add_lab_commands(commands)
    _add_render(commands.add_parser("render", help="render a MIDI file as WAV"))
    _add_bench(commands.add_parser("bench", help="measure speed on this machine"))
    return parser


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path)
    add_data_source(parser)
    parser.add_argument("--split", default="test", choices=("train", "validation", "test"))
    add_count(parser, "--limit", 1, 10**6, help="use at most this many windows, evenly spread")
    add_seed(parser)
    parser.add_argument("--prior", choices=("learned", "normal"))
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.set_defaults(command=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    from musicvae_core.evaluation.metrics import evaluate, evaluate_lines
    from musicvae_core.models.checkpoint import load_checkpoint
    from musicvae_core.models.kinds import kind_of

    checkpoint = load_checkpoint(options.checkpoint)
    kind = kind_of(checkpoint.config)
    measure: Any = evaluate if kind.plays == "drums" else evaluate_lines
    how = {"limit": options.limit, "seed": options.seed, "prior": options.prior}
    metrics = measure(
        checkpoint, read_data(kind, options, checkpoint.config.grid), options.split, **how
    )
    print(json.dumps(metrics, indent=None if options.json else 2))


def _add_sample(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("-n", type=int, default=16, help="how many to sample")
    own = "0 to 2, from the likeliest notes to wild ones; by default the model's own"
    parser.add_argument("--temperature", type=float, help=own)
    parser.add_argument("--seed", type=int, default=0)
    add_count(parser, "--bars", 1, MAX_BARS, help="repeat each to this many bars")
    parser.add_argument("--tempo", type=float, default=120.0, help="beats per minute")
    parser.add_argument("--prior", default="learned", choices=("learned", "normal"))
    parser.add_argument("--out", type=Path, required=True)
    add_loop(parser)
    parser.add_argument("--wav", action="store_true", help="write sound beside each MIDI file")
    parser.add_argument("--kit", help="a drum kit of the SoundFont, by name")
    program = "the General MIDI instrument that plays a melody; 0 is the piano"
    add_count(parser, "--program", 0, 127, help=program)
    parser.set_defaults(command=_sample)


def _sample(options: argparse.Namespace) -> None:
    from musicvae_core.studio import Studio, limit_threads

    limit_threads()
    make_folder(options.out)
    folder = options.checkpoint.resolve()
    studio = Studio(folder.parent)
    files = _sampled(studio, folder.name, options)
    count = 0
    for count, (midi, wav) in enumerate(files, start=1):
        stem = f"{file_stem(folder.name)}_seed{options.seed}_{count - 1:02d}"
        write_content(options.out / f"{stem}.mid", midi)
        if wav is not None:
            write_content(options.out / f"{stem}.wav", wav)
    print(f"{count} {'sample' if count == 1 else 'samples'} in {options.out}")


_NOT_OF: Mapping[Plays, tuple[str, str]] = {
    "drums": ("program", "drums: give --kit, not --program."),
    "line": ("kit", "melodies: give --program, not --kit."),
}
"""The option that a model has no use for, by what it plays, and what is said of it."""


def _sampled(
    studio: Studio, model: str, options: argparse.Namespace
) -> Iterator[tuple[bytes, bytes | None]]:
    """Yield the MIDI of each sample and, if it was asked for, its sound."""
    from musicvae_core.models.kinds import kind_of

    option, remedy = _NOT_OF.get(kind_of(studio.checkpoint(model).config).plays, ("", ""))
    if option and getattr(options, option) is not None:
        raise ConfigError(f"The model {model} plays {remedy}")
    takes = studio.sample(
        model,
        options.n,
        temperature=options.temperature,
        tempo_bpm=options.tempo,
        seed=options.seed,
        prior=options.prior,
    )
    n_bars = takes[0].groove.n_bars if options.bars is None else options.bars
    for take in takes:
        music = take.groove.repeated(n_bars)
        if isinstance(music, Line):
            music = dataclasses.replace(music, program=options.program or 0)
        wav = studio.wav(music, options.kit) if options.wav else None
        yield studio.midi(music, loop=options.loop), wav


def _add_render(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("midi", type=Path, metavar="IN.mid")
    parser.add_argument("wav", type=Path, metavar="OUT.wav")
    add_track(parser)
    add_map(parser)
    parser.add_argument("--kit", help="a drum kit of the SoundFont, by name")
    parser.add_argument("--soundfont", type=Path)
    parser.add_argument("--tempo", type=float, help="beats per minute, instead of the file's")
    what = "play the melody instead of the drums: that of --track, or the highest line"
    parser.add_argument("--melody", action="store_true", help=what)
    instrument = "the General MIDI instrument of the melody, instead of the file's"
    add_count(parser, "--program", 0, 127, help=instrument)
    parser.set_defaults(command=_render)


def _render(options: argparse.Namespace) -> None:
    from musicvae_core.sound.render import Renderer, wav_bytes

    check_file(options.wav)
    if options.melody:
        _render_melody(options)
        return
    if options.program is not None:
        raise ConfigError("Drums have a kit, not an instrument: give --kit, or --melody too.")
    reading = read_drums(options.midi, options, grid=None)
    tempo_bpm = reading.groove.tempo_bpm if options.tempo is None else options.tempo
    groove = reading.groove.at_tempo(tempo_bpm)
    sound = Renderer(options.soundfont).render(groove, options.kit)
    write_content(options.wav, wav_bytes(sound))
    print(reading.summary)


def _render_melody(options: argparse.Namespace) -> None:
    from musicvae_core.music.line_midi import read_line
    from musicvae_core.sound.render import Renderer, render_music, wav_bytes

    if options.kit or options.map or len(options.track or ()) > 1:
        raise ConfigError("A melody is of one track, and has neither kit nor map: leave them out.")
    track = options.track[0] if options.track else None
    reading = read_line(options.midi, track=track, grid=None)
    line = reading.line
    if options.tempo is not None:
        line = dataclasses.replace(line, tempo_bpm=options.tempo)
    if options.program is not None:
        line = dataclasses.replace(line, program=options.program)
    write_content(options.wav, wav_bytes(render_music(Renderer(options.soundfont), line)))
    print(reading.summary)


def _add_bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", type=Path, help="default: the shipped drums_2bar")
    parser.add_argument("--data", type=Path, help="a data set for measuring MIDI reading")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--compile", action="store_true", help="measure compiled models")
    parser.add_argument(
        "--table",
        action="store_true",
        help="only decoding and training, compiled and not, beside what memory allows",
    )
    parser.add_argument("--json", action="store_true", help="print one line of JSON")
    parser.set_defaults(command=_bench)


def _bench(options: argparse.Namespace) -> None:
    from musicvae_core.cli.bench import bench, speed_table

    if options.table:
        print(speed_table(options.checkpoint, options.device))
        return
    report = bench(options.checkpoint, options.data, options.device, compiled=options.compile)
    print(json.dumps(report, indent=None if options.json else 2))
