"""Long-term structure: the conductor compared with the flat decoder, as in the paper.

Source: Roberts et al. 2018, section 6.2 and table 2, of 16 bars.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import plotly.graph_objects as go
import torch
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from musicvae_core.data.dataset import Dataset
from musicvae_core.data.files import make_folder, write_content
from musicvae_core.data.windows import Windows
from musicvae_core.errors import ConfigError
from musicvae_core.evaluation.experiments.reports import write_figure
from musicvae_core.evaluation.metrics import (
    MAX_GENERATED,
    generate_features,
)
from musicvae_core.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from musicvae_core.models.musicvae import MusicVAE
from musicvae_core.models.presets import override, preset
from musicvae_core.models.reconstruction import reconstruction_metrics
from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.forms import bar_similarity
from musicvae_core.music.grid import COMMON_TIME
from musicvae_core.training.fit_prior import fit_prior
from musicvae_core.training.train import train

_OURS = "hierarchical"
_PRESETS: Mapping[str, str] = MappingProxyType(
    {
        "flat": "drums_16bar_flat",
        "hierarchical, one z": "drums_16bar_one_z",
        _OURS: "drums_16bar_hier",
    }
)
"""The first two are the paper's comparison: decoders that take z as a whole. In the third, every
bar also reads its own part of z. All three have the same encoder, and so the same z."""

_LAGS = (1, 2, 4, 8)
_N_TRAIN = 1000
"""Number of train windows to reconstruct, evenly spread."""

_BATCH = 256
_log = logging.getLogger(__name__)


def train_or_load(
    dataset: Dataset,
    out: Path,
    given: Mapping[str, Path],
    n_steps: int | None = None,
    device: str = "auto",
) -> dict[str, Checkpoint]:
    """Return the models of `_PRESETS`; those not given are trained.

    The decoders that take z as a whole are trained on the codes of the hierarchical model: they
    start with its encoder, which stays fixed, and sample from its prior. Trained together with
    an encoder, a conductor with nothing but its initial states to read learns to ignore them.

    Parameters
    ----------
    dataset, device
        See `train.train`; all models see the same batches in the same order.
    out
        Folder for the runs; finished runs are not repeated, interrupted ones are resumed.
    given
        Checkpoints by the names of `_PRESETS`.
    n_steps
        Optimiser steps of each; by default the presets'.
    """
    changes = [] if n_steps is None else [f"n_steps={n_steps}"]
    path = given.get(_OURS)
    if path is None:
        path = out / _PRESETS[_OURS] / "with_prior"
        if not path.exists():
            chosen = override(preset(_PRESETS[_OURS]), changes)
            train(chosen, dataset, path.parent, resume=True, device=device)
            windows = dataset.windows("train", chosen.model.n_bars)
            save_checkpoint(fit_prior(load_checkpoint(path.parent / "best"), windows), path)
    ours = load_checkpoint(path)
    models = {}
    for name, preset_name in _PRESETS.items():
        if name in given:
            models[name] = load_checkpoint(given[name])
        elif name != _OURS:
            chosen = override(preset(preset_name), ["fixed_encoder=True", *changes])
            start = {"encoder": path}
            train(chosen, dataset, out / preset_name, resume=True, start_parts=start, device=device)
            trained = load_checkpoint(out / preset_name / "best")
            models[name] = replace(trained, prior=ours.prior)
    return {**models, _OURS: ours}


def long_term(
    models: Mapping[str, Checkpoint], dataset: Dataset, out: Path, seed: int = 0
) -> dict[str, Any]:
    """Measure models of long pieces, and write `long_term.json`, `.md` and `.svg`.

    Parameters
    ----------
    models
        The models by row name; all must have the same length.
    dataset, seed
        The windows to reconstruct, and the seed of the samples.
    out
        Folder for the files.

    Returns
    -------
    `seed`; `n_windows` of each split; `lags`; `real`, the similarity of real bars by split;
    and `models`, for each what `_measure` returns.

    Raises
    ------
    ConfigError
        If the models are not all of one length.
    """
    lengths = {name: checkpoint.config.n_bars for name, checkpoint in models.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name} {n_bars}" for name, n_bars in lengths.items())
        raise ConfigError(f"The models differ in length, in bars: {said}.")
    n_bars = next(iter(lengths.values()))
    make_folder(out)
    windows = {
        "train": _spread(dataset.windows("train", n_bars), _N_TRAIN),
        "test": dataset.windows("test", n_bars),
    }
    lags = [lag for lag in _LAGS if lag < n_bars]
    report: dict[str, Any] = {
        "seed": seed,
        "n_windows": {split: len(some) for split, some in windows.items()},
        "lags": lags,
        "real": {
            split: _lag_similarity(_hits(some.features), lags) for split, some in windows.items()
        },
        "models": {},
    }
    for name, checkpoint in models.items():
        report["models"][name] = _measure(checkpoint, windows, lags, seed)
        _log.info("%s: %s", name, report["models"][name])
    write_content(out / "long_term.json", json.dumps(report, indent=1) + "\n")
    write_content(out / "long_term.md", _table(report))
    write_figure(_draw(report), out / "long_term.svg")
    return report


def _measure(
    checkpoint: Checkpoint, windows: Mapping[str, Windows], lags: list[int], seed: int
) -> dict[str, Any]:
    """Measure one model.

    Returns
    -------
    `checkpoint`, its name; `parameters`; `train` and `test`, each with
    `teacher_forcing_accuracy`, `sampling_accuracy`, `hit_f1` and `kl_nats` of
    `reconstruction_metrics`, and `by_bar`, the sampling accuracy of each bar; `prior`,
    `learned` or `normal`, from which pieces are sampled; `similarity` of their bars at each lag
    (`_lag_similarity`), at temperature 1.
    """
    prior = checkpoint.best_prior
    pieces = generate_features(checkpoint, MAX_GENERATED, prior, seed)
    row: dict[str, Any] = {
        "checkpoint": checkpoint.name,
        "parameters": sum(one.numel() for one in checkpoint.model.parameters()),
        "prior": prior,
        "similarity": _lag_similarity(_hits(pieces), lags),
    }
    for split, some in windows.items():
        metrics = reconstruction_metrics(checkpoint.model, some.features, some.tempos_bpm)
        wanted = ("teacher_forcing_accuracy", "sampling_accuracy", "hit_f1", "kl_nats")
        row[split] = {name: metrics[name] for name in wanted}
        row[split]["by_bar"] = _accuracy_by_bar(checkpoint.model, some.features)
    return row


@torch.inference_mode()
def _accuracy_by_bar(model: MusicVAE, features: NDArray[np.float32]) -> list[float]:
    """Return each bar's share of steps with all nine voices right, in free-running decoding.

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
    by_bar = exact.reshape(len(exact), -1, COMMON_TIME.steps_per_bar).mean(axis=(0, 2))
    accuracies: list[float] = by_bar.tolist()
    return accuracies


def _hits(features: NDArray[np.float32]) -> NDArray[np.bool_]:
    return features[..., :N_VOICES] > 0.5


def _spread(windows: Windows, n: int) -> Windows:
    return windows.take(np.linspace(0, len(windows) - 1, min(n, len(windows))))


_PAPER: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "flat": (0.884, 0.549),
        "hierarchical, one z": (0.928, 0.879),
        "hierarchical": (0.928, 0.879),
    }
)
"""Test accuracy of 16-bar drums under teacher forcing and in sampling: Roberts et al. 2018,
table 2, on their own data."""

_COLOURS = ("#c8553d", "#3b6fb6", "#7a9e4b", "#9467bd", "#8c564b", "#17becf")
_REAL = "#777777"


def _table(report: Mapping[str, Any]) -> str:
    """Return the measures as tables in Markdown."""
    return "\n\n".join([_accuracies(report), _by_bar(report), _similarities(report)]) + "\n"


def _accuracies(report: Mapping[str, Any]) -> str:
    n = report["n_windows"]
    lines = [
        "Share of steps with all nine voices right; z at the posterior mean, "
        f"{n['test']:,} windows of the test split and {n['train']:,} of the train split.",
        "",
        *_head(
            "model",
            "parameters",
            "test, teacher forcing",
            "test, sampling",
            "train, teacher forcing",
            "train, sampling",
            "the paper's test",
        ),
    ]
    for name, row in report["models"].items():
        numbers = [
            f"{row[split][f'{way}_accuracy']:.4f}"
            for split in ("test", "train")
            for way in ("teacher_forcing", "sampling")
        ]
        paper = " and ".join(f"{number:.3f}" for number in _PAPER.get(name, ()))
        lines.append(_row(name, f"{row['parameters']:,}", *numbers, paper or "-"))
    return "\n".join(lines)


def _by_bar(report: Mapping[str, Any]) -> str:
    n_bars = len(next(iter(report["models"].values()))["test"]["by_bar"])
    bars = [bar for bar in (0, 1, 3, 7, 11, 15) if bar < n_bars]
    lines = ["Test, sampling, bar by bar.", ""]
    lines += _head("model", *(f"bar {bar + 1}" for bar in bars))
    for name, row in report["models"].items():
        lines.append(_row(name, *(f"{row['test']['by_bar'][bar]:.4f}" for bar in bars)))
    return "\n".join(lines)


def _similarities(report: Mapping[str, Any]) -> str:
    lines = [
        "How alike bars are that lie so many bars apart: mean F1 of their hits, of real windows "
        "and of pieces sampled at temperature 1.",
        "",
        *_head("", *(f"lag {lag}" for lag in report["lags"])),
    ]
    for split, similarity in report["real"].items():
        lines.append(_row(f"real, {split} split", *map("{:.3f}".format, similarity)))
    for name, row in report["models"].items():
        source = "" if row["prior"] == "learned" else ", from N(0, I)"
        lines.append(_row(f"{name}{source}", *map("{:.3f}".format, row["similarity"])))
    return "\n".join(lines)


def _head(*cells: str) -> list[str]:
    return [_row(*cells), "| --- " * len(cells) + "|"]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _draw(report: Mapping[str, Any]) -> go.Figure:
    """Return the figure: accuracy against the bar, and similarity against the lag."""
    titles = ("Steps right, test split, sampling", "How alike bars are")
    figure = make_subplots(1, 2, subplot_titles=titles)
    for (name, row), colour in zip(report["models"].items(), _COLOURS, strict=False):
        accuracy = row["test"]["by_bar"]
        line = {"color": colour}
        bars = list(range(1, len(accuracy) + 1))
        figure.add_trace(go.Scatter(x=bars, y=accuracy, name=name, line=line), 1, 1)
        alike = go.Scatter(
            x=report["lags"], y=row["similarity"], name=name, line=line, showlegend=False
        )
        figure.add_trace(alike, 1, 2)
    for split, dash in (("train", "dot"), ("test", "dash")):
        line = {"color": _REAL, "dash": dash}
        real = go.Scatter(
            x=report["lags"], y=report["real"][split], name=f"real, {split}", line=line
        )
        figure.add_trace(real, 1, 2)
    figure.update_xaxes(title_text="bar", row=1, col=1)
    figure.update_xaxes(title_text="bars apart", tickvals=report["lags"], row=1, col=2)
    figure.update_layout(width=1000, height=360, legend={"orientation": "h"}, font={"size": 11})
    return figure


def _lag_similarity(hits: NDArray[np.bool_], lags: Sequence[int]) -> list[float]:
    """Return the mean similarity of all pairs of bars at each lag.

    Parameters
    ----------
    hits
        (N, T, 9) bool.
    lags
        In bars, each below the number of bars.
    """
    matrices = bar_similarity(hits)
    diagonals = [np.diagonal(matrices, lag, axis1=-2, axis2=-1) for lag in lags]
    return [float(diagonal.mean()) for diagonal in diagonals]
