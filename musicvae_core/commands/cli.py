"""The command line; `python -m musicvae_core --help` lists the commands.

Each command imports what it needs when it runs, so that `render` does not wait for torch.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from musicvae_core.commands.arguments import add_count, add_seed, add_track, read_drums
from musicvae_core.commands.checkpoints import add_checkpoint_commands
from musicvae_core.commands.experiments import add_experiment
from musicvae_core.commands.lab import add_lab_commands
from musicvae_core.errors import MusicVAEError
from musicvae_core.files import check_file, make_folder, write_content
from musicvae_core.midi_scan import MAX_BARS


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or 2 with one sentence on standard error."""
    try:
        options = _parser().parse_args(arguments)
        logging.basicConfig(level=logging.INFO if options.verbose else logging.WARNING)
        options.command(options)
    except BrokenPipeError:
        sys.stderr.close()
    except (MusicVAEError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m musicvae_core", description=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="log what is done")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_data(commands.add_parser("data", help="read the data set and print what is in it"))
    add_checkpoint_commands(commands)
    _add_evaluate(commands.add_parser("evaluate", help="measure a checkpoint on held-out music"))
    add_experiment(commands.add_parser("experiment", help="make the figures of a model card"))
    _add_sample(commands.add_parser("sample", help="draw grooves and write them as files"))
    _add_interpolate(commands.add_parser("interpolate", help="morph between MIDI files"))
    add_lab_commands(commands)
    _add_render(commands.add_parser("render", help="make a WAV file of a drum MIDI file"))
    _add_bench(commands.add_parser("bench", help="measure speed on this machine"))
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="the zip, its folder, or any folder of MIDI")
    source.add_argument("--download", action="store_true", help="fetch the public archive")
    parser.add_argument("--out", type=Path, default=Path("data"), help="where to download to")
    parser.set_defaults(command=_data)


def _data(options: argparse.Namespace) -> None:
    from musicvae_core.dataset import SPLITS, load_dataset
    from musicvae_core.download import download_archive

    path = download_archive(options.out) if options.download else options.data
    dataset = load_dataset(path)
    labels, grooves = dataset.labels, dataset.grooves
    seconds = sum(groove.duration_seconds for groove in grooves)
    print(f"{path}: {len(labels)} performances read, {seconds / 3600:.2f} hours")
    _print_counts("split", (label.split for label in labels))
    _print_counts("style", (label.style for label in labels))
    _print_counts("drummer", (label.drummer for label in labels))
    _print_counts("beat type", (label.beat_type for label in labels))
    _print_counts("metre", dataset.metres.elements())
    _print_counts("skipped", dataset.skipped.elements())
    _print_counts("notes dropped", dataset.dropped.elements())
    for n_bars in (2, 4, 16):
        counts = [
            sum(
                max(0, g.n_bars - n_bars + 1)
                for g, label in zip(grooves, labels, strict=True)
                if label.split == split
            )
            for split in SPLITS
        ]
        print(f"windows of {n_bars} bars: " + " / ".join(f"{count:,}" for count in counts))


def _print_counts(title: str, values: Iterable[str]) -> None:
    counts = Counter(value or "unknown" for value in values).most_common()
    print(f"{title}: " + (", ".join(f"{value} {n}" for value, n in counts) or "none"))


def _add_evaluate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="test", choices=("train", "validation", "test"))
    add_count(parser, "--limit", 1, 10**6, help="use this many windows, evenly spread")
    add_seed(parser)
    parser.add_argument("--prior", choices=("learned", "normal"))
    parser.add_argument("--json", action="store_true", help="one line, for programs")
    parser.set_defaults(command=_evaluate)


def _evaluate(options: argparse.Namespace) -> None:
    from musicvae_core.checkpoint import load_checkpoint
    from musicvae_core.dataset import load_dataset
    from musicvae_core.evaluate import evaluate

    metrics = evaluate(
        load_checkpoint(options.checkpoint),
        load_dataset(options.data),
        options.split,
        limit=options.limit,
        seed=options.seed,
        prior=options.prior,
    )
    print(json.dumps(metrics, indent=None if options.json else 2))


def _add_sample(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("-n", type=int, default=16, help="how many")
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    add_count(parser, "--bars", 1, MAX_BARS, help="repeat each groove to this many bars")
    parser.add_argument("--tempo", type=float, default=120.0, help="beats a minute")
    parser.add_argument("--prior", default="learned", choices=("learned", "normal"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--wav", action="store_true", help="write sound beside each MIDI file")
    parser.add_argument("--kit", help="a drum kit of the SoundFont, by name")
    parser.set_defaults(command=_sample)


def _sample(options: argparse.Namespace) -> None:
    from musicvae_core.studio import Studio

    make_folder(options.out)
    folder = options.checkpoint.resolve()
    studio = Studio(folder.parent)
    takes = studio.sample(
        folder.name,
        options.n,
        temperature=options.temperature,
        tempo_bpm=options.tempo,
        seed=options.seed,
        prior=options.prior,
    )
    n_bars = takes[0].groove.n_bars if options.bars is None else options.bars
    if options.wav:
        studio.check_sound(takes[0].groove.repeated(n_bars), options.kit)  # all are as long
    for index, take in enumerate(takes):
        groove = take.groove.repeated(n_bars)
        stem = f"{folder.name}_seed{options.seed}_{index:02d}"
        write_content(options.out / f"{stem}.mid", studio.midi(groove))
        if options.wav:
            write_content(options.out / f"{stem}.wav", studio.wav(groove, options.kit))
    print(f"{len(takes)} {'groove' if len(takes) == 1 else 'grooves'} in {options.out}")


def _add_interpolate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("midi", type=Path, nargs="+", metavar="MIDI", help="two files, or four")
    parser.add_argument("--steps", type=int, default=9, help="3 to 33, both ends included")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--wav", action="store_true", help="write sound too, up to 6 minutes")
    parser.add_argument("--kit", help="a drum kit of the SoundFont, by name")
    add_track(parser, where="of a file that has nothing on channel 10")
    parser.add_argument("--from-bar", type=int, default=1, help="where a longer file is cut")
    parser.add_argument("--tempo", type=float, help="in place of the first file's")
    parser.add_argument("--temperature", type=float, default=0.0)
    add_seed(parser)
    parser.add_argument("--lerp", action="store_true", help="a straight line, to compare")
    parser.add_argument("--exact-ends", action="store_true", help="keep the files' own notes")
    of_steps = "of each step in the piece; by default the model's"
    add_count(parser, "--bars", 1, MAX_BARS, help=of_steps)
    parser.set_defaults(command=_interpolate)


def _interpolate(options: argparse.Namespace) -> None:
    from musicvae_core.commands.interpolate import interpolate

    interpolate(options)


def _add_render(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("midi", type=Path, metavar="IN.mid")
    parser.add_argument("wav", type=Path, metavar="OUT.wav")
    add_track(parser)
    parser.add_argument("--kit", help="a drum kit of the SoundFont, by name")
    parser.add_argument("--soundfont", type=Path)
    parser.add_argument("--tempo", type=float, help="beats a minute, in place of the file's")
    parser.set_defaults(command=_render)


def _render(options: argparse.Namespace) -> None:
    from musicvae_core.sound.render import Renderer, wav_bytes

    check_file(options.wav)
    reading = read_drums(options.midi, options.track)
    tempo_bpm = reading.groove.tempo_bpm if options.tempo is None else options.tempo
    groove = reading.groove.at_tempo(tempo_bpm)
    sound = Renderer(options.soundfont).render(groove, options.kit)
    write_content(options.wav, wav_bytes(sound))
    print(reading.summary)


def _add_bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--checkpoint", type=Path, help="by default the shipped drums_2bar")
    parser.add_argument("--data", type=Path, help="measure MIDI reading on these files")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--json", action="store_true", help="one line, for programs")
    parser.set_defaults(command=_bench)


def _bench(options: argparse.Namespace) -> None:
    from musicvae_core.commands.bench import bench

    report = bench(options.checkpoint, options.data, options.device)
    print(json.dumps(report, indent=None if options.json else 2))
