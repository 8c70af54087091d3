"""The experiment `feel`: the groove lab against honest baselines, on held-out performances."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from musicvae_core.data.dataset import Dataset
from musicvae_core.data.files import make_folder, write_content
from musicvae_core.data.windows import Split, Windows
from musicvae_core.evaluation.experiments.feel_baselines import (
    FeelTable,
    Noise,
    PatternTable,
    hit_f1,
    split_feel,
)
from musicvae_core.evaluation.experiments.feel_metrics import (
    Real,
    attribute_means,
    bar_jumps,
    errors,
    followed_share,
    likeness,
    transfer_report,
)
from musicvae_core.evaluation.experiments.reports import draw, report_text, write_figure
from musicvae_core.evaluation.realism import feature_gaps, judge_auc
from musicvae_core.lab.completion import complete, nats_of_rest, open_bars, stretches
from musicvae_core.lab.options import Sampling
from musicvae_core.models.checkpoint import LabCheckpoint
from musicvae_core.models.conditioning import Conditioning, Controls, Floats, taps_of, tempo_only
from musicvae_core.models.lab_tasks import controls_of_windows
from musicvae_core.music.drums import CLOSED_HAT, KICK, RIDE, SNARE, VOICES

_N_MEAN = 32
"""Number of draws averaged in the mean prediction."""
_N_DRAWS = 5
"""Number of draws compared with real windows, for random methods."""
_N_BOUND = 16
"""Number of draws of z for a bound on the likelihood."""
_FILLED_VOICES = (KICK, SNARE, CLOSED_HAT, RIDE)
LAB, LAB_WITH_LABELS = "groove lab", "groove lab, told style and drummer"
"""Names of its rows: given the notes and the tempo; given style and drummer too."""
_BATCH = 128
_LONG_BARS, _N_LONG = 16, 200

_Row = dict[str, Any]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Player:
    """A groove lab that plays many windows, in batches."""

    checkpoint: LabCheckpoint
    seed: int

    def play(self, given: Conditioning, controls: Controls, draw: int) -> Floats:
        """Complete windows (N, T, 27); every draw has its own random numbers."""
        parts = []
        for start in range(0, len(given.features), _BATCH):
            batch = slice(start, start + _BATCH)
            seed = int(np.random.SeedSequence((self.seed, draw, start)).generate_state(1)[0])
            some, own = _some_of(given, batch), controls.take(batch)
            parts.append(complete(self.checkpoint.model, some, own, Sampling(seed=seed)))
        return np.concatenate(parts)

    def nats(self, given: Conditioning, controls: Controls, *terms: str) -> float:
        """Return nats per window for the hidden parts; see `nats_of_rest`."""
        generator = torch.Generator().manual_seed(self.seed)
        total = 0.0
        for start in range(0, len(given.features), _BATCH):
            batch = slice(start, start + _BATCH)
            some, own = _some_of(given, batch), controls.take(batch)
            with torch.inference_mode():
                nats = nats_of_rest(self.checkpoint.model, some, own, generator, terms, _N_BOUND)
            total += float(nats.sum())
        return total / len(given.features)


def feel_experiment(
    checkpoint: LabCheckpoint,
    dataset: Dataset,
    out: Path,
    *,
    split: Split = "test",
    limit: int = 1000,
    deterministic: LabCheckpoint | None = None,
    seed: int = 0,
) -> _Row:
    """Measure all that the groove lab does, and write `feel.json`, `feel.md` and `feel.svg`.

    Parameters
    ----------
    checkpoint, dataset
        The lab to measure, and the data to measure it on.
    out
        Folder for the report.
    split, limit
        The split, and the maximum number of windows, evenly spread.
    deterministic
        A lab with a `MeansHead`, for comparison.
    seed
        Seed of every random choice.

    Returns
    -------
    The contents of `feel.json`: `feel`, with a row for each way to play the notes of real
    windows; `drumify`, `fill_in`, `transfer` and `seams`.
    """
    make_folder(out)
    n_bars = checkpoint.config.n_bars
    train = dataset.windows("train", n_bars).features
    windows = _some(dataset.windows(split, n_bars), limit)
    real = Real(windows.features, windows.tempos_bpm, windows.performance)
    player = _Player(checkpoint, seed)
    who = controls_of_windows(windows, checkpoint.config)._replace(
        densities=np.full(len(windows), np.nan, np.float32)
    )
    report: _Row = {
        "checkpoint": checkpoint.name,
        "split": split,
        "seed": seed,
        "n_windows": len(windows),
        "n_performances": len(np.unique(windows.performance)),
        "feel": _feel_rows(player, FeelTable.of(train), real, who, deterministic),
        "drumify": _drumify(player, real),
        "fill_in": _fill_in(player, train, real),
        "transfer": transfer_report(checkpoint, dataset, split, seed),
        "seams": _seams(player, dataset, split),
    }
    write_content(out / "feel.json", json.dumps(report, indent=1) + "\n")
    write_content(out / "feel.md", report_text(report))
    write_figure(draw(report), out / "feel.svg")
    return report


def _some_of(given: Conditioning, batch: slice) -> Conditioning:
    """Return the conditioning of some of the grooves."""
    return Conditioning(
        given.features[batch],
        given.hits[batch],
        given.velocities[batch],
        given.offsets[batch],
        given.taps[batch],
    )


def _some(windows: Windows, limit: int) -> Windows:
    if len(windows) <= limit:
        return windows
    return windows.take(np.linspace(0, len(windows) - 1, limit))


def _feel_rows(
    player: _Player,
    table: FeelTable,
    real: Real,
    who: Controls,
    deterministic: LabCheckpoint | None,
) -> list[_Row]:
    """Play the notes of real windows with every method."""
    rows: list[_Row] = [{"name": "real", **attribute_means(real.features)}]
    for row in _ways_to_play(player, table, real, who, deterministic):
        rows.append(row)
        _log.info("%s", row)
    return rows


def _ways_to_play(
    player: _Player,
    table: FeelTable,
    real: Real,
    who: Controls,
    deterministic: LabCheckpoint | None,
) -> Iterator[_Row]:
    seed, tempo_alone = player.seed, tempo_only(real.tempos_bpm)
    hits, velocities, offsets = split_feel(real.features)

    def row(
        name: str, *draws: Floats, nats: float | None = None, mean: Floats | None = None
    ) -> _Row:
        measured = errors(draws[0] if mean is None else mean, real)
        return {"name": name, **measured, "nats_a_hit": nats, **likeness(draws, real, seed)}

    yield row("quantised, one velocity", table.flat(real.features))
    yield row("mean of voice and step", table.play(real.features, "none"))
    names: dict[Noise, str] = {
        "independent": "the same with noise",
        "drift": "the same with drifting noise",
    }
    for noise, name in names.items():
        nats = table.velocities.nats(hits, velocities, noise)
        nats += table.offsets.nats(hits, offsets, noise)
        mean = table.play(real.features, "none")
        draws = [table.play(real.features, noise, seed + draw) for draw in range(_N_DRAWS)]
        yield row(name, *draws, nats=nats, mean=mean)
    given = Conditioning.notes(real.features)
    if deterministic is not None:
        means = _Player(deterministic, seed)
        yield row("deterministic head, trained the same", means.play(given, tempo_alone, 0))
    for name, controls in ((LAB, tempo_alone), (LAB_WITH_LABELS, who)):
        drawn = [player.play(given, controls, draw) for draw in range(_N_MEAN)]
        mean = np.mean(drawn, axis=0, dtype=np.float32)
        nats = player.nats(given, controls, "velocities", "offsets")
        nats_a_hit = nats * len(hits) / float(hits.sum())
        yield row(name, *drawn[:_N_DRAWS], nats=nats_a_hit, mean=mean)


def _drumify(player: _Player, real: Real) -> _Row:
    """Drumify the rhythms of real windows, with and without their accents."""
    report = {}
    for name, columns in (("with accents", [1, 1, 1]), ("without", [1, 0, 1])):
        taps = (taps_of(real.features) * np.array(columns)).astype(np.float32)
        given = replace(Conditioning.nothing(real.features), taps=taps)
        kits = player.play(given, tempo_only(real.tempos_bpm), 0)
        report[name] = {
            **followed_share(kits, real.features),
            "accents": _accents_followed(kits, real.features),
            "auc": judge_auc(
                kits, real.features, real.performances, player.seed, real.performances
            ),
            "features": feature_gaps(kits, real.features),
        }
    return report


def _accents_followed(kits: Floats, rhythm: Floats) -> float:
    """Return how the loudest hits at the rhythm's steps correlate with the rhythm's own."""
    tapped = split_feel(rhythm)[0].any(axis=-1)
    loudest = [split_feel(one)[1].max(axis=-1)[tapped] for one in (kits, rhythm)]
    return float(np.corrcoef(*loudest)[0, 1])


def _fill_in(player: _Player, train: Floats, real: Real) -> list[_Row]:
    """Fill in single voices, given the rest."""
    rows = []
    for voice in _FILLED_VOICES:
        given = Conditioning.everything(real.features)
        known = given.hits.copy()
        known[..., voice] = False
        given = replace(given, hits=known, velocities=known, offsets=known)
        table = PatternTable.of(train[..., voice] > 0.5)
        hits = real.features[..., voice] > 0.5
        nats = player.nats(given, tempo_only(real.tempos_bpm), "hits")
        drawn = player.play(given, tempo_only(real.tempos_bpm), 0)[..., voice] > 0.5
        n_bars = player.checkpoint.config.n_bars
        most_common = np.tile(table.most_common, (len(hits), n_bars))
        rows.append(
            {
                "voice": VOICES[voice],
                "nats_a_bar": nats / n_bars,
                "nats_a_bar_by_frequency": table.nats(hits),
                "f1": hit_f1(drawn, hits),
                "f1_most_common": hit_f1(most_common, hits),
            }
        )
    return rows


def _seams(player: _Player, dataset: Dataset, split: Split) -> _Row:
    """Humanize long windows; compare bar lines where a stretch begins with the others."""
    windows = _some(dataset.windows(split, _LONG_BARS), _N_LONG)
    given = Conditioning.notes(windows.features)
    plan = stretches(open_bars(given), player.checkpoint.config.n_bars, 1)
    first_bars: NDArray[np.int64] = np.array([stretch.first_made for stretch in plan][1:])
    played = player.play(given, tempo_only(windows.tempos_bpm), 0)
    half = played.shape[1] // 2
    return {
        "n_windows": len(windows),
        "bars": first_bars.tolist(),
        "played": bar_jumps(played, first_bars),
        "real": bar_jumps(windows.features, first_bars),
        "first_half": attribute_means(played[:, :half]),
        "second_half": attribute_means(played[:, half:]),
    }
