"""Held-out metrics: how exactly a model gives back what it heard, and how real it sounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from musicvae_core.checkpoint import Checkpoint
from musicvae_core.codec import OFFSET_SCALE
from musicvae_core.dataset import Dataset, Split, Windows
from musicvae_core.latent import PriorName, sample_codes
from musicvae_core.losses import kl_nats
from musicvae_core.models.musicvae import MusicVAE, shift_right
from musicvae_core.realism import (
    copied_share,
    distinct_share,
    feature_gaps,
    judge_auc,
    nearest_windows,
)
from musicvae_core.smoothness import smoothness_curve
from musicvae_core.vocabulary import N_VOICES, STEPS_PER_BEAT

MAX_GENERATED = 1000
"""Samples judged against as many real windows."""

_BATCH = 256
_ACTIVE_VARIANCE = 0.01
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
        "smoothness": smoothness_curve(checkpoint.model, some, seed),
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


@torch.inference_mode()
def reconstruction_metrics(
    model: MusicVAE, features: NDArray[np.float32], tempos_bpm: NDArray[np.float32]
) -> dict[str, float]:
    """Measure how exactly windows come back from their posterior means.

    Parameters
    ----------
    model
        In evaluation mode.
    features
        (N, T, 27) float32.
    tempos_bpm
        (N,) float32, to tell offsets in milliseconds.

    Returns
    -------
    `teacher_forcing_accuracy`
        Share of steps whose nine voices are all right when the decoder is fed the truth.
    `sampling_accuracy`, `sampling_accuracy_nonsilent`
        The same free-running at temperature 0, over all steps and over those with a hit; the
        latter is left out where all is silent.
    `hit_f1`
        Harmonic mean of precision and recall of the hits so decoded; silence for silence is 1.
    `velocity_mae`, `offset_mae_ms`
        Mean absolute error over hits that are in both, with a groove head; left out where no
        hit is in both.
    `kl_nats`, `active_units`
        Mean divergence from N(0, I), and dimensions whose mean varies by over 0.01.
    `nll_...`
        Negative log likelihood an example in nats, fed the truth, z at the mean.

    Source: Roberts et al. 2018, table 2; active units: Burda et al. 2016, section 5.
    """
    parts = [
        _compare(model, torch.from_numpy(features[start : start + _BATCH]))
        for start in range(0, len(features), _BATCH)
    ]
    joined = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
    sounding = joined["true_hits"].any(-1)
    exact, forced = joined["exact"].float(), joined["forced_exact"].float()
    both = joined["true_hits"] & joined["hits"]
    metrics = {
        "teacher_forcing_accuracy": forced.mean(),
        "sampling_accuracy": exact.mean(),
        "hit_f1": _f1(joined["true_hits"], joined["hits"]),
        "kl_nats": joined["kl"].mean(),
        "active_units": (_variance(joined["mu"]) > _ACTIVE_VARIANCE).sum(),
    }
    metrics |= {name: v.mean() for name, v in joined.items() if name.startswith("nll_")}
    over_some = {"sampling_accuracy_nonsilent": exact[sounding]}
    if model.config.has_feel:
        step_ms = 60_000 / torch.from_numpy(tempos_bpm) / STEPS_PER_BEAT
        timing = (joined["offset_error"] / OFFSET_SCALE) * step_ms[:, None, None]
        over_some |= {
            "velocity_mae": joined["velocity_error"][both],
            "offset_mae_ms": timing[both],
        }
    metrics |= {name: values.mean() for name, values in over_some.items() if len(values)}
    return {name: float(value) for name, value in metrics.items()}


def _f1(truth: Tensor, found: Tensor) -> Tensor:
    n_both, n_either = (truth & found).sum(), truth.sum() + found.sum()
    return 2 * n_both / n_either if n_either else torch.tensor(1.0)


def _variance(mu: Tensor) -> Tensor:
    """Return the variance of each dimension over examples; that of one example alone is 0."""
    return mu.var(0, correction=min(1, len(mu) - 1))


def _compare(model: MusicVAE, features: Tensor) -> dict[str, Tensor]:
    """Decode a batch both ways and lay it beside the truth."""
    device = next(model.parameters()).device
    features = features[..., : model.n_features].to(device)
    mu, sigma = model.encode(features)
    drawn = model.decode(mu, temperature=0.0)
    states = model.decode_forced(mu, shift_right(features))
    forced = model.head.sample(states, 0.0, None)
    true_hits, hits = features[..., :N_VOICES] > 0.5, drawn[..., :N_VOICES] > 0.5
    compared = {
        "mu": mu,
        "kl": kl_nats(mu, sigma),
        "true_hits": true_hits,
        "hits": hits,
        "exact": (true_hits == hits).all(-1),
        "forced_exact": (true_hits == (forced[..., :N_VOICES] > 0.5)).all(-1),
    }
    for name, log_prob in model.head.log_prob(states, features).items():
        compared[f"nll_{name}"] = -log_prob.sum(dim=1)
    if model.config.has_feel:
        error = (drawn - features).abs()
        compared["velocity_error"] = error[..., N_VOICES : 2 * N_VOICES]
        compared["offset_error"] = error[..., 2 * N_VOICES :]
    return {name: tensor.cpu() for name, tensor in compared.items()}
