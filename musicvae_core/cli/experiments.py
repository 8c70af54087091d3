"""The command `experiment` and its kinds: the figures of the README and of the model cards.

Each kind imports what it needs when it runs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from musicvae_core.cli.arguments import add_count, add_seed
from musicvae_core.data.files import make_folder, write_content
from musicvae_core.errors import ConfigError
from musicvae_core.models.presets import preset

if TYPE_CHECKING:
    from musicvae_core.data.windows import WindowSource
    from musicvae_core.models.kinds import Kind


def add_experiment(parser: argparse.ArgumentParser) -> None:
    """Add the kinds of experiment to the command's parser."""
    kinds = parser.add_subparsers(required=True, metavar="EXPERIMENT")
    ablation = kinds.add_parser("ablation", help="train a preset and its variations")
    ablation.add_argument("--preset", required=True)
    ablation.set_defaults(command=_ablation)
    trade_off = kinds.add_parser("trade-off", help="measure accuracy and realism against the KL")
    trade_off.add_argument("checkpoint", type=Path)
    trade_off.add_argument("--betas", type=float, nargs="+", default=[0.6, 2.0])
    add_count(trade_off, "--prior-steps", 1, 10**7, default=10_000)
    trade_off.set_defaults(command=_trade_off)
    for kind in (ablation, trade_off):
        add_count(kind, "--steps", 1, 10**7, default=1500)
    style = kinds.add_parser(
        "style", help="measure how well z predicts the style; writes CHECKPOINT/style.json"
    )
    style.add_argument("checkpoint", type=Path)
    style.add_argument("--data", type=Path, required=True)
    style.set_defaults(command=_style)
    _add_reconstruction(
        kinds.add_parser("reconstruction", help="make the paper's table 2, by part")
    )
    long_term = kinds.add_parser("long-term", help="compare the conductor with the flat decoder")
    _add_long_term(long_term)
    interpolation = kinds.add_parser(
        "interpolation", help="compare paths in z with blending of notes"
    )
    interpolation.add_argument("checkpoint", type=Path)
    add_count(interpolation, "--pairs", 1, 10**5, default=512)
    interpolation.set_defaults(command=_interpolation)
    attributes = kinds.add_parser("attributes", help="measure sliders and attribute vectors")
    attributes.add_argument("checkpoint", type=Path)
    attributes.add_argument("--split", default="test", choices=("train", "validation", "test"))
    add_count(attributes, "--windows", 1, 10**6, default=512)
    attributes.set_defaults(command=_attributes)
    feel = kinds.add_parser("feel", help="compare the groove lab with plain ways to humanize")
    _add_feel(feel)
    for kind in (ablation, trade_off, long_term, interpolation, attributes, feel):
        kind.add_argument("--data", type=Path, required=True)
        kind.add_argument("--out", type=Path, required=True)
    for kind in (long_term, interpolation, attributes, feel):
        add_seed(kind)
    for kind in (ablation, trade_off, long_term):
        kind.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda", "mps"))


def _add_reconstruction(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--drums", type=Path, help="the data set for models of drums")
    parser.add_argument("--lines", type=Path, help="the data set for models of melodies and trios")
    parser.add_argument("--out", type=Path, required=True)
    add_count(parser, "--windows", 1, 10**6, help="the most windows per model, evenly spread")
    parser.set_defaults(command=_reconstruction)


def _reconstruction(options: argparse.Namespace) -> None:
    from musicvae_core.data.trios import load_data
    from musicvae_core.evaluation.experiments.reconstruction import reconstruction
    from musicvae_core.models.checkpoint import load_checkpoint

    def read(kind: Kind) -> WindowSource[Any]:
        path = options.drums if kind.plays == "drums" else options.lines
        if path is None:
            raise ConfigError(
                f"A model of {kind.name} needs its data set: give "
                f"{'--drums' if kind.plays == 'drums' else '--lines'}."
            )
        return load_data(kind.plays, path)

    models = [load_checkpoint(path) for path in options.checkpoints]
    reconstruction(models, read, options.out, options.windows)
    print((options.out / "reconstruction.md").read_text(), end="")


def _add_long_term(parser: argparse.ArgumentParser) -> None:
    add_count(parser, "--steps", 1, 10**7, help="training steps; by default those of the presets")
    parser.add_argument(
        "--flat", type=Path, metavar="CHECKPOINT", help="use this instead of training it"
    )
    parser.add_argument(
        "--one-z", type=Path, metavar="CHECKPOINT", help="use this instead of training it"
    )
    parser.add_argument(
        "--hier", type=Path, metavar="CHECKPOINT", help="use this instead of training it"
    )
    parser.add_argument(
        "--also", nargs="+", default=[], metavar="NAME=CHECKPOINT", help="further rows"
    )
    parser.set_defaults(command=_long_term)


def _ablation(options: argparse.Namespace) -> None:
    from musicvae_core.data.dataset import load_dataset
    from musicvae_core.evaluation.experiments.choices import ablate

    make_folder(options.out)
    chosen, dataset = preset(options.preset), load_dataset(options.data)
    rows = ablate(chosen, dataset, options.out, options.steps, options.device)
    write_content(options.out / "ablation.json", json.dumps(rows, indent=1) + "\n")


def _trade_off(options: argparse.Namespace) -> None:
    from musicvae_core.data.dataset import load_dataset
    from musicvae_core.evaluation.experiments.choices import draw_trade_off, trade_off

    make_folder(options.out)
    dataset = load_dataset(options.data)
    rows = trade_off(
        options.checkpoint,
        dataset,
        options.out,
        options.betas,
        options.steps,
        options.prior_steps,
        options.device,
    )
    write_content(options.out / "trade_off.json", json.dumps(rows, indent=1) + "\n")
    draw_trade_off(rows, options.out / "trade_off.svg")


def _style(options: argparse.Namespace) -> None:
    from musicvae_core.data.dataset import load_dataset
    from musicvae_core.evaluation.experiments.choices import probe_style
    from musicvae_core.latent.atlas import load_atlas
    from musicvae_core.models.checkpoint import load_checkpoint

    checkpoint = load_checkpoint(options.checkpoint)
    atlas = load_atlas(options.checkpoint, checkpoint.fingerprint())
    text = json.dumps(probe_style(checkpoint, load_dataset(options.data), atlas), indent=1)
    write_content(options.checkpoint / "style.json", text + "\n")
    print(text)


def _long_term(options: argparse.Namespace) -> None:
    others = dict(_named(text) for text in options.also)
    from musicvae_core.data.dataset import load_dataset
    from musicvae_core.evaluation.experiments.long_term import long_term, train_or_load
    from musicvae_core.models.checkpoint import load_checkpoint

    make_folder(options.out)
    given = {
        "flat": options.flat,
        "hierarchical, one z": options.one_z,
        "hierarchical": options.hier,
    }
    given = {name: path for name, path in given.items() if path is not None}
    further = {name: load_checkpoint(path) for name, path in others.items()}
    dataset = load_dataset(options.data)
    models = train_or_load(dataset, options.out, given, options.steps, options.device)
    long_term(models | further, dataset, options.out, options.seed)
    print((options.out / "long_term.md").read_text(), end="")


def _named(text: str) -> tuple[str, Path]:
    name, separator, path = text.partition("=")
    if not (name and separator and path):
        raise ConfigError(f"--also {text} names no checkpoint; write it as NAME=CHECKPOINT.")
    return name, Path(path)


def _interpolation(options: argparse.Namespace) -> None:
    from musicvae_core.data.dataset import load_dataset
    from musicvae_core.evaluation.experiments.blending import interpolation
    from musicvae_core.models.checkpoint import load_checkpoint

    make_folder(options.out)
    report = interpolation(
        load_checkpoint(options.checkpoint),
        load_dataset(options.data),
        options.out,
        options.pairs,
        options.seed,
    )
    print(json.dumps(report, indent=1))


def _attributes(options: argparse.Namespace) -> None:
    from musicvae_core.data.trios import load_data
    from musicvae_core.evaluation.experiments.attributes import attribute_experiment, misses
    from musicvae_core.latent.attribute_vectors import load_vectors
    from musicvae_core.models.checkpoint import load_checkpoint
    from musicvae_core.models.kinds import kind_of

    make_folder(options.out)
    checkpoint = load_checkpoint(options.checkpoint)
    report = attribute_experiment(
        checkpoint,
        load_vectors(options.checkpoint, checkpoint.fingerprint()),
        load_data(kind_of(checkpoint.config).plays, options.data, grid=checkpoint.config.grid),
        options.out,
        split=options.split,
        n=options.windows,
        seed=options.seed,
    )
    print(json.dumps(report["sliders"], indent=1))
    print("\n".join(["Sliders that miss a target:", *(misses(report) or ["none"])]))


def _add_feel(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--split", default="test", choices=("train", "validation", "test"))
    add_count(parser, "--windows", 1, 10**6, default=1000, help="the most windows, evenly spread")
    parser.add_argument(
        "--deterministic",
        type=Path,
        metavar="CHECKPOINT",
        help="a checkpoint of groove_lab_means, to compare",
    )
    parser.set_defaults(command=_feel)


def _feel(options: argparse.Namespace) -> None:
    from musicvae_core.data.dataset import load_dataset
    from musicvae_core.evaluation.experiments.feel import feel_experiment
    from musicvae_core.models.checkpoint import load_checkpoint
    from musicvae_core.models.lab import GrooveLab

    make_folder(options.out)
    means = options.deterministic
    feel_experiment(
        load_checkpoint(options.checkpoint, GrooveLab),
        load_dataset(options.data),
        options.out,
        split=options.split,
        limit=options.windows,
        deterministic=None if means is None else load_checkpoint(means, GrooveLab),
        seed=options.seed,
    )
    print((options.out / "feel.md").read_text(), end="")
