"""Experiments behind the model cards: the effect of each choice, and how well z predicts style."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from musicvae_core.data.dataset import Dataset
from musicvae_core.data.windows import Split
from musicvae_core.errors import TooFewExamplesError
from musicvae_core.evaluation.experiments.reports import write_figure
from musicvae_core.evaluation.metrics import MAX_GENERATED, realism_metrics
from musicvae_core.latent.atlas import Atlas, directions
from musicvae_core.latent.codes import Codes, encode_features
from musicvae_core.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from musicvae_core.models.presets import Preset, override
from musicvae_core.models.reconstruction import reconstruction_metrics
from musicvae_core.training.fit_prior import fit_prior, prior_training
from musicvae_core.training.train import train

N_WINDOWS = 1000

_ABLATIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
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
"""Changes to a preset, by name; those that a preset already has are skipped."""

_log = logging.getLogger(__name__)


def ablate(
    preset: Preset[Any], dataset: Dataset, out: Path, n_steps: int, device: str = "auto"
) -> list[dict[str, Any]]:
    """Train a preset and its variations for the same number of steps.

    Parameters
    ----------
    preset, dataset
        The preset to vary, and its data.
    out
        Folder for the runs; finished runs are not repeated, interrupted ones are resumed.
    n_steps
        Optimiser steps per run.
    device
        See `train.train`.

    Returns
    -------
    A row for each variation: its name, and accuracies and errors on windows of the train and
    validation splits.
    """
    rows = []
    for name, changes in _ABLATIONS.items():
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
        _log.info("%s", row)
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
    """Measure accuracy and realism against the KL divergence, by fine-tuning at other betas.

    Parameters
    ----------
    start
        A trained checkpoint; its own point is the first row.
    dataset, out, device
        See `ablate`.
    betas
        Weights of the KL term to fine-tune with.
    n_steps, n_prior_steps
        Optimiser steps of each model, and of the prior fitted to it.

    Returns
    -------
    A row for each beta: `beta`, reconstruction on the validation split, and realism under the
    refitted learned prior and under N(0, I).
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
        _log.info("%s", rows[-1])
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


_Array = NDArray[np.float64]
_Names = NDArray[np.str_]
_Scores = Callable[[Codes], _Array]
"""Gives a score of each style for codes (n, Z): (n, styles)."""

_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Candidates for the inverse strength of the probe's penalty, chosen on the validation split."""
_NEIGHBOURS = (1, 5, 15, 30, 60)
"""Candidates for the number of neighbours, chosen likewise."""
_MAX_STEPS = 500


def probe_style(checkpoint: Checkpoint, dataset: Dataset, atlas: Atlas) -> dict[str, Any]:
    """Predict the style of held-out windows from their codes.

    Parameters
    ----------
    checkpoint
        Encodes the windows.
    dataset
        Its splits keep performances whole. Settings are chosen on the validation split, and all
        results are reported on the test split.
    atlas
        Its points vote in the two nearest-neighbour methods.

    Returns
    -------
    `n_windows` and `n_performances` of the test split, `n_styles` of the train split, and for
    `majority` (always the train split's most common style), `linear`,
    `map` (neighbours on the t-SNE map) and `space` (neighbours by angle between codes):
    `accuracy` over windows; `balanced`, the mean recall over styles; and `by_performance`, the
    accuracy when all windows of a performance are scored together; also `style`, and `penalty`
    or `neighbours`, as chosen on the validation split.

    Raises
    ------
    TooFewExamplesError
        If the train split has fewer than two styles.

    Source: linear probes: Alain and Bengio 2016.
    """
    train, validation, test = (
        _labelled(checkpoint, dataset, split) for split in ("train", "validation", "test")
    )
    names, counts = np.unique(train.styles, return_counts=True)
    if len(names) < 2:
        raise TooFewExamplesError(
            "The train split is not of two styles or more; give a data set whose info.csv has them."
        )
    majority = str(names[counts.argmax()])
    always = np.tile((names == majority).astype(np.float64), (len(test.styles), 1))
    points = np.array([atlas.performance_of(point).style for point in range(len(atlas))])

    def linear(penalty: float) -> _Scores:
        return _linear(train, penalty)

    def on_map(n: int) -> _Scores:
        return _voters(names, points, atlas.tsne, n, atlas.tsne_map.place)

    def in_space(n: int) -> _Scores:
        return _voters(names, points, directions(atlas.codes), n, directions)

    return {
        "n_windows": len(test.styles),
        "n_performances": len(np.unique(test.performances)),
        "n_styles": len(names),
        "majority": _report(names, always, test) | {"style": majority},
        "linear": _best(linear, _PENALTIES, "penalty", names, validation, test),
        "map": _best(on_map, _NEIGHBOURS, "neighbours", names, validation, test),
        "space": _best(in_space, _NEIGHBOURS, "neighbours", names, validation, test),
    }


class _Labelled(NamedTuple):
    """A split: codes (N, Z), with the style and performance of each."""

    codes: Codes
    styles: _Names
    performances: NDArray[np.int64]


def _labelled(checkpoint: Checkpoint, dataset: Dataset, split: Split) -> _Labelled:
    windows = dataset.windows(split, checkpoint.config.n_bars)
    styles = np.array([label.style for label in windows.labels])[windows.performance]
    return _Labelled(encode_features(checkpoint, windows.features), styles, windows.performance)


def _best(
    make: Callable[[Any], _Scores],
    choices: Sequence[float],
    called: str,
    names: _Names,
    validation: _Labelled,
    test: _Labelled,
) -> dict[str, Any]:
    """Choose the best scorer on the validation split, and report its results on the test split."""
    scorers = {choice: make(choice) for choice in choices}
    found = {
        choice: _accuracy(names, scores(validation.codes), validation.styles)
        for choice, scores in scorers.items()
    }
    chosen = max(choices, key=found.__getitem__)
    return _report(names, scorers[chosen](test.codes), test) | {called: chosen}


def _linear(train: _Labelled, penalty: float) -> _Scores:
    """Fit a logistic regression on standardised codes; its columns are the sorted styles."""
    scaler = StandardScaler().fit(train.codes)
    model = LogisticRegression(C=penalty, max_iter=_MAX_STEPS)
    model.fit(scaler.transform(train.codes), train.styles)
    return lambda unseen: np.asarray(model.predict_proba(scaler.transform(unseen)))


def _voters(
    names: _Names,
    styles: _Names,
    points: NDArray[np.float32],
    n: int,
    place: Callable[[Codes], NDArray[np.float32]],
) -> _Scores:
    """Return the shares of the styles among the n points nearest to where codes are placed."""
    index = NearestNeighbors(n_neighbors=min(n, len(points))).fit(points)
    votes = (styles[:, None] == names).astype(np.float64)  # (points, styles)
    return lambda unseen: np.asarray(
        votes[index.kneighbors(place(unseen), return_distance=False)].mean(axis=1)
    )


def _accuracy(names: _Names, scores: _Array, styles: _Names) -> float:
    return float((names[scores.argmax(axis=1)] == styles).mean())


def _report(names: _Names, scores: _Array, test: _Labelled) -> dict[str, float]:
    styles = test.styles
    found = names[scores.argmax(axis=1)] == styles
    _, firsts, group = np.unique(test.performances, return_index=True, return_inverse=True)
    together = np.zeros((len(firsts), len(names)))
    np.add.at(together, group, scores)
    return {
        "accuracy": float(found.mean()),
        "balanced": float(np.mean([found[styles == style].mean() for style in np.unique(styles)])),
        "by_performance": _accuracy(names, together, styles[firsts]),
    }


_PRIORS = {"learned": "AUC, learned prior", "normal": "AUC, N(0, I)"}


def draw_trade_off(rows: Sequence[Mapping[str, Any]], path: Path) -> Path:
    """Plot the results of `trade_off`, and return the file.

    Left: the share of steps with all nine voices right. Right: how well a judge tells samples
    from real windows; 0.5 is chance level. Both are plotted against the KL in nats.
    """
    rows = sorted(rows, key=lambda row: row["validation"]["kl_nats"])
    nats = [row["validation"]["kl_nats"] for row in rows]
    figure = make_subplots(1, 2, horizontal_spacing=0.12)
    accuracy = [row["validation"]["sampling_accuracy"] for row in rows]
    figure.add_trace(go.Scatter(x=nats, y=accuracy, name="sampling accuracy"), 1, 1)
    for prior, name in _PRIORS.items():
        realism = [row[prior]["auc"] for row in rows]
        figure.add_trace(go.Scatter(x=nats, y=realism, name=name), 1, 2)
    figure.update_xaxes(title_text="KL in nats", rangemode="tozero")
    figure.update_yaxes(title_text="steps right", range=[0, 1], row=1, col=1)
    figure.update_yaxes(title_text="AUC of the judge", range=[0.45, 1], row=1, col=2)
    figure.update_layout(width=820, height=340, margin={"t": 20, "r": 10}, font={"size": 12})
    return write_figure(figure, path)
