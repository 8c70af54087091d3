"""Held-out metrics: how exactly a model gives back what it heard, and how real it sounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from musicvae_core.data.dataset import Dataset
from musicvae_core.data.windows import Split, Windows
from musicvae_core.evaluation.realism import (
    attribute_table,
    copied_share,
    distinct_share,
    feature_gaps,
    judge_auc,
    nearest_windows,
)
from musicvae_core.latent.codes import PriorName, sample_codes
from musicvae_core.models.checkpoint import Checkpoint
from musicvae_core.models.musicvae import MusicVAE
from musicvae_core.models.reconstruction import reconstruction_metrics
from musicvae_core.music.drums import N_VOICES

MAX_GENERATED = 1000
"""Samples judged against as many real windows."""

_BATCH = 256
_N_SMOOTHNESS = 128


def evaluate(
    checkpoint: Checkpoint,
    dataset: Dataset,
    split: Split = "test",
    *,
    limit: int | None = None,
    seed: int = 0,
    prior: PriorName | None = None,
) -> dict[str, Any]:
    """Measure a checkpoint: expression, realism, smoothness.

    Parameters
    ----------
    checkpoint, dataset
        What to measure, on what.
    split
        Of the windows that are reconstructed. Samples are laid beside windows of the train
        split, which is what the model imitates.
    limit
        Use so many windows, evenly spread; by default all of the split.
    seed
        Of every random choice.
    prior
        Whence samples are drawn; by default the learned prior where there is one.

    Returns
    -------
    `n_examples`, what `reconstruction_metrics` returns, and, from `realism_metrics` and
    `smoothness.smoothness_curve`, `prior` and `smoothness`. For comparison `prior` also has
    `nearest_cells_of_the_split` and `copies_of_the_split`, of the real windows.
    """
    n_bars = checkpoint.config.n_bars
    windows = dataset.windows(split, n_bars)
    if limit is not None and limit < len(windows):
        windows = windows.take(np.linspace(0, len(windows) - 1, max(1, limit)))
    n, train = min(MAX_GENERATED, len(windows)), dataset.windows("train", n_bars)
    realism = realism_metrics(checkpoint, train, n, seed, prior)
    _, unseen = nearest_windows(windows.features, train.features)
    some = windows.features[:: max(1, len(windows) // _N_SMOOTHNESS)]
    return {
        "checkpoint": checkpoint.name,
        "split": split,
        "seed": seed,
        "n_examples": len(windows),
        **reconstruction_metrics(checkpoint.model, windows.features, windows.tempos_bpm),
        "prior": realism
        | {
            "nearest_cells_of_the_split": float(np.median(unseen)),
            "copies_of_the_split": float((unseen == 0).mean()),
        },
        "smoothness": _smoothness_curve(checkpoint.model, some, seed),
    }


@torch.inference_mode()
def generate_features(
    checkpoint: Checkpoint, n: int, prior: PriorName, seed: int, temperature: float = 1.0
) -> NDArray[np.float32]:
    """Return n samples as model features (n, T, F)."""
    codes = torch.from_numpy(sample_codes(checkpoint, n, prior, seed))
    generator = torch.Generator().manual_seed(seed)
    drawn = [
        checkpoint.model.decode(part, temperature, generator) for part in torch.split(codes, _BATCH)
    ]
    return torch.cat(drawn).numpy()


def realism_metrics(
    checkpoint: Checkpoint, train: Windows, n: int, seed: int, prior: PriorName | None = None
) -> dict[str, Any]:
    """Lay n samples at temperature 1 beside windows of the train split.

    Returns
    -------
    `name`, `n`; `auc` of `realism.judge_auc` over all the model plays, and `auc_hits` over
    hits alone; `distinct` and `copies`, shares; `nearest_cells`, the median number of cells
    that part a sample from the nearest train window; `features`, see `realism.feature_gaps`.
    """
    prior = prior or ("normal" if checkpoint.prior is None else "learned")
    generated = generate_features(checkpoint, n, prior, seed)
    chosen = np.random.default_rng(seed).choice(len(train), min(n, len(train)), replace=False)
    real, performances = train.features[chosen], train.performance[chosen]
    ours, theirs = generated[..., :N_VOICES], real[..., :N_VOICES]
    nearest, cells = nearest_windows(generated, train.features)
    imitated = train.performance[nearest]
    auc_hits = judge_auc(ours, theirs, performances, seed, imitated)
    n_features = generated.shape[-1]
    auc = auc_hits
    if checkpoint.config.has_feel:
        auc = judge_auc(generated, real, performances, seed, imitated)
    return {
        "name": prior,
        "n": n,
        "auc": auc,
        "auc_hits": auc_hits,
        "distinct": distinct_share(generated),
        "copies": copied_share(generated, train.features),
        "nearest_cells": float(np.median(cells)),
        "features": feature_gaps(generated, train.features[..., :n_features]),
    }


_DISTANCES = (0.0, 1.0, 2.0, 4.0, 8.0, 12.0, 16.0)
"""Steps in z; two draws of N(0, I) in 256 dimensions are 22.6 apart."""


@torch.inference_mode()
def _smoothness_curve(
    model: MusicVAE, features: NDArray[np.float32], seed: int
) -> list[dict[str, float]]:
    """Move each window's z along one random direction and see how its groove changes.

    Parameters
    ----------
    model
        In evaluation mode.
    features
        (N, T, 27) float32.
    seed
        Of the directions.

    Returns
    -------
    For each of `_DISTANCES` a row: `distance` in z; `hit_distance`, the mean share of cells
    of the grid that differ from the groove at distance 0; `attribute_change`, the mean over
    attributes of the mean absolute change, in standard deviations over the windows.
    """
    mu, _ = model.encode(torch.from_numpy(features))
    direction = torch.randn(mu.shape, generator=torch.Generator().manual_seed(seed))
    direction = direction / direction.norm(dim=1, keepdim=True)
    start = model.decode(mu, 0.0)
    deviations = {name: v.std() for name, v in attribute_table(start.numpy()).items()}
    return [
        {"distance": distance}
        | _change(start, model.decode(mu + distance * direction, 0.0), deviations)
        for distance in _DISTANCES
    ]


def _change(start: Tensor, moved: Tensor, deviations: dict[str, np.float64]) -> dict[str, float]:
    before, after = attribute_table(start.numpy()), attribute_table(moved.numpy())
    changes = [
        np.abs(after[name] - before[name]).mean() / deviation
        for name, deviation in deviations.items()
        if deviation > 0
    ]
    different = (start[..., :N_VOICES] != moved[..., :N_VOICES]).float().mean()
    return {"hit_distance": float(different), "attribute_change": float(np.mean(changes or [0.0]))}
