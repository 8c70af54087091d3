"""How well grooves follow the sliders: every attribute measured under every vector."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots
from sklearn.ensemble import HistGradientBoostingClassifier

from musicvae_core.data.dataset import Dataset
from musicvae_core.data.files import make_folder, write_content
from musicvae_core.data.windows import Split, Windows, WindowSource
from musicvae_core.evaluation.experiments.attribute_floors import definition_floors, nearest_real
from musicvae_core.evaluation.experiments.reports import write_figure
from musicvae_core.evaluation.realism import judge_auc
from musicvae_core.latent.attribute_vectors import FILL, AttributeVectors
from musicvae_core.latent.codes import Codes, encode_features
from musicvae_core.latent.steering import Steered, decode_codes, measured, steer
from musicvae_core.models.checkpoint import Checkpoint
from musicvae_core.models.kinds import kind_of
from musicvae_core.music.attributes import beats_of, controls_of, measure_controls
from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.forms import FORMS
from musicvae_core.music.grid import COMMON_TIME

_N_WINDOWS = 512
_TARGET_CORRELATION, _TARGET_SHARE = 0.9, 1 / 3
"""Targets for a slider: its rank correlation, and how much others may move relative to it."""
_N_REAL = 20_000
"""Maximum number of train windows, evenly spread, to compare with steered ones."""
_N_TOGETHER = 3
"""Number of sliders set at once in the second part of the experiment."""
_AMOUNTS = (1.0, 2.0, 3.0, 4.0)
"""Multiples of a style's vector."""

_ONE_IN = 4
"""The second part uses one window in this many."""
_N_STYLED = 128
_STEPS_AT_ONCE = 16_384
_JUDGE = {"max_iter": 40, "learning_rate": 0.2, "max_leaf_nodes": 15, "max_bins": 63}

_Array = NDArray[np.float64]
_Features = NDArray[np.float32]
_log = logging.getLogger(__name__)


def attribute_experiment(
    checkpoint: Checkpoint,
    vectors: AttributeVectors,
    dataset: WindowSource[Any],
    out: Path,
    *,
    split: Split = "test",
    n: int = _N_WINDOWS,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure the effect of vectors, sliders and styles on held-out grooves.

    Parameters
    ----------
    checkpoint, vectors, dataset
        The model, its vectors, and the music.
    out
        Folder for `attributes.json` and `attributes.svg`.
    split, n
        The split, and the maximum number of windows, evenly spread.
    seed
        Seed of the slider settings.

    Returns
    -------
    `controls`, `deviations`; `plain` and `corrected`, each (K, K), the mean change of every
    attribute, in its standard deviations in the train split, from a vector subtracted to a
    vector added (plain), and from two standard deviations down to two up (corrected);
    `sliders`, see `_slider_rows`, and `moved`, (K, K), the mean change without sign of every
    attribute under every slider; `real`, the same rows for real grooves of the train split in
    place of steered ones, see `nearest_real`; `floors`, see `definition_floors`; `together`,
    their `spearman` and `error` for every fourth window with `_N_TOGETHER` set at once;
    `realism`, see `_realism`; `styles`, see `_style_rows`. Melodies have no `floors`, `realism`
    or `styles`.
    """
    make_folder(out)
    windows = dataset.windows(split, checkpoint.config.n_bars)
    windows = windows.take(np.linspace(0, len(windows) - 1, min(n, len(windows))))
    codes = encode_features(checkpoint, windows.features[:])
    report: dict[str, Any] = {
        "checkpoint": checkpoint.name,
        "split": split,
        "n_windows": len(windows),
        "seed": seed,
        "controls": list(vectors.controls),
        "deviations": vectors.deviations.tolist(),
        "plain": _response(checkpoint, vectors, codes, vectors.plain).tolist(),
        "corrected": _response(checkpoint, vectors, codes, 2 * vectors.corrected).tolist(),
    }
    rng = np.random.default_rng(seed)
    asked, alone = _set_sliders(checkpoint, vectors, codes, 1, rng)
    report["sliders"], report["moved"] = _slider_rows(vectors, asked, alone)
    _log.info("sliders %s", report["sliders"])
    train = dataset.windows("train", checkpoint.config.n_bars)
    some_real = train.take(np.linspace(0, len(train) - 1, min(len(train), _N_REAL)))
    played = some_real.features[:][..., : checkpoint.model.n_features]
    table = measured(checkpoint, vectors, played)
    report["real"], _ = _slider_rows(vectors, asked, nearest_real(vectors, table, asked, alone))
    some = codes[::_ONE_IN]
    asked_together, together = _set_sliders(checkpoint, vectors, some, _N_TOGETHER, rng)
    rows, _ = _slider_rows(vectors, asked_together, together)
    kept = ("spearman", "error")
    report["together"] = {name: {key: row[key] for key in kept} for name, row in rows.items()}
    if isinstance(dataset, Dataset):
        report["floors"] = definition_floors(vectors, asked, alone.before)
        report["realism"] = _realism(checkpoint, windows, codes, alone)
        report["styles"] = _style_rows(checkpoint, vectors, train, windows, codes)
    write_content(out / "attributes.json", json.dumps(report, indent=1) + "\n")
    controls = FORMS[kind_of(checkpoint.config).plays].controls
    titles = [controls[name].title for name in vectors.controls]
    _draw_matrices(report, titles, out / "attributes.svg")
    return report


def _measure(checkpoint: Checkpoint, vectors: AttributeVectors, codes: _Array) -> _Array:
    return measured(checkpoint, vectors, decode_codes(checkpoint, codes.astype(np.float32)))


def _response(
    checkpoint: Checkpoint, vectors: AttributeVectors, codes: Codes, moves: _Array
) -> _Array:
    """Return each attribute's mean change from subtracting each move (K, Z) to adding it."""
    changes = [
        _measure(checkpoint, vectors, codes + move) - _measure(checkpoint, vectors, codes - move)
        for move in moves
    ]
    return np.asarray(np.mean(changes, axis=1) / vectors.deviations)


def _set_sliders(
    checkpoint: Checkpoint,
    vectors: AttributeVectors,
    codes: Codes,
    n_set: int,
    rng: np.random.Generator,
) -> tuple[_Array, Steered]:
    """Set every slider once for each window, `n_set` at a time, at random within its range.

    Returns
    -------
    The targets, (windows times sliders, K), NaN where none was set, and the results. Row
    w * K + k is window w with slider k among those set.
    """
    size = len(vectors.controls)
    targets = np.full((len(codes) * size, size), np.nan)
    values = rng.uniform(vectors.lowest, vectors.highest, targets.shape)
    for row in range(len(targets)):
        first = row % size
        others = rng.permutation(np.delete(np.arange(size), first))[: n_set - 1]
        chosen = [first, *others]
        targets[row, chosen] = values[row, chosen]
    starts = np.repeat(codes, size, axis=0)
    at_once = max(1, _STEPS_AT_ONCE // checkpoint.config.n_steps)
    parts = [
        steer(checkpoint, vectors, starts[part : part + at_once], targets[part : part + at_once])
        for part in range(0, len(starts), at_once)
    ]
    fields = ("codes", "features", "before", "after")
    joined = (np.concatenate([getattr(part, name) for part in parts]) for name in fields)
    return targets, Steered(*joined)


def _slider_rows(
    vectors: AttributeVectors, targets: _Array, steered: Steered
) -> tuple[dict[str, dict[str, Any]], list[list[float]]]:
    """Return each slider's scores, by name, and the mean change of all attributes under each.

    The scores are `spearman`, the rank correlation between set and measured values; `error` and
    `moved`, the mean miss and the mean change in standard deviations; `others` and `worst`, the
    mean change of the attributes that were not set and that of the one named `of`, relative to
    `moved`; and `systematic`, the steepest slope of another attribute's signed change on the
    slider's own, with that attribute's name in `systematic_of`. Signed changes show what
    depends on the slider; unsigned ones also include the scatter of decoding. Scores are 0
    where the slider moved nothing.
    """
    size = len(vectors.controls)
    signed = (steered.after - steered.before) / vectors.deviations
    changes = np.abs(signed)
    rows, moved = {}, []
    for at, name in enumerate(vectors.controls):
        mine = np.arange(at, len(targets), size)
        goal, reached = targets[mine, at], steered.after[mine, at]
        held = np.isnan(targets[mine])
        own = changes[mine, at].mean()
        drift = (changes[mine] * held).sum(axis=0) / np.maximum(1, held.sum(axis=0))
        shares = drift / own if own > 0 else drift * 0
        slopes = _slopes(signed[mine], at, held)
        worst, steepest = int(shares.argmax()), int(np.abs(slopes).argmax())
        rows[name] = {
            "spearman": _spearman(goal, reached),
            "error": float(np.abs(goal - reached).mean() / vectors.deviations[at]),
            "moved": float(own),
            "others": float(np.delete(shares, at).mean()),
            "worst": float(shares[worst]),
            "of": vectors.controls[worst],
            "systematic": float(slopes[steepest]),
            "systematic_of": vectors.controls[steepest],
        }
        moved.append(changes[mine].mean(axis=0).tolist())
    return rows, moved


def _slopes(signed: _Array, at: int, held: NDArray[np.bool_]) -> _Array:
    """Return least-squares slopes (K,) through 0 of held changes (N, K) on those of `at`."""
    own = signed[:, [at]]
    squares = (own**2 * held).sum(axis=0)
    products = (own * signed * held).sum(axis=0)
    slopes = np.divide(products, squares, out=np.zeros(len(squares)), where=squares > 0)
    return np.asarray(slopes)


def _spearman(first: _Array, second: _Array) -> float:
    """Return the rank correlation of two samples (N,); ties share their mean rank.

    It is 0 if one of them is constant.

    Source: Spearman 1904.
    """
    ranks = []
    for values in (first, second):
        _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
        ranks.append((np.cumsum(counts) - (counts - 1) / 2)[which])
    if min(values.std() for values in ranks) == 0:
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _realism(
    checkpoint: Checkpoint, windows: Windows, codes: Codes, steered: Steered
) -> dict[str, float]:
    """Return how well a judge tells windows from their steered versions; 0.5 is chance level.

    `resting` is for windows that are only encoded and decoded; `steered` is for the same windows
    with one slider set, a different one for each window. See `realism.judge_auc`.
    """
    n, size = len(windows), steered.before.shape[1]
    resting = decode_codes(checkpoint, codes)
    moved = steered.features[np.arange(n) * size + np.arange(n) % size]
    real = windows.features[..., : resting.shape[-1]]
    judged = {"resting": resting, "steered": moved}
    return {
        name: judge_auc(features, real, windows.performance, imitated=windows.performance)
        for name, features in judged.items()
    }


def _style_rows(
    checkpoint: Checkpoint,
    vectors: AttributeVectors,
    train: Windows,
    windows: Windows,
    codes: Codes,
) -> dict[str, dict[str, Any]]:
    """Return the effect of adding each label's vector, according to a judge.

    The judge is gradient-boosted trees fitted to the model's reconstructions of the train split.
    For each label that can be recognised, `before` is the mean probability it gives the label
    for windows without it, and `after` the same for each of `_AMOUNTS`.
    """
    rows = {}
    names = np.array([label.style for label in windows.labels])[windows.performance]
    fills = np.array([label.beat_type == FILL for label in windows.labels])[windows.performance]
    n_features = checkpoint.model.n_features
    for kind in ("style", FILL):
        played = {one.beat_type if kind == FILL else one.style for one in train.labels}
        labels = [
            name for name in vectors.labels if (name == FILL) == (kind == FILL) and name in played
        ]
        if not labels or len(played) == 1:  # no other label to compare with
            continue
        judge = _style_judge(train, kind, n_features)
        for label in labels:
            without = ~fills if kind == FILL else names != label
            if not without.any():
                continue
            some = codes[without][:: max(1, int(without.sum()) // _N_STYLED)]
            moved = [_added(vectors, some, label, amount) for amount in (0.0, *_AMOUNTS)]
            probabilities = [
                _probability(judge, label, decode_codes(checkpoint, each)) for each in moved
            ]
            rows[label] = {"before": probabilities[0], "after": probabilities[1:]}
    return rows


def _added(vectors: AttributeVectors, codes: Codes, label: str, amount: float) -> Codes:
    return vectors.styled(codes, {label: amount}).astype(np.float32)


def _style_judge(train: Windows, kind: str, n_features: int) -> HistGradientBoostingClassifier:
    """Return trees that classify a model's reconstructions by style, or as fill or beat."""
    of_window = [train.labels[index] for index in train.performance]
    truth = [label.beat_type if kind == FILL else label.style for label in of_window]
    judge = HistGradientBoostingClassifier(**_JUDGE, random_state=0)
    return judge.fit(_judge_view(train.features[..., :n_features]), truth)


def _judge_view(features: _Features) -> _Array:
    """Return every attribute, and the share of bars with a hit in each cell of the bar."""
    beats = beats_of(features)
    names = controls_of(features.shape[-1] > N_VOICES)
    bars = beats.hits.reshape(len(features), -1, COMMON_TIME.steps_per_bar * N_VOICES).mean(axis=1)
    return np.concatenate([measure_controls(beats, names), bars], axis=1)


def _probability(judge: HistGradientBoostingClassifier, label: str, features: _Features) -> float:
    column = list(judge.classes_).index(label)
    return float(judge.predict_proba(_judge_view(features))[:, column].mean())


def misses(report: Mapping[str, Any]) -> list[str]:
    """Describe the sliders that miss a target."""
    return [
        f"{name}: Spearman {row['spearman']:.3f}, {row['of']} moves {row['worst']:.2f} as much"
        for name, row in report["sliders"].items()
        if row["spearman"] < _TARGET_CORRELATION or row["worst"] >= _TARGET_SHARE
    ]


_PANELS = {
    "plain": "vectors of the paper, added less subtracted",
    "corrected": "corrected vectors, two deviations each way",
    "sliders": "sliders, beside their own attribute",
}
_SCALE = 2.5
"""Change, in standard deviations, at which the colour saturates."""


def _draw_matrices(report: Mapping[str, Any], titles: Sequence[str], path: Path) -> Path:
    """Draw the experiment's three matrices side by side, and return the file.

    Rows are what was moved, columns what was measured. The sliders' changes are unsigned, so
    each row is scaled by its own attribute's change.

    Source: after Roberts et al. 2018, figure 6.
    """
    moved = np.array(report["moved"])
    tables = {
        "plain": np.array(report["plain"]),
        "corrected": np.array(report["corrected"]),
        "sliders": _SCALE * moved / np.diag(moved)[:, None],
    }
    figure = make_subplots(
        1, 3, shared_yaxes=True, subplot_titles=list(_PANELS.values()), horizontal_spacing=0.02
    )
    for column, name in enumerate(_PANELS, start=1):
        table = tables[name]
        shown = moved / np.diag(moved)[:, None] if name == "sliders" else table
        heat = go.Heatmap(
            z=table,
            x=titles,
            y=titles,
            zmin=-_SCALE,
            zmax=_SCALE,
            colorscale="RdBu_r",
            showscale=False,
            text=np.vectorize("{:.1f}".format)(np.round(shown, 1) + 0.0),
            texttemplate="%{text}",
            textfont={"size": 8},
        )
        figure.add_trace(heat, 1, column)
    figure.update_yaxes(autorange="reversed")
    figure.update_yaxes(title_text="what is moved", row=1, col=1)
    figure.update_xaxes(tickangle=-60)
    size = 150 + 24 * len(titles)
    figure.update_layout(
        width=260 + 3 * 30 * len(titles), height=size, font={"size": 11}, margin={"t": 40, "r": 10}
    )
    return write_figure(figure, path)
