"""Experiments that back the model cards: what each choice bought, and at what price."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from musicvae_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from musicvae_core.dataset import Dataset, Split
from musicvae_core.evaluate import MAX_GENERATED, realism_metrics, reconstruction_metrics
from musicvae_core.presets import Preset, override
from musicvae_core.training.fit_prior import fit_prior, prior_training
from musicvae_core.training.train import train

N_WINDOWS = 1000

ABLATIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "as the preset": (),
        "no augmentation": ("augmentation=0",),
        "no word dropout": ("word_dropout=0",),
        "neither of the two": ("augmentation=0", "word_dropout=0"),
        "dropout of 0.2 on the decoder": ("dropout=0.2",),
        "scheduled sampling, rate 300": ("sampling_rate=300",),
        "beta 0.2, free bits 48, as the paper": ("beta=0.2", "free_bits=48"),
        "no direct path to the steps": ("step_size=0",),
    }
)
"""What is changed of a preset, by name; changes that a preset already has are left out."""

log = logging.getLogger(__name__)


def ablate(
    preset: Preset, dataset: Dataset, out: Path, n_steps: int, device: str = "auto"
) -> list[dict[str, Any]]:
    """Train a preset and its variations for equally many steps.

    Parameters
    ----------
    preset, dataset
        What to vary, on what.
    out
        Folder for the runs; one that is finished is not trained again, one that broke off goes on.
    n_steps
        Optimiser steps of each.
    device
        As `train.train`.

    Returns
    -------
    A row a variation: its name, and accuracies and errors on windows of the train and of the
    validation split.
    """
    rows = []
    for name, changes in ABLATIONS.items():
        varied = override(preset, [*changes, f"n_steps={n_steps}"])
        if changes and varied == override(preset, [f"n_steps={n_steps}"]):
            continue
        folder = out / name.replace(" ", "_").replace(",", "")
        train(varied, dataset, folder, resume=True, device=device)
        checkpoint = load_checkpoint(folder / "last")
        row: dict[str, Any] = {"variation": name}
        for split in ("train", "validation"):
            row[split] = _reconstruction(checkpoint, dataset, split)
        rows.append(row)
        log.info("%s", row)
    return rows


def trade_off(
    start: Path,
    dataset: Dataset,
    out: Path,
    betas: Sequence[float],
    n_steps: int,
    n_prior_steps: int,
    device: str = "auto",
) -> list[dict[str, Any]]:
    """Trace accuracy and realism against the divergence, by fine-tuning at other betas.

    Parameters
    ----------
    start
        A trained checkpoint; its own point is the first row.
    dataset, out, device
        As `ablate`.
    betas
        Weights of the KL term to fine-tune with.
    n_steps, n_prior_steps
        Optimiser steps of each model, and of the prior that is fitted to it.

    Returns
    -------
    A row a beta: `beta`, reconstruction on the validation split, and realism under the
    learned prior, fitted anew, and under N(0, I).
    """
    first = load_checkpoint(start)
    rows = [_point(first, dataset, first.train.beta)]
    for beta in betas:
        preset = Preset(first.name, first.title, first.config, first.train)
        changes = [f"beta={beta}", f"n_steps={n_steps}", "beta_rate=0.99", "learning_rate=0.001"]
        folder = out / f"beta_{beta:g}"
        if not (folder / "with_prior").exists():
            tuning = override(preset, changes)
            train(tuning, dataset, folder, resume=True, start=start, device=device)
            windows = dataset.windows("train", first.config.n_bars)
            training = replace(prior_training(first.config), n_steps=n_prior_steps)
            tuned = fit_prior(load_checkpoint(folder / "last"), windows, training=training)
            save_checkpoint(tuned, folder / "with_prior")
        rows.append(_point(load_checkpoint(folder / "with_prior"), dataset, beta))
        log.info("%s", rows[-1])
    return rows


def _point(checkpoint: Checkpoint, dataset: Dataset, beta: float) -> dict[str, Any]:
    train_windows = dataset.windows("train", checkpoint.config.n_bars)
    plain = replace(checkpoint, prior=None)
    return {
        "beta": beta,
        "validation": _reconstruction(checkpoint, dataset, "validation"),
        "learned": realism_metrics(checkpoint, train_windows, MAX_GENERATED, 0),
        "normal": realism_metrics(plain, train_windows, MAX_GENERATED, 0),
    }


def _reconstruction(checkpoint: Checkpoint, dataset: Dataset, split: Split) -> dict[str, float]:
    windows = dataset.windows(split, checkpoint.config.n_bars)
    some = windows.take(np.linspace(0, len(windows) - 1, min(N_WINDOWS, len(windows))))
    return reconstruction_metrics(checkpoint.model, some.features, some.tempos_bpm)
