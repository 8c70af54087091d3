"""How much of a groove's feel arrives on the notes of another: a part of the experiment `feel`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from musicvae_core.attributes import measure
from musicvae_core.codec import features_to_groove
from musicvae_core.dataset import Dataset, Split, Windows
from musicvae_core.groove import Groove
from musicvae_core.lab.checkpoint import LabCheckpoint
from musicvae_core.lab.completion import Example
from musicvae_core.lab.feel_match import match_feel
from musicvae_core.lab.options import Chance
from musicvae_core.lab.tools import Lab

N_PAIRS = 200
CARRIED = ("swing", "laid_backness", "velocity_mean", "velocity_spread")
_BARS = 8

Way = Callable[[Groove, Groove], Groove]
Row = dict[str, Any]


def transfer_report(
    checkpoint: LabCheckpoint, dataset: Dataset, split: Split, seed: int
) -> list[Row]:
    """Play the notes of one performance with the feel of another, in several ways.

    Returns
    -------
    A row a way: its name, and for each attribute the correlation over pairs of the result's
    with that of the groove whose feel was wanted, `wanted`, and with that of the groove whose
    notes they are, `own`.
    """
    windows = dataset.windows(split, _BARS)
    pairs = [
        (_groove(windows, feel), _groove(windows, notes)) for feel, notes in _pairs(windows, seed)
    ]
    rows = []
    for name, play in _ways(Lab(checkpoint), seed).items():
        measured = [
            tuple(map(measure, (play(feel, notes), feel, notes)))
            for feel, notes in pairs
            if feel.n_hits and notes.n_hits
        ]
        row: Row = {"name": name, "wanted": {}, "own": {}}
        for attribute in CARRIED:
            out, wanted, own = np.array([[one[attribute] for one in m] for m in measured]).T
            row["wanted"][attribute] = float(np.corrcoef(out, wanted)[0, 1])
            row["own"][attribute] = float(np.corrcoef(out, own)[0, 1])
        rows.append(row)
    return rows


def _ways(lab: Lab, seed: int) -> dict[str, Way]:
    chance = Chance(seed=seed)

    def heard(n_bars: int) -> Way:
        def play(feel: Groove, groove: Groove) -> Groove:
            example = lab.listen(feel)
            bars = example.features[:, : 16 * n_bars]
            return lab.play_like(Example(example.z, bars), groove, chance)

        return play

    return {
        "humanized, without the other groove": lambda _, groove: lab.humanize(
            groove, chance=chance
        ),
        "its code": heard(0),
        "its code and two of its bars": heard(2),
        "the same, means matched (as shipped)": lambda feel, groove: lab.transfer(
            feel, groove, chance=chance
        ),
        "humanized, means matched": lambda feel, groove: match_feel(
            lab.humanize(groove, chance=chance), feel
        ),
    }


def _pairs(windows: Windows, seed: int) -> NDArray[np.int64]:
    """Return pairs of windows of different performances, (n, 2)."""
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, len(windows), (20 * N_PAIRS, 2))
    performances = windows.performance[pairs]
    return np.asarray(pairs[performances[:, 0] != performances[:, 1]][:N_PAIRS])


def _groove(windows: Windows, index: int) -> Groove:
    return features_to_groove(windows.features[index], float(windows.tempos_bpm[index]))
