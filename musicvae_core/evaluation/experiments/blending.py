"""Interpolation in the latent space, compared with blending grooves step by step.

The judge is an n-gram model of drum steps. It predicts a step's class from its position in the
bar and the classes before it. Counts of longer contexts are interpolated with those of shorter
ones, down to a uniform distribution.

Source: Roberts et al. 2018, section 5.2 and figure 5, whose judge is a model of order 5. The
interpolation of counts is Witten and Bell's method C, as in Chen and Goodman 1998, section 2.4.

Deviations: the position in the bar is known, and a factor gives shorter contexts more weight.
Drummers repeat a bar many times, so plain counts would turn one performance into a rule.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import torch
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from musicvae_core.data.dataset import Dataset
from musicvae_core.data.files import make_folder, write_content
from musicvae_core.data.windows import Split, Windows
from musicvae_core.errors import TooFewExamplesError
from musicvae_core.evaluation.experiments.reports import write_figure
from musicvae_core.latent.codes import Codes, encode_features, refine_path, slerp
from musicvae_core.models.checkpoint import Checkpoint
from musicvae_core.music.drums import DRUM_CLASSES, N_VOICES, hits_to_classes
from musicvae_core.music.grid import COMMON_TIME

_FRACTIONS = tuple(float(fraction) for fraction in np.linspace(0, 1, 11))
_N_HELD_OUT = 500
_BATCH = 256

_TITLES = {
    "slerp": "slerp of z",
    "refined": "slerp of z, refined by the prior",
    "blending": "blending of the notes",
}

_Classes = NDArray[np.int64]
_log = logging.getLogger(__name__)


def interpolation(
    checkpoint: Checkpoint, dataset: Dataset, out: Path, n_pairs: int = 512, seed: int = 0
) -> dict[str, Any]:
    """Interpolate between windows of the test split in several ways, and measure each step.

    In the latent space, a path is the slerp of the posterior means, decoded at temperature 0;
    with a learned prior, the refined path is measured too (`latent.refine_path`). In data space,
    each step of the window comes from the end with a probability equal to the fraction, and
    otherwise from the start.

    Parameters
    ----------
    checkpoint, dataset
        The model that decodes, and the source of the windows. The judge is an n-gram model of
        the train split's hits; its order is chosen on the validation split.
    out
        Folder for `interpolation.json` and `interpolation.svg`.
    n_pairs
        Number of pairs of windows from different performances.
    seed
        Seed of the pairs and of the blending.

    Returns
    -------
    `pairs`, `seed`, `judge` (its order, strength and cost of the test windows), `fractions`,
    `ends_apart`, the share of steps that differ between the two windows; and for each of
    `slerp`, `refined` and `blending`: `distance`, at each fraction the mean share of steps that
    differ from the start (normalised Hamming distance); `cost`, the mean nats per step under the
    judge; `unevenness`, the largest deviation of `distance` from a straight line, as a share of
    `ends_apart`; `bulge` and `dip`, the highest and lowest cost relative to the straight line
    between the costs of the ends.

    Raises
    ------
    TooFewExamplesError
        If the test split has only one performance.
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
        "fractions": list(_FRACTIONS),
    }
    apart = float((classes[starts] != classes[ends]).mean())
    report |= {"ends_apart": apart}
    for name, path in paths.items():
        report[name] = _measured(path, classes[starts], apart, judge)
    write_content(out / "interpolation.json", json.dumps(report, indent=1) + "\n")
    write_figure(_draw(report), out / "interpolation.svg")
    return report


def _pairs(windows: Windows, n_pairs: int, seed: int) -> tuple[_Classes, _Classes]:
    """Return the indices of both windows of each pair, from two performances."""
    performance = windows.performance
    if len(np.unique(performance)) < 2:
        raise TooFewExamplesError(
            "Pairs of windows need two performances in the test split; add MIDI files."
        )
    rng = np.random.default_rng(seed)
    starts = rng.integers(len(windows), size=n_pairs)
    ends = [rng.choice(np.flatnonzero(performance != performance[start])) for start in starts]
    return starts, np.array(ends)


def _judge(dataset: Dataset, n_bars: int) -> _NgramModel:
    def sequences(split: Split) -> list[_Classes]:
        pairs = zip(dataset.labels, dataset.grooves, strict=True)
        return [hits_to_classes(groove.hits) for label, groove in pairs if label.split == split]

    held_out = dataset.windows("validation", n_bars)
    some = held_out.take(np.linspace(0, len(held_out) - 1, min(_N_HELD_OUT, len(held_out))))
    judge = _fit_ngram(sequences("train"), _classes(some.features))
    _log.info("The judge looks at %d steps, with a strength of %g.", judge.order, judge.strength)
    return judge


def _classes(features: NDArray[np.float32]) -> _Classes:
    return hits_to_classes(features[..., :N_VOICES] > 0.5)


def _laid(starts: Codes, ends: Codes) -> Codes:
    """Return the slerp (fractions, pairs, Z) between codes (pairs, Z)."""
    pairs = list(zip(starts, ends, strict=True))
    return np.stack([[slerp(a, b, fraction) for a, b in pairs] for fraction in _FRACTIONS])


def _refined(checkpoint: Checkpoint, paths: Codes) -> Codes:
    n_pairs = paths.shape[1]
    steps = zip(paths, _FRACTIONS, strict=True)
    return np.stack([refine_path(checkpoint, z, np.full(n_pairs, at)) for z, at in steps])


@torch.inference_mode()
def _decoded(checkpoint: Checkpoint, paths: Codes) -> _Classes:
    """Return the classes (fractions, pairs, T) of codes (fractions, pairs, Z)."""
    parts = torch.split(torch.from_numpy(paths.reshape(-1, paths.shape[-1])), _BATCH)
    features = torch.cat([checkpoint.model.decode(part, 0.0)[..., :N_VOICES] for part in parts])
    return _classes(features.numpy()).reshape(*paths.shape[:2], -1)


def _blended(starts: _Classes, ends: _Classes, seed: int) -> _Classes:
    """Return the classes (fractions, pairs, T): each step comes from one window or the other."""
    chance = np.random.default_rng(seed).random((len(_FRACTIONS), *starts.shape))
    fractions = np.array(_FRACTIONS)[:, None, None]
    return np.where(chance < fractions, ends, starts)


def _measured(path: _Classes, starts: _Classes, apart: float, judge: _NgramModel) -> dict[str, Any]:
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
    return np.asarray(values[0] + np.array(_FRACTIONS) * (values[-1] - values[0]))


def _draw(report: dict[str, Any]) -> go.Figure:
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


_MAX_ORDER = COMMON_TIME.steps_per_bar
"""The longest contexts reach back to the same step of the previous bar."""

_STRENGTHS = (1.0, 4.0, 16.0, 64.0)
_UNKNOWN = -1


@dataclass(frozen=True)
class _Level:
    """Counts of the contexts of one length.

    Parameters
    ----------
    keys
        Sorted; each combines a shorter context's index with one earlier class.
    totals, distinct
        For each context, how often it occurred and how many different classes followed it.
    pairs, counts
        Sorted combinations of a context and the class that followed, and how often it did.
    """

    keys: _Classes
    totals: _Classes
    distinct: _Classes
    pairs: _Classes
    counts: _Classes

    @classmethod
    def of(cls, keys: _Classes, classes: _Classes) -> _Level:
        """Count contexts, given as keys, and the classes that followed them."""
        unique, indices = np.unique(keys, return_inverse=True)
        pairs, counts = np.unique(_joined(indices, classes), return_counts=True)
        distinct = np.bincount(pairs // DRUM_CLASSES.n_classes, minlength=len(unique))
        return cls(unique, np.bincount(indices), distinct, pairs, counts)

    def contexts(self, keys: _Classes) -> _Classes:
        """Return the index of each context; -1 if it never occurred."""
        return _find(self.keys, keys)

    def interpolated(
        self, contexts: _Classes, classes: _Classes, lower: NDArray[np.float64], strength: float
    ) -> NDArray[np.float64]:
        """Return the probability of classes, given their probability under shorter contexts."""
        at = _find(self.pairs, np.where(contexts < 0, _UNKNOWN, _joined(contexts, classes)))
        counts = np.where(at < 0, 0, self.counts[at])
        shared = strength * self.distinct[contexts]
        longer = (counts + shared * lower) / (self.totals[contexts] + shared)
        return np.asarray(np.where(contexts < 0, lower, longer))


class _NgramModel:
    """Counts of all contexts up to a length.

    Parameters
    ----------
    sequences
        (T,) int64 classes of whole performances, each from the first step of a bar.
    order
        1 to 16: length of the n-grams; 1 uses only the position in the bar.
    strength
        Weight of shorter contexts; 1 is Witten and Bell's.
    """

    def __init__(self, sequences: Iterable[_Classes], order: int, strength: float = 1.0) -> None:
        self.order, self.strength = order, strength
        classes, places = _laid_end_to_end(sequences)
        keys = places % COMMON_TIME.steps_per_bar
        self._levels = [_Level.of(np.zeros_like(keys), classes)]
        for length in range(order):
            self._levels.append(_Level.of(keys[places >= length], classes[places >= length]))
            contexts = self._levels[-1].contexts(keys)
            keys = _longer(contexts, classes, length + 1)

    def costs(self, windows: _Classes) -> NDArray[np.float64]:
        """Return the cost of each step, by order.

        Parameters
        ----------
        windows
            (N, T) int64 classes, from the first step of a bar.

        Returns
        -------
        (order, N, T) nats, under models of order 1, 2 and so on. The first steps of a window
        are conditioned only on the steps that exist.
        """
        n_windows, n_steps = windows.shape
        classes = windows.ravel()
        places = np.tile(np.arange(n_steps), n_windows)
        uniform = np.full(len(classes), 1 / DRUM_CLASSES.n_classes)
        always = np.zeros_like(classes)
        probabilities = self._levels[0].interpolated(always, classes, uniform, self.strength)
        keys, found = places % COMMON_TIME.steps_per_bar, []
        for length, level in enumerate(self._levels[1:]):
            contexts = np.where(places < length, _UNKNOWN, level.contexts(keys))
            probabilities = level.interpolated(contexts, classes, probabilities, self.strength)
            found.append(-np.log(probabilities).reshape(n_windows, n_steps))
            keys = _longer(contexts, classes, length + 1)
        return np.stack(found)

    def cost(self, windows: _Classes) -> NDArray[np.float64]:
        """Return the cost of each step under the longest contexts, (N, T) nats."""
        last: NDArray[np.float64] = self.costs(windows)[-1]
        return last


def _fit_ngram(sequences: Sequence[_Classes], held_out: _Classes) -> _NgramModel:
    """Return the model of the order and strength with the lowest mean cost on held-out windows.

    Parameters
    ----------
    sequences
        As `_NgramModel` takes them.
    held_out
        (N, T) int64 classes.
    """
    costs: dict[tuple[int, float], float] = {}
    for strength in _STRENGTHS:
        by_order = _NgramModel(sequences, _MAX_ORDER, strength).costs(held_out).mean(axis=(1, 2))
        costs |= {(order, strength): float(cost) for order, cost in enumerate(by_order, start=1)}
    order, strength = min(costs, key=costs.__getitem__)
    return _NgramModel(sequences, order, strength)


def _laid_end_to_end(sequences: Iterable[_Classes]) -> tuple[_Classes, _Classes]:
    """Concatenate all classes, and return each one's position in its sequence."""
    kept = list(sequences)
    return np.concatenate(kept), np.concatenate([np.arange(len(one)) for one in kept])


def _longer(contexts: _Classes, classes: _Classes, distance: int) -> _Classes:
    """Return the keys of contexts extended by the class a number of steps before.

    Where the sequence does not reach back that far the key is meaningless; the caller drops it.
    """
    before = np.concatenate([np.zeros(distance, np.int64), classes[:-distance]])[: len(classes)]
    return np.where(contexts < 0, _UNKNOWN, _joined(contexts, before))


def _joined(contexts: _Classes, classes: _Classes) -> _Classes:
    return np.asarray(contexts * DRUM_CLASSES.n_classes + classes)


def _find(table: _Classes, keys: _Classes) -> _Classes:
    """Return the index of each key in a sorted table; -1 if it is missing."""
    at = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return np.where(table[at] == keys, at, _UNKNOWN)
