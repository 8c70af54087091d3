"""Held-out metrics of any model: how accurately it reconstructs, and how real its samples sound."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from musicvae_core.data.dataset import Dataset
from musicvae_core.data.lines import LineWindows
from musicvae_core.data.windows import Split, Windows, WindowSource
from musicvae_core.evaluation.realism import (
    attribute_table,
    feature_gaps,
    gaps_between,
    judge_auc,
    judge_tables,
    nearest_windows,
)
from musicvae_core.latent.codes import PriorName, encode_features, sample_codes
from musicvae_core.models.checkpoint import Checkpoint
from musicvae_core.models.kinds import kind_of
from musicvae_core.models.musicvae import MusicVAE
from musicvae_core.models.reconstruction import reconstruction_metrics
from musicvae_core.music.drums import DRUM_CLASSES, N_VOICES
from musicvae_core.music.grid import COMMON_TIME, Grid
from musicvae_core.music.line import FIRST_PITCH_CLASS, LINE_CLASSES, classes_to_line
from musicvae_core.music.line_attributes import line_attributes, trio_attributes
from musicvae_core.music.piece import classes_to_trio

MAX_GENERATED = 1000
"""Maximum number of samples, compared with as many real windows."""

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
    """Measure a checkpoint's reconstruction, realism and smoothness.

    Parameters
    ----------
    checkpoint, dataset
        The model to measure, and the data to measure it on.
    split
        The split to reconstruct. Samples are compared with windows of the train split, which is
        what the model imitates.
    limit
        Use this many windows, evenly spread; by default the whole split.
    seed
        Seed of every random choice.
    prior
        The prior to sample from; by default the learned prior, if there is one.

    Returns
    -------
    `n_examples`, the results of `reconstruction_metrics`, `prior` from `realism_metrics`, and
    `smoothness` from `_smoothness_curve`. For comparison, `prior` also has
    `nearest_cells_of_the_split` and `copies_of_the_split`, measured on the real windows.
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
    checkpoint: Checkpoint, n: int, prior: PriorName, seed: int
) -> NDArray[np.float32]:
    """Sample n pieces of music as model features (n, T, F), at the model's own temperature."""
    codes = torch.from_numpy(sample_codes(checkpoint, n, prior, seed))
    generator = torch.Generator().manual_seed(seed)
    temperature = kind_of(checkpoint.config).temperature
    drawn = [
        checkpoint.model.decode(part, temperature, generator) for part in torch.split(codes, _BATCH)
    ]
    return torch.cat(drawn).numpy()


def realism_metrics(
    checkpoint: Checkpoint, train: Windows, n: int, seed: int, prior: PriorName | None = None
) -> dict[str, Any]:
    """Compare n samples at the model's own temperature with windows of the train split.

    Returns
    -------
    `name`, `n`; `auc` of `realism.judge_auc` over all features, and `auc_hits` over hits only;
    the shares `distinct` and `copies`; `nearest_cells`, the median number of cells in which a
    sample differs from the nearest train window; `features`, see `realism.feature_gaps`.
    """
    prior = prior or checkpoint.best_prior
    grid = checkpoint.config.grid
    generated = generate_features(checkpoint, n, prior, seed)
    chosen = np.random.default_rng(seed).choice(len(train), min(n, len(train)), replace=False)
    real, performances = train.features[chosen], train.performance[chosen]
    ours, theirs = generated[..., :N_VOICES], real[..., :N_VOICES]
    nearest, cells = nearest_windows(generated, train.features)
    imitated = train.performance[nearest]
    auc_hits = judge_auc(ours, theirs, performances, seed, imitated, grid)
    n_features = generated.shape[-1]
    auc = auc_hits
    if checkpoint.config.has_feel:
        auc = judge_auc(generated, real, performances, seed, imitated, grid)
    return {
        "name": prior,
        "n": n,
        "auc": auc,
        "auc_hits": auc_hits,
        "distinct": _distinct_hits(generated),
        "copies": _copied_hits(generated, train.features),
        "nearest_cells": float(np.median(cells)),
        "features": feature_gaps(generated, train.features[..., :n_features], grid),
    }


def _distinct_hits(features: NDArray[np.float32]) -> float:
    """Return the share of windows whose hits occur only once among them."""
    keys = _hit_keys(features)
    _, counts = np.unique(keys, return_counts=True)
    return float((counts == 1).sum() / max(1, len(keys)))


def _copied_hits(features: NDArray[np.float32], source: NDArray[np.float32]) -> float:
    """Return the share of windows with exactly the hits of some window of the source."""
    return float(np.isin(_hit_keys(features), _hit_keys(source)).mean())


def _hit_keys(features: NDArray[np.float32]) -> NDArray[np.bytes_]:
    packed = np.packbits(features[..., :N_VOICES].reshape(len(features), -1) > 0.5, axis=1)
    return np.ascontiguousarray(packed).view(f"V{packed.shape[1]}").ravel()


_DISTANCES = (0.0, 1.0, 2.0, 4.0, 8.0, 12.0, 16.0)
"""Steps in z; two draws of N(0, I) in 256 dimensions are 22.6 apart."""


@torch.inference_mode()
def _smoothness_curve(
    model: MusicVAE, features: NDArray[np.float32], seed: int
) -> list[dict[str, float]]:
    """Move each window's z along one random direction, and measure how its groove changes.

    Parameters
    ----------
    model
        In evaluation mode.
    features
        (N, T, 27) float32.
    seed
        Seed of the directions.

    Returns
    -------
    A row for each of `_DISTANCES`: `distance` in z; `hit_distance`, the mean share of grid cells
    that differ from the groove at distance 0; `attribute_change`, the mean absolute change over
    attributes and windows, in standard deviations over the windows.
    """
    mu, _ = model.encode(torch.from_numpy(features))
    direction = torch.randn(mu.shape, generator=torch.Generator().manual_seed(seed))
    direction = direction / direction.norm(dim=1, keepdim=True)
    start = model.decode(mu, 0.0)
    deviations = {
        name: v.std() for name, v in attribute_table(start.numpy(), model.config.grid).items()
    }
    return [
        {"distance": distance}
        | _change(
            start, model.decode(mu + distance * direction, 0.0), deviations, model.config.grid
        )
        for distance in _DISTANCES
    ]


def _change(
    start: Tensor, moved: Tensor, deviations: dict[str, np.float64], grid: Grid
) -> dict[str, float]:
    before, after = (attribute_table(one.numpy(), grid) for one in (start, moved))
    changes = [
        np.abs(after[name] - before[name]).mean() / deviation
        for name, deviation in deviations.items()
        if deviation > 0
    ]
    different = (start[..., :N_VOICES] != moved[..., :N_VOICES]).float().mean()
    return {"hit_distance": float(different), "attribute_change": float(np.mean(changes or [0.0]))}


_Classes = NDArray[np.integer[Any]]
_MIN_GENERATED = 100


def evaluate_lines(
    checkpoint: Checkpoint,
    dataset: WindowSource[LineWindows],
    split: Split = "test",
    *,
    limit: int | None = None,
    seed: int = 0,
    prior: PriorName | None = None,
) -> dict[str, Any]:
    """Measure reconstruction and realism of a melody or trio checkpoint.

    Parameters
    ----------
    checkpoint, dataset, split, seed, prior
        See `evaluate`.
    limit
        Maximum number of windows to encode, evenly spread, and of samples to draw, though at
        least 100.

    Returns
    -------
    `n_examples`, the results of `reconstruction_metrics`, `collections` with the free-running
    accuracy of each collection (for trios, each song), and `prior` from `realism_of_lines`.
    """
    n_bars = checkpoint.config.n_bars
    windows = dataset.windows(split, n_bars)
    if limit is not None and limit < len(windows):
        windows = windows.take(np.linspace(0, len(windows) - 1, max(1, limit)))
    train = dataset.windows("train", n_bars)
    n_wanted = MAX_GENERATED if limit is None else max(_MIN_GENERATED, limit)
    n_generated = min(MAX_GENERATED, len(train), n_wanted)
    return {
        "checkpoint": checkpoint.name,
        "split": split,
        "seed": seed,
        "n_examples": len(windows),
        **_reconstruction(checkpoint, windows),
        "collections": {
            name: _reconstruction(checkpoint, windows.take(chosen))["sampling_accuracy"]
            for name, chosen in windows.by_collection().items()
        },
        "prior": realism_of_lines(checkpoint, train, n_generated, seed, prior),
    }


def _reconstruction(checkpoint: Checkpoint, windows: LineWindows) -> dict[str, float]:
    return reconstruction_metrics(checkpoint.model, windows.features[:], windows.tempos_bpm)


def realism_of_lines(
    checkpoint: Checkpoint, train: LineWindows, n: int, seed: int, prior: PriorName | None = None
) -> dict[str, Any]:
    """Compare n samples at the model's own temperature with windows of the train split.

    The real windows come from one half of the tunes. The other half gives the floor: samples
    cannot be harder to tell from real tunes than other real tunes are.

    Returns
    -------
    `name`, `n`, `temperature`; `auc`, of trees on `line_attributes`, with each tune in a single
    fold; `auc_floor`, with other real tunes instead of samples; `auc_reconstructions`, with the
    model's reconstructions of other real tunes; `distinct`, the share of samples that no other
    sample repeats; `copies`, the share found in the train split in any key; `features`, the
    means of samples and of real windows, and their difference in standard deviations.
    """
    prior = prior or checkpoint.best_prior
    real, other = _two_halves(train, n, np.random.default_rng(seed))
    features = generate_features(checkpoint, n, prior, seed)
    generated = checkpoint.model.head.classes(torch.from_numpy(features)).numpy()
    grid = checkpoint.config.grid
    of_samples, of_real = _attributes(generated, grid), _attributes(real.classes, grid)
    ours, theirs = _table(of_samples), _table(of_real)
    others, rebuilt = (
        _table(_attributes(classes, grid))
        for classes in (other.classes, _rebuilt(checkpoint, other))
    )
    tunes = real.performance
    return {
        "name": prior,
        "n": n,
        "temperature": kind_of(checkpoint.config).temperature,
        "auc": judge_tables(ours, theirs, tunes, seed).auc(),
        "auc_floor": judge_tables(others, theirs, tunes, seed, other.performance).auc(),
        "auc_reconstructions": judge_tables(rebuilt, theirs, tunes, seed, other.performance).auc(),
        "distinct": _distinct_share(generated),
        "copies": _copied_share(generated, train.classes),
        "copies_of_the_floor": _copied_share(
            other.classes, train.classes[~np.isin(train.performance, other.performance)]
        ),
        "features": gaps_between(of_samples, of_real),
    }


def _two_halves(
    train: LineWindows, n: int, rng: np.random.Generator
) -> tuple[LineWindows, LineWindows]:
    """Return up to n windows of each of two halves of the tunes."""
    in_first = rng.random(len(train.labels)) < 0.5
    halves = [np.flatnonzero(in_first[train.performance] == first) for first in (True, False)]
    first, second = (
        train.take(rng.choice(half, min(n, len(half)), replace=False)) for half in halves
    )
    return first, second


def _rebuilt(checkpoint: Checkpoint, windows: LineWindows) -> NDArray[np.int64]:
    codes = torch.from_numpy(encode_features(checkpoint, windows.features[:]))
    with torch.inference_mode():
        decoded = checkpoint.model.decode(codes, temperature=0.0)
        return checkpoint.model.head.classes(decoded).numpy()


def _attributes(classes: _Classes, grid: Grid = COMMON_TIME) -> dict[str, NDArray[np.float64]]:
    """Return every attribute of every window, (N,), by name.

    For melodies, (N, T), these are `line_attributes`. For trios, (N, T, 3), these are the
    attributes of both lines and the drums, and of how the parts go together.
    """
    if classes.ndim == 2:
        return _columns([line_attributes(classes_to_line(one, grid=grid)) for one in classes])
    drums = attribute_table(DRUM_CLASSES.table[classes[..., 2]], grid)
    return _columns([trio_attributes(classes_to_trio(one, grid=grid)) for one in classes]) | {
        f"drums_{name}": np.asarray(values, np.float64) for name, values in drums.items()
    }


def _columns(rows: list[dict[str, float]]) -> dict[str, NDArray[np.float64]]:
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _table(columns: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.stack(list(columns.values()), axis=1)


def _distinct_share(classes: _Classes) -> float:
    """Return the share of windows (N, T) or (N, T, P) that occur only once."""
    _, counts = np.unique(_keys(classes), return_counts=True)
    return float((counts == 1).sum() / max(1, len(classes)))


def _copied_share(classes: _Classes, source: _Classes) -> float:
    """Return the share of windows that equal a window of the source, in any key."""
    return float(np.isin(_keys(_in_one_key(classes)), _keys(_in_one_key(source))).mean())


def _in_one_key(classes: _Classes) -> NDArray[np.int64]:
    """Transpose windows so that they all have the same lowest pitch; drums stay the same."""
    numbers = classes.astype(np.int64)
    is_pitch = numbers >= FIRST_PITCH_CLASS
    if numbers.ndim == 3:
        is_pitch[..., 2] = False
    axes = tuple(range(1, numbers.ndim))
    lowest = np.where(is_pitch, numbers, LINE_CLASSES.n_classes).min(axis=axes, keepdims=True)
    return np.where(is_pitch, numbers - lowest + FIRST_PITCH_CLASS, numbers)


def _keys(classes: _Classes) -> NDArray[np.void]:
    rows = np.ascontiguousarray(classes.reshape(len(classes), -1).astype(np.uint16))
    return rows.view(f"V{2 * rows.shape[1]}").ravel()
