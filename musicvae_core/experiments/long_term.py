"""Whether long pieces hold together: the conductor beside the flat decoder, as the paper does.

Source: Roberts et al. 2018, section 6.2 and table 2, of 16 bars.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from musicvae_core.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from musicvae_core.dataset import Dataset, Windows
from musicvae_core.errors import ConfigError
from musicvae_core.evaluate import MAX_GENERATED, generate_features, reconstruction_metrics
from musicvae_core.experiments.figures import write_figure
from musicvae_core.experiments.long_term_report import draw, table
from musicvae_core.files import make_folder, write_content
from musicvae_core.latent import PriorName
from musicvae_core.models.musicvae import MusicVAE
from musicvae_core.presets import override, preset
from musicvae_core.similarity import lag_similarity
from musicvae_core.training.fit_prior import fit_prior
from musicvae_core.training.train import train
from musicvae_core.vocabulary import N_VOICES, STEPS_PER_BAR

PRESETS: Mapping[str, str] = MappingProxyType(
    {"flat": "drums_16bar_flat", "hierarchical": "drums_16bar_hier"}
)
LAGS = (1, 2, 4, 8)
N_TRAIN = 1000
"""Windows of the train split, evenly spread, that a model gives back."""

_BATCH = 256
log = logging.getLogger(__name__)


def train_or_load(
    dataset: Dataset,
    out: Path,
    given: Mapping[str, Path],
    n_steps: int | None = None,
    device: str = "auto",
) -> dict[str, Checkpoint]:
    """Return the flat and the hierarchical model: the given ones, the others trained.

    Parameters
    ----------
    dataset, device
        As `train.train`; both see the same batches in the same order.
    out
        Folder for the runs. One that is finished is not trained again; one that broke off goes
        on.
    given
        Checkpoints by the names of `PRESETS`.
    n_steps
        Optimiser steps of each; by default the presets'.
    """
    models = {}
    for name, preset_name in PRESETS.items():
        if name in given:
            models[name] = load_checkpoint(given[name])
            continue
        folder = out / preset_name
        if not (folder / "with_prior").exists():
            changes = [] if n_steps is None else [f"n_steps={n_steps}"]
            chosen = override(preset(preset_name), changes)
            train(chosen, dataset, folder, resume=True, device=device)
            windows = dataset.windows("train", chosen.model.n_bars)
            fitted = fit_prior(load_checkpoint(folder / "best"), windows)
            save_checkpoint(fitted, folder / "with_prior")
        models[name] = load_checkpoint(folder / "with_prior")
    return models


def long_term(
    models: Mapping[str, Checkpoint], dataset: Dataset, out: Path, seed: int = 0
) -> dict[str, Any]:
    """Measure models of long pieces, and write `long_term.json`, `.md` and `.svg`.

    Parameters
    ----------
    models
        By the names that their rows bear; all of one length.
    dataset, seed
        What they give back, and the seed of what they make up.
    out
        Folder for the files.

    Returns
    -------
    `seed`; `n_windows` of each split; `lags`; `real`, the similarity of real bars by split;
    and `models`, for each what `measure` returns.

    Raises
    ------
    ConfigError
        If the models are not all of one length.
    """
    lengths = {name: checkpoint.config.n_bars for name, checkpoint in models.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {n_bars}" for name, n_bars in lengths.items())
        raise ConfigError(f"The models have not all as many bars: {said}.")
    n_bars = next(iter(lengths.values()))
    make_folder(out)
    windows = {
        "train": _spread(dataset.windows("train", n_bars), N_TRAIN),
        "test": dataset.windows("test", n_bars),
    }
    lags = [lag for lag in LAGS if lag < n_bars]
    report: dict[str, Any] = {
        "seed": seed,
        "n_windows": {split: len(some) for split, some in windows.items()},
        "lags": lags,
        "real": {
            split: lag_similarity(_hits(some.features), lags) for split, some in windows.items()
        },
        "models": {},
    }
    for name, checkpoint in models.items():
        report["models"][name] = measure(checkpoint, windows, lags, seed)
        log.info("%s: %s", name, report["models"][name])
    write_content(out / "long_term.json", json.dumps(report, indent=1) + "\n")
    write_content(out / "long_term.md", table(report))
    write_figure(draw(report), out / "long_term.svg")
    return report


def measure(
    checkpoint: Checkpoint, windows: Mapping[str, Windows], lags: list[int], seed: int
) -> dict[str, Any]:
    """Measure one model.

    Returns
    -------
    `checkpoint`, its name; `parameters`; `train` and `test`, each with
    `teacher_forcing_accuracy`, `sampling_accuracy`, `hit_f1` and `kl_nats` of
    `evaluate.reconstruction_metrics`, and `by_bar`, the sampling accuracy of each bar; `prior`,
    `learned` or `normal`, from which pieces are drawn; `similarity`, how alike their bars are
    at the lags (`similarity.lag_similarity`), at temperature 1.
    """
    prior: PriorName = "normal" if checkpoint.prior is None else "learned"
    pieces = generate_features(checkpoint, MAX_GENERATED, prior, seed)
    row: dict[str, Any] = {
        "checkpoint": checkpoint.name,
        "parameters": sum(one.numel() for one in checkpoint.model.parameters()),
        "prior": prior,
        "similarity": lag_similarity(_hits(pieces), lags),
    }
    for split, some in windows.items():
        metrics = reconstruction_metrics(checkpoint.model, some.features, some.tempos_bpm)
        wanted = ("teacher_forcing_accuracy", "sampling_accuracy", "hit_f1", "kl_nats")
        row[split] = {name: metrics[name] for name in wanted}
        row[split]["by_bar"] = accuracy_by_bar(checkpoint.model, some.features)
    return row


@torch.inference_mode()
def accuracy_by_bar(model: MusicVAE, features: NDArray[np.float32]) -> list[float]:
    """Return the share of steps with all nine voices right in each bar, running free.

    Parameters
    ----------
    model
        In evaluation mode.
    features
        (N, T, 27) float32.
    """
    parts = torch.split(torch.from_numpy(features), _BATCH)
    drawn = torch.cat([model.decode(model.encode(part)[0], 0.0) for part in parts]).numpy()
    exact = (_hits(drawn) == _hits(features)).all(axis=-1)  # (N, T)
    by_bar = exact.reshape(len(exact), -1, STEPS_PER_BAR).mean(axis=(0, 2))
    accuracies: list[float] = by_bar.tolist()
    return accuracies


def _hits(features: NDArray[np.float32]) -> NDArray[np.bool_]:
    return features[..., :N_VOICES] > 0.5


def _spread(windows: Windows, n: int) -> Windows:
    return windows.take(np.linspace(0, len(windows) - 1, min(n, len(windows))))
