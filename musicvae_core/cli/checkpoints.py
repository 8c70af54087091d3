"""The commands that describe a data set, and that make a checkpoint and the files beside it.

Each imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musicvae_core.cli.arguments import (
    add_count,
    add_data_source,
    add_reading,
    add_seed,
    read_data,
)
from musicvae_core.data.files import make_folder
from musicvae_core.errors import ConfigError, OptionError
from musicvae_core.models.presets import PRESETS, override, preset
from musicvae_core.music.grid import COMMON_TIME, Grid

if TYPE_CHECKING:
    from musicvae_core.data.dataset import Dataset
    from musicvae_core.data.lines import LineDataset

_LENGTHS = (2, 4, 16)


def add_data(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--data",
        type=Path,
        help="a zip, its folder, or a folder of melody_*.zip, trio_*.zip or MIDI files",
    )
    source.add_argument("--download", action="store_true", help="download the Groove MIDI Dataset")
    parser.add_argument("--out", type=Path, default=Path("data"), help="the folder to download to")
    reading = parser.add_mutually_exclusive_group()
    reading.add_argument("--melody", action="store_true", help="read melodies instead of drums")
    reading.add_argument("--trio", action="store_true", help="read melody, bass and drums")
    add_reading(parser)
    parser.set_defaults(command=_data)


def _data(options: argparse.Namespace) -> None:
    from musicvae_core.data.download import download_archive
    from musicvae_core.data.trios import form_of_set

    path = download_archive(options.out) if options.download else options.data
    form = form_of_set(path)
    if options.trio or form == "piece":
        _describe_trios(path)
    elif options.melody or form == "line":
        _describe_lines(path, options)
    else:
        _describe_drums(path, options)


def _describe_drums(path: Path, options: argparse.Namespace) -> None:
    dataset = _read_dataset(path, options)
    labels, grooves = dataset.labels, dataset.grooves
    seconds = sum(groove.duration_seconds for groove in grooves)
    print(f"{path}: {len(labels)} performances read, {seconds / 3600:.2f} hours")
    _print_counts("split", (label.split for label in labels))
    _print_counts("style", (label.style for label in labels))
    _print_counts("drummer", (label.drummer for label in labels))
    _print_counts("beat type", (label.beat_type for label in labels))
    _print_counts("metre", dataset.metres.elements())
    _print_skipped(dataset.skipped)
    _print_counts("notes dropped", dataset.dropped.elements())
    _print_windows(
        lambda split, n_bars: sum(
            max(0, groove.n_bars - n_bars + 1)
            for groove, label in zip(grooves, labels, strict=True)
            if label.split == split
        )
    )


def _read_dataset(path: Path, options: argparse.Namespace, grid: Grid = COMMON_TIME) -> Dataset:
    """Read a set of drums as the options of `add_reading` say."""
    from musicvae_core.data.dataset import load_dataset

    return load_dataset(path, tracks=options.track, drum_map=options.map, grid=grid)


def _read_melodies(path: Path, options: argparse.Namespace) -> LineDataset:
    """Read a set of melodies, which the options of `add_reading` do not apply to.

    Raises
    ------
    OptionError
        If one of them is given.
    """
    from musicvae_core.data.lines import load_lines

    if options.track or options.map:
        raise OptionError("--track and --map are for drums, and this is about melodies.")
    return load_lines(path)


def _describe_lines(path: Path, options: argparse.Namespace) -> None:
    dataset = _read_melodies(path, options)
    readings = dataset.readings
    seconds = sum(reading.line.duration_seconds for reading in readings)
    print(f"{path}: {len(readings)} melodies read, {seconds / 3600:.2f} hours")
    _print_counts("split", (label.split for label in dataset.labels))
    _print_counts("collection", (label.collection for label in dataset.labels))
    _print_skipped(dataset.skipped)
    dropped = sum((Counter(reading.dropped) for reading in readings), Counter[str]())
    _print_counts("notes dropped", dropped.elements())
    _print_windows(dataset.n_windows)


def _describe_trios(path: Path) -> None:
    from musicvae_core.data.trios import load_trios

    dataset = load_trios(path)
    print(f"{path}: {len(dataset.songs)} songs read with melody, bass and drums")
    _print_counts("split", (label.split for label in dataset.labels))
    _print_skipped(dataset.skipped)
    _print_windows(dataset.n_windows)


def _print_windows(count: Callable[[str, int], int]) -> None:
    from musicvae_core.data.windows import SPLITS

    for n_bars in _LENGTHS:
        counts = " / ".join(f"{count(split, n_bars):,}" for split in SPLITS)
        print(f"windows of {n_bars} bars: {counts}")


def _print_skipped(reasons: Counter[str]) -> None:
    print(f"skipped: {reasons.total() or 'none'}")
    for reason, count in reasons.most_common():
        print(f"  {count} {'file' if count == 1 else 'files'}: {reason}")


def _print_counts(title: str, values: Iterable[str]) -> None:
    counts = Counter(value or "unknown" for value in values).most_common()
    print(f"{title}: " + (", ".join(f"{value} {n}" for value, n in counts) or "none"))


def add_checkpoint_commands(commands: Any) -> None:
    """Add the five commands to the parsers of a command line."""
    _add_train(commands.add_parser("train", help="train a preset"))
    _add_fit_prior(commands.add_parser("fit-prior", help="fit the prior that sampling uses"))
    _add_atlas(commands.add_parser("atlas", help="make the points of the Map page"))
    _add_attribute_vectors(
        commands.add_parser("attribute-vectors", help="fit the vectors of the Attributes page")
    )
    _add_store(commands.add_parser("store", help="write a checkpoint with fewer bits per weight"))


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", required=True, help=", ".join(PRESETS))
    add_data_source(parser)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", action="store_true", help="continue from OUT/training.pt")
    parser.add_argument("--start", type=Path, help="start from the weights of this checkpoint")
    parser.add_argument(
        "--start-parts",
        nargs="+",
        default=[],
        metavar="PART=CHECKPOINT",
        help="initialize the encoder, or parts of a trio, from those of other models",
    )
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    add_count(parser, "--devices", 1, 1024, default=1, help="processes that share each batch")
    _add_store_folder(parser)
    parser.add_argument(
        "--strategy", default="auto", choices=("auto", "ddp"), help="of Lightning Fabric"
    )
    parser.add_argument(
        "--compile", action="store_true", help="compile the model first; worthwhile on a GPU"
    )
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="change fields of the preset"
    )
    parser.set_defaults(command=_train)


def _train(options: argparse.Namespace) -> None:
    from musicvae_core.models.kinds import kind_of
    from musicvae_core.training.train import train

    logging.getLogger("lightning_fabric").setLevel(logging.root.level)
    chosen = override(preset(options.preset), options.set)
    source = read_data(kind_of(chosen.model), options, chosen.model.grid, options.store)
    metrics = train(
        chosen,
        source,
        options.out,
        resume=options.resume,
        start=options.start,
        start_parts=_start_parts(options.start_parts),
        device=options.device,
        devices=options.devices,
        strategy=options.strategy,
        compiled=options.compile,
    )
    if int(os.environ.get("LOCAL_RANK", "0")) == 0:
        print(json.dumps(metrics, indent=2))


def _add_store_folder(parser: argparse.ArgumentParser) -> None:
    help_text = "keep windows in files in this folder instead of in memory"
    parser.add_argument("--store", type=Path, metavar="FOLDER", help=help_text)


def _start_parts(texts: list[str]) -> dict[str, Path]:
    """Read PART=CHECKPOINT."""
    pairs = [text.partition("=") for text in texts]
    for name, _, path in pairs:
        if not name or not path:
            raise OptionError(f"--start-parts has {name!r}; give PART=CHECKPOINT.")
    return {name: Path(path) for name, _, path in pairs}


def _add_fit_prior(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path)
    add_data_source(parser)
    parser.add_argument(
        "--out", type=Path, required=True, help="where to write the checkpoint with its prior"
    )
    parser.add_argument(
        "--continue",
        dest="continues",
        action="store_true",
        help="start from the prior that the checkpoint has",
    )
    parser.add_argument(
        "--notes",
        action="store_true",
        help="fit the model of notes that melodies and trios are drawn from, not the flow of codes",
    )
    _add_store_folder(parser)
    add_count(parser, "--steps", 1, 10**7, help="optimiser steps")
    add_count(parser, "--batch-size", 1, 2**16, help="codes per step")
    variants = "how many more times to encode each window, in other keys or recombined"
    add_count(parser, "--variants", 0, 64, help=variants)
    add_seed(parser)
    parser.add_argument("--bits", type=int, choices=(32, 16, 8), default=16, help="bits per weight")
    parser.set_defaults(command=_fit_prior)


def _fit_prior(options: argparse.Namespace) -> None:
    from torch.nn import Module

    from musicvae_core.models.checkpoint import load_checkpoint, save_checkpoint
    from musicvae_core.models.kinds import kind_of
    from musicvae_core.training.fit_prior import NotesTraining, fit_prior, prior_training

    make_folder(options.out)
    checkpoint = load_checkpoint(options.checkpoint, Module)
    settings_of = NotesTraining.of if options.notes else prior_training
    training = settings_of(checkpoint.config)
    given = {"--steps": "n_steps", "--batch-size": "batch_size", "--variants": "n_variants"}
    values = (options.steps, options.batch_size, options.variants)
    changes = {flag: value for flag, value in zip(given, values, strict=True) if value is not None}
    unknown = [flag for flag in changes if not hasattr(training, given[flag])]
    if unknown:
        raise ConfigError(f"This fit has no such setting: leave out {' and '.join(unknown)}.")
    before = checkpoint.notes if options.notes else checkpoint.prior
    if options.continues and before is None:
        raise ConfigError(f"{checkpoint.name} has no prior to continue; leave out --continue.")
    grid = checkpoint.config.grid
    source = read_data(kind_of(checkpoint.config), options, grid, options.store)
    windows = source.windows("train", checkpoint.config.n_bars)
    changed = {given[flag]: value for flag, value in changes.items()}
    training = dataclasses.replace(training, seed=options.seed, **changed)
    start = {"start": before} if options.continues else {}
    fitted = fit_prior(checkpoint, windows, training, **start)
    save_checkpoint(fitted, options.out, bits=options.bits)


def _add_atlas(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path)
    add_data_source(parser)
    add_count(parser, "--windows", 1, 10**6, default=4096, help="the least number of points")
    add_seed(parser)
    parser.set_defaults(command=_atlas)


def _atlas(options: argparse.Namespace) -> None:
    from musicvae_core.latent.atlas import save_atlas
    from musicvae_core.latent.fit import build_atlas
    from musicvae_core.models.checkpoint import load_checkpoint
    from musicvae_core.models.kinds import kind_of

    checkpoint = load_checkpoint(options.checkpoint)
    dataset = read_data(kind_of(checkpoint.config), options, checkpoint.config.grid)
    atlas = build_atlas(checkpoint, dataset, n=options.windows, seed=options.seed)
    path = save_atlas(atlas, options.checkpoint)
    size = path.stat().st_size / 2**20
    n = len(atlas.performances)
    print(f"{path}: {len(atlas):,} windows of {n} performances, {size:.2f} MiB")


def _add_attribute_vectors(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path)
    add_data_source(parser)
    parser.set_defaults(command=_attribute_vectors)


def _attribute_vectors(options: argparse.Namespace) -> None:
    from musicvae_core.latent.attribute_vectors import save_vectors
    from musicvae_core.latent.fit import fit_vectors
    from musicvae_core.models.checkpoint import load_checkpoint
    from musicvae_core.models.kinds import kind_of

    checkpoint = load_checkpoint(options.checkpoint)
    dataset = read_data(kind_of(checkpoint.config), options, checkpoint.config.grid)
    vectors = fit_vectors(checkpoint, dataset)
    path = save_vectors(vectors, options.checkpoint)
    print(f"{path}: {', '.join(vectors.controls)}; {', '.join(vectors.labels)}")


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bits", type=int, choices=(32, 16, 8), default=16, help="bits per weight")
    parser.set_defaults(command=_store)


def _store(options: argparse.Namespace) -> None:
    from torch.nn import Module

    from musicvae_core.models.checkpoint import load_checkpoint, save_checkpoint

    save_checkpoint(load_checkpoint(options.checkpoint, Module), options.out, bits=options.bits)
