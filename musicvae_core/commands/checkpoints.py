"""The commands that make a checkpoint, and what lies beside it.

Each imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from musicvae_core.commands.arguments import add_count, add_seed
from musicvae_core.files import make_folder
from musicvae_core.presets import LAB_PRESETS, PRESETS, override, preset


def add_checkpoint_commands(commands: Any) -> None:
    """Add the five commands to the parsers of a command line."""
    _add_train(commands.add_parser("train", help="train a preset"))
    _add_fit_prior(commands.add_parser("fit-prior", help="fit the prior that sampling uses"))
    _add_atlas(commands.add_parser("atlas", help="make the map that lies beside a checkpoint"))
    _add_attribute_vectors(
        commands.add_parser("attribute-vectors", help="fit the vectors that sliders move z along")
    )
    _add_store(commands.add_parser("store", help="write a checkpoint in fewer bits, to ship it"))


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", required=True, help=", ".join([*PRESETS, *LAB_PRESETS]))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", action="store_true", help="go on from OUT/training.pt")
    parser.add_argument("--start", type=Path, help="begin with this checkpoint's weights")
    parser.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", help="change the preset's fields"
    )
    parser.set_defaults(command=_train)


def _train(options: argparse.Namespace) -> None:
    from musicvae_core.dataset import load_dataset

    how = {"resume": options.resume, "start": options.start, "device": options.device}
    if options.preset in LAB_PRESETS:
        from musicvae_core.training.train_lab import train_lab

        lab = override(LAB_PRESETS[options.preset], options.set)
        metrics = train_lab(lab, load_dataset(options.data), options.out, **how)
    else:
        from musicvae_core.training.train import train

        chosen = override(preset(options.preset), options.set)
        metrics = train(chosen, load_dataset(options.data), options.out, **how)
    print(json.dumps(metrics, indent=2))


def _add_fit_prior(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the checkpoint with its prior")
    add_count(parser, "--steps", 1, 10**7, help="optimiser steps")
    add_count(parser, "--batch-size", 1, 2**16, help="codes a step")
    add_seed(parser)
    parser.add_argument("--bits", type=int, choices=(32, 16, 8), default=16, help="a weight")
    parser.set_defaults(command=_fit_prior)


def _fit_prior(options: argparse.Namespace) -> None:
    from musicvae_core.checkpoint import kind_of, load_checkpoint, save_checkpoint
    from musicvae_core.dataset import load_dataset
    from musicvae_core.lab.checkpoint import LAB_KIND
    from musicvae_core.training.fit_prior import fit_prior, prior_training

    make_folder(options.out)
    if kind_of(options.checkpoint) == LAB_KIND:
        _fit_lab_prior(options)
        return
    checkpoint = load_checkpoint(options.checkpoint)
    dataset = load_dataset(options.data)
    windows = dataset.windows("train", checkpoint.config.n_bars)
    training = dataclasses.replace(prior_training(checkpoint.config), seed=options.seed)
    if options.steps is not None:
        training = dataclasses.replace(training, n_steps=options.steps)
    if options.batch_size is not None:
        training = dataclasses.replace(training, batch_size=options.batch_size)
    fitted = fit_prior(checkpoint, windows, training=training)
    save_checkpoint(fitted, options.out, bits=options.bits)


def _fit_lab_prior(options: argparse.Namespace) -> None:
    from musicvae_core.dataset import load_dataset
    from musicvae_core.errors import ConfigError
    from musicvae_core.lab.checkpoint import load_lab_checkpoint, save_lab_checkpoint
    from musicvae_core.training.fit_lab_prior import fit_lab_prior

    if options.steps is not None or options.batch_size is not None:
        raise ConfigError(
            "The prior of a groove lab is fitted at once; leave out --steps and --batch-size."
        )
    lab = load_lab_checkpoint(options.checkpoint)
    windows = load_dataset(options.data).windows("train", lab.config.n_bars)
    save_lab_checkpoint(fit_lab_prior(lab, windows, options.seed), options.out, bits=options.bits)


def _add_atlas(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    add_count(parser, "--windows", 1, 10**6, default=4096, help="at least so many points")
    add_seed(parser)
    parser.set_defaults(command=_atlas)


def _atlas(options: argparse.Namespace) -> None:
    from musicvae_core.checkpoint import load_checkpoint
    from musicvae_core.dataset import load_dataset
    from musicvae_core.space.atlas import save_atlas
    from musicvae_core.space.build_atlas import build_atlas

    checkpoint, dataset = load_checkpoint(options.checkpoint), load_dataset(options.data)
    atlas = build_atlas(checkpoint, dataset, n=options.windows, seed=options.seed)
    path = save_atlas(atlas, options.checkpoint)
    size = path.stat().st_size / 2**20
    n = len(atlas.performances)
    print(f"{path}: {len(atlas):,} windows of {n} performances, {size:.2f} MiB")


def _add_attribute_vectors(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.set_defaults(command=_attribute_vectors)


def _attribute_vectors(options: argparse.Namespace) -> None:
    from musicvae_core.checkpoint import load_checkpoint
    from musicvae_core.dataset import load_dataset
    from musicvae_core.space.attribute_vectors import save_vectors
    from musicvae_core.space.fit_vectors import fit_vectors

    vectors = fit_vectors(load_checkpoint(options.checkpoint), load_dataset(options.data))
    path = save_vectors(vectors, options.checkpoint)
    print(f"{path}: {', '.join(vectors.controls)}; {', '.join(vectors.labels)}")


def _add_store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--bits", type=int, choices=(32, 16, 8), default=16, help="a weight")
    parser.set_defaults(command=_store)


def _store(options: argparse.Namespace) -> None:
    from musicvae_core.checkpoint import kind_of, load_checkpoint, save_checkpoint
    from musicvae_core.lab.checkpoint import LAB_KIND, load_lab_checkpoint, save_lab_checkpoint

    if kind_of(options.checkpoint) == LAB_KIND:
        lab = load_lab_checkpoint(options.checkpoint)
        save_lab_checkpoint(lab, options.out, bits=options.bits)
    else:
        save_checkpoint(load_checkpoint(options.checkpoint), options.out, bits=options.bits)
