"""Interpolation in the latent space against blending grooves step by step, as measured paths.

Source: Roberts et al. 2018, section 5.2 and figure 5.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import torch
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from musicvae_core.checkpoint import Checkpoint
from musicvae_core.codec import hits_to_classes
from musicvae_core.dataset import Dataset, Split, Windows
from musicvae_core.errors import TooFewExamplesError
from musicvae_core.experiments.figures import write_figure
from musicvae_core.experiments.ngram import NgramModel, fit_ngram
from musicvae_core.files import make_folder, write_content
from musicvae_core.latent import Codes, encode_features, refine_path, slerp
from musicvae_core.vocabulary import N_VOICES

FRACTIONS = tuple(float(fraction) for fraction in np.linspace(0, 1, 11))
N_HELD_OUT = 500
_BATCH = 256

_TITLES = {
    "slerp": "slerp of z",
    "refined": "slerp of z, refined by the prior",
    "blending": "blending of the notes",
}

Classes = NDArray[np.int64]
log = logging.getLogger(__name__)


def interpolation(
    checkpoint: Checkpoint, dataset: Dataset, out: Path, n_pairs: int = 512, seed: int = 0
) -> dict[str, Any]:
    """Walk from window to window of the test split, in two ways, and measure each step.

    In the latent space a path is the slerp of the posterior means, decoded at temperature 0;
    it is walked as it is and, with a learned prior, refined by it (`latent.refine_path`). In
    data space every step of the window is that of the end with the probability of the
    fraction, else that of the start.

    Parameters
    ----------
    checkpoint, dataset
        What decodes, and whence the windows come; the judge of costs is an n-gram model of
        the train split's hits whose order is chosen on the validation split.
    out
        Folder for `interpolation.json` and `interpolation.svg`.
    n_pairs
        Pairs of windows of different performances.
    seed
        Of the pairs and of the blending.

    Returns
    -------
    `pairs`, `seed`, `judge` (its order, strength and cost of the test windows), `fractions`,
    `ends_apart`, the share of steps that differ between both windows; and for each of `slerp`,
    `refined` and `blending`: `distance`, at each fraction the mean share of steps that differ
    from the start (its normalised Hamming distance); `cost`, the mean nats a step under the
    judge; `unevenness`, how far `distance` strays at most from a straight line, as a share of
    `ends_apart`; `bulge` and `dip`, the highest and lowest cost as multiples of what lies on
    the straight line between the costs of the ends.

    Raises
    ------
    TooFewExamplesError
        If the test split has one performance alone.
    """
    make_folder(out)
    windows = dataset.windows("test", checkpoint.config.n_bars)
    starts, ends = _pairs(windows, n_pairs, seed)
    judge = _judge(dataset, checkpoint.config.n_bars)
    classes = _classes(windows.features)
    codes = encode_features(checkpoint, windows.features[np.concatenate([starts, ends])])
    straight = _laid(codes[:n_pairs], codes[n_pairs:])
    paths = {"slerp": _decoded(checkpoint, straight)}
    if checkpoint.prior is not None:
        paths["refined"] = _decoded(checkpoint, _refined(checkpoint, straight))
    paths["blending"] = _blended(classes[starts], classes[ends], seed)
    report: dict[str, Any] = {
        "checkpoint": checkpoint.name,
        "pairs": n_pairs,
        "seed": seed,
        "judge": {
            "order": judge.order,
            "strength": judge.strength,
            "cost_of_test_windows": float(judge.cost(classes).mean()),
        },
        "fractions": list(FRACTIONS),
    }
    apart = float((classes[starts] != classes[ends]).mean())
    report |= {"ends_apart": apart}
    for name, path in paths.items():
        report[name] = _measured(path, classes[starts], apart, judge)
    write_content(out / "interpolation.json", json.dumps(report, indent=1) + "\n")
    write_figure(draw(report), out / "interpolation.svg")
    return report


def _pairs(windows: Windows, n_pairs: int, seed: int) -> tuple[Classes, Classes]:
    """Return the indices of both windows of each pair, of two performances."""
    performance = windows.performance
    if len(np.unique(performance)) < 2:
        raise TooFewExamplesError(
            "Pairs of windows need two performances in the test split; add MIDI files."
        )
    rng = np.random.default_rng(seed)
    starts = rng.integers(len(windows), size=n_pairs)
    ends = [rng.choice(np.flatnonzero(performance != performance[start])) for start in starts]
    return starts, np.array(ends)


def _judge(dataset: Dataset, n_bars: int) -> NgramModel:
    def sequences(split: Split) -> list[Classes]:
        pairs = zip(dataset.labels, dataset.grooves, strict=True)
        return [hits_to_classes(groove.hits) for label, groove in pairs if label.split == split]

    held_out = dataset.windows("validation", n_bars)
    some = held_out.take(np.linspace(0, len(held_out) - 1, min(N_HELD_OUT, len(held_out))))
    judge = fit_ngram(sequences("train"), _classes(some.features))
    log.info("The judge looks at %d steps, with a strength of %g.", judge.order, judge.strength)
    return judge


def _classes(features: NDArray[np.float32]) -> Classes:
    return hits_to_classes(features[..., :N_VOICES] > 0.5)


def _laid(starts: Codes, ends: Codes) -> Codes:
    """Return the slerp (fractions, pairs, Z) between codes (pairs, Z)."""
    pairs = list(zip(starts, ends, strict=True))
    return np.stack([[slerp(a, b, fraction) for a, b in pairs] for fraction in FRACTIONS])


def _refined(checkpoint: Checkpoint, paths: Codes) -> Codes:
    n_pairs = paths.shape[1]
    steps = zip(paths, FRACTIONS, strict=True)
    return np.stack([refine_path(checkpoint, z, np.full(n_pairs, at)) for z, at in steps])


@torch.inference_mode()
def _decoded(checkpoint: Checkpoint, paths: Codes) -> Classes:
    """Return the classes (fractions, pairs, T) of codes (fractions, pairs, Z)."""
    parts = torch.split(torch.from_numpy(paths.reshape(-1, paths.shape[-1])), _BATCH)
    features = torch.cat([checkpoint.model.decode(part, 0.0)[..., :N_VOICES] for part in parts])
    return _classes(features.numpy()).reshape(*paths.shape[:2], -1)


def _blended(starts: Classes, ends: Classes, seed: int) -> Classes:
    """Return the classes (fractions, pairs, T): each step of one or of the other window."""
    chance = np.random.default_rng(seed).random((len(FRACTIONS), *starts.shape))
    fractions = np.array(FRACTIONS)[:, None, None]
    return np.where(chance < fractions, ends, starts)


def _measured(path: Classes, starts: Classes, apart: float, judge: NgramModel) -> dict[str, Any]:
    distance = (path != starts).mean(axis=(1, 2))
    cost = np.array([judge.cost(windows).mean() for windows in path])
    relative = cost / _straight(cost)
    astray = np.abs(distance - _straight(distance)).max()
    return {
        "distance": distance.tolist(),
        "cost": cost.tolist(),
        "unevenness": float(astray / apart),
        "bulge": float(relative.max()),
        "dip": float(relative.min()),
    }


def _straight(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the straight line from the first value to the last."""
    return np.asarray(values[0] + np.array(FRACTIONS) * (values[-1] - values[0]))


def draw(report: dict[str, Any]) -> go.Figure:
    """Return the figure: distance and cost along both paths."""
    panels = {"distance": "Steps that differ from the start", "cost": "Cost, nats a step"}
    figure = make_subplots(1, 2, subplot_titles=list(panels.values()))
    styles = {"slerp": "#3b6fb6", "refined": "#7a9e4b", "blending": "#c8553d"}
    there = {name: colour for name, colour in styles.items() if name in report}
    for column, measure in enumerate(panels, start=1):
        for name, colour in there.items():
            line = go.Scatter(
                x=report["fractions"],
                y=report[name][measure],
                name=_TITLES[name],
                line={"color": colour},
                showlegend=column == 1,
            )
            figure.add_trace(line, 1, column)
    figure.update_xaxes(title_text="from A to B")
    figure.update_yaxes(rangemode="tozero")
    figure.update_layout(width=900, height=340, legend={"orientation": "h"}, font={"size": 11})
    return figure
