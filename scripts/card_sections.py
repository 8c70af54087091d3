"""Sections that only the model cards of the groove lab, or of melodies and trios, have.

Reads from the lab's folder: `feel.json` (of `experiment feel`), `_speed.json` and `notes.md` (where
the lab falls short).
"""

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from musicvae_core.data.trios import load_data
from musicvae_core.evaluation.experiments.feel import LAB, LAB_WITH_LABELS
from musicvae_core.evaluation.experiments.reports import report_text
from musicvae_core.evaluation.metrics import evaluate_lines, realism_of_lines
from musicvae_core.lab.options import Sampling
from musicvae_core.lab.tools import Lab
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.models.kinds import kind_of
from musicvae_core.models.lab import GrooveLab
from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.grid import COMMON_TIME
from musicvae_core.music.groove import Groove

_FEEL, SPEED, _NOTES = "feel.json", "speed.json", "notes.md"
_N_TIMED_BARS, _N_TIMED = 64, 9
_ATTRIBUTES = {
    "offset_spread": "offset spread",
    "swing": "swing, mean",
    "swing_size": "swing, size",
    "velocity_spread": "velocity spread",
}
_MOST_APART, _MOST_AUC, _LEAST_FOLLOWED, _MOST_GAP = 0.1, 0.65, 0.95, 0.2
_DEVIATIONS = """## Where it differs from GrooVAE, and why

- One model does all tasks, where GrooVAE has one for each. In training, parts of the input are
  hidden at random (`models/lab_tasks.py`); the parts that are given are copied to the output, so
  they come back exactly.
- The decoder is conditioned at every step on what is given, through a bidirectional LSTM; z carries
  only what the given notes do not say. GrooVAE's humanizer sees the notes through z alone.
- The prior over z is a Gaussian conditioned on what is given (Sohn et al. 2015), not N(0, I). It is
  trained with independent dimensions; `fit-prior` then adds correlations, one set for each kind of
  hidden part. Without them, grooves differ less from one another in loudness and timing than real
  ones do.
- Velocity and timing are drawn from mixtures of discretised logistics over MIDI's levels and
  ticks. GrooVAE predicts one mean of each, which flattens both: the deterministic head below,
  trained on the same examples, shows it.
- Beta is 1, and a twentieth of that where only feel is hidden: z may spend nats on the feel of one
  groove for the notes of another, but not where notes have to be likely.
- Notes are drawn from the combinations at least 3% as likely as the likeliest."""


def measured_feel(folder: Path) -> dict[str, Any]:
    """Return the results of `experiment feel` for the lab itself, by the name of the split."""
    report = _report(folder)
    [lab] = [row for row in report["feel"] if row["name"] == LAB]
    return {report["split"]: lab}


def _report(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / _FEEL).read_text())
    return report


def time_humanize(folder: Path) -> dict[str, float]:
    """Return the median time of humanizing a long groove, in seconds."""
    torch.set_num_threads(1)
    lab, rng = Lab(load_checkpoint(folder, GrooveLab)), np.random.default_rng(0)
    groove = Groove.from_hits(
        rng.random((_N_TIMED_BARS * COMMON_TIME.steps_per_bar, N_VOICES)) < 0.15
    )
    seconds = []
    for seed in range(_N_TIMED + 1):
        started = time.perf_counter()
        lab.humanize(groove, sampling=Sampling(seed=seed))
        seconds.append(time.perf_counter() - started)
    median = float(np.median(seconds[1:]))  # the first run arranges the weights
    return {"bars": _N_TIMED_BARS, "runs": _N_TIMED, "seconds": median}


def table(titles: str, rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; `titles` are separated by bars."""
    rule = " | ".join("---" for _ in titles.split("|"))
    lines = [titles.strip(), rule, *map(" | ".join, rows)]
    return "\n".join(f"| {line} |" for line in lines)


def gap_table(features: Mapping[str, Mapping[str, float]]) -> str:
    """Return how the attributes of samples compare with those of real music."""
    rows = [
        (name, f"{row['generated']:.3f}", f"{row['real']:.3f}", f"{row['gap']:+.3f}")
        for name, row in features.items()
    ]
    return table("attribute | generated | real | gap in standard deviations", rows)


def lab_sections(folder: Path) -> list[str]:
    """Return the sections of the card after its head."""
    report = _report(folder)
    measured = f"""## What was measured

On the {report["split"]} split, seed {report["seed"]}, by

    python -m musicvae_core experiment feel checkpoints/{folder.name} --data PATH \\
        --deterministic runs/means/best --out checkpoints/{folder.name}

{_targets(report)}

### Where it falls short

{(folder / _NOTES).read_text().strip()}

![Ways to play the same notes](feel.svg)"""
    parts = [_DEVIATIONS, measured, report_text(report).strip(), _speed(folder)]
    return [part for part in parts if part]


def _targets(report: dict[str, Any]) -> str:
    """Return a table of targets, measurements, and whether each target is met."""
    rows = list(_feel_targets(report))
    rows += [
        (name, aim, found, "", "yes" if met else "no")
        for name, aim, found, met in _note_targets(report)
    ]
    return table("| target | measured | 95% over performances | met", rows)


def _verdict(met: bool, low: float, high: float, least: float, most: float) -> str:
    """Say whether a target is met and, if not, whether an interval includes it."""
    if met:
        return "yes"
    covers = low <= most and high >= least
    return "no, but not significantly" if covers else "no, significantly"


def _feel_targets(report: dict[str, Any]) -> list[tuple[str, str, str, str, str]]:
    ways = {row["name"]: row for row in report["feel"]}
    real, lab, labelled = (ways.pop(name) for name in ("real", LAB, LAB_WITH_LABELS))
    rows = []
    for key, name, form in (
        ("timing_mae_ms", "timing MAE, ms", "{:.2f}"),
        ("velocity_mae", "velocity MAE", "{:.4f}"),
    ):
        best = min(way[key] for way in ways.values())
        aim = "below " + form.format(best)
        met = "yes" if lab[key] < best else "no"
        rows.append((f"{name}, mean prediction", aim, form.format(lab[key]), "", met))
    for which, row in (("", lab), (", told style and drummer", labelled)):
        for key, name in _ATTRIBUTES.items():
            low, apart, high = (
                difference / real[key]
                for difference in (
                    row["chance"][key][0],
                    row[key] - real[key],
                    row["chance"][key][1],
                )
            )
            met = _verdict(abs(apart) <= _MOST_APART, low, high, -_MOST_APART, _MOST_APART)
            found = f"{row[key]:.3f} ({apart:+.0%})"
            aim = f"{real[key]:.3f} within 10%"
            rows.append((name + which, aim, found, f"{low:+.0%} to {high:+.0%}", met))
    low, high = lab["chance"]["auc"]
    met = _verdict(lab["auc"] <= _MOST_AUC, low, high, 0, _MOST_AUC)
    found = f"{lab['auc']:.3f} ± {lab['auc_spread']:.3f} over draws"
    rows.append(("AUC", f"at most {_MOST_AUC}", found, f"{low:.3f} to {high:.3f}", met))
    return rows


def _note_targets(report: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    kits = report["drumify"]["with accents"]
    followed = kits["within_a_step"]
    name, gap = max(
        ((name, row["gap"]) for name, row in kits["features"].items()), key=lambda one: abs(one[1])
    )
    rows = [
        ("drumify: steps followed", "at least 95%", f"{followed:.1%}", followed >= _LEAST_FOLLOWED),
        (
            "drumify: kits like real ones",
            f"every gap within {_MOST_GAP} sd",
            f"largest: {name.replace('_', ' ')} {gap:+.2f}",
            abs(gap) <= _MOST_GAP,
        ),
    ]
    for row in report["fill_in"]:
        nats, most = row["nats_a_bar"], row["nats_a_bar_by_frequency"]
        name = f"fill in, {row['voice']}: nats a bar"
        rows.append((name, f"below {most:.2f}", f"{nats:.2f}", nats < most))
    return rows


def _speed(folder: Path) -> str:
    """Return the section on speed, if that was measured."""
    if not (folder / SPEED).exists():
        return ""
    measured = json.loads((folder / SPEED).read_text())
    return f"""### Speed

Humanizing {measured["bars"]} bars takes {measured["seconds"]:.2f} s on one core of a two-core
AMD EPYC (target 0.5 s; the median of {measured["runs"]} runs, nothing else running)."""


_PAPER = {
    "melody_2bar": {"sampling_accuracy": 0.951, "teacher_forcing_accuracy": 0.986},
    "melody_16bar": {"sampling_accuracy": 0.812, "teacher_forcing_accuracy": 0.919},
    "trio_16bar": {
        "sampling_accuracy_melody": 0.753,
        "teacher_forcing_accuracy_melody": 0.848,
        "sampling_accuracy_bass": 0.773,
        "teacher_forcing_accuracy_bass": 0.880,
        "sampling_accuracy_drums": 0.863,
        "teacher_forcing_accuracy_drums": 0.912,
    },
}
"""Flat models of 2 bars, hierarchical ones of 16: Roberts et al. 2018, table 2."""
_EXPRESSION = {
    "sampling_accuracy": "steps whose class is right, free-running at temperature 0",
    "teacher_forcing_accuracy": "the same, with teacher forcing",
    "sampling_accuracy_melody": "melody, free-running",
    "teacher_forcing_accuracy_melody": "melody, with teacher forcing",
    "sampling_accuracy_bass": "bass, free-running",
    "teacher_forcing_accuracy_bass": "bass, with teacher forcing",
    "sampling_accuracy_drums": "drums, free-running",
    "teacher_forcing_accuracy_drums": "drums, with teacher forcing",
    "sampling_accuracy_nonsilent": "free-running, over steps where a note begins",
    "hit_f1": "F1 of notes, by onset and pitch",
    "kl_nats": "KL divergence from N(0, I), nats",
    "active_units": "active dimensions of z",
}
_REALISM = {
    "auc": "AUC of the judge",
    "auc_reconstructions": "AUC of reconstructions",
    "auc_floor": "AUC of other real tunes (the floor)",
    "distinct": "distinct",
    "copies": "copies of the train split, in any key",
    "copies_of_the_floor": "copies among real tunes, of other tunes",
}
_COLLECTIONS = {
    "cre": "Irish dance tunes (Ceol Rince na hÉireann)",
    "game_melodies": "game music (Freedoom, Blasphemer)",
    "openewld_pd": "lead sheets (OpenEWLD, public domain)",
    "openscore_lieder": "sung lines (OpenScore Lieder)",
    "openscore_quartets_violin1": "first violins (OpenScore String Quartets)",
}
_MELODIES = """Trained on the train split of melodies of five collections:

| collection | licence |
| --- | --- |
| OpenScore Lieder, OpenScore String Quartets | CC0 1.0 |
| Ceol Rince na hÉireann corpus, Diamond, Shahid, McDermott, NUI Galway, 2022, from ABC by Bill \
Black | CC BY 4.0 |
| OpenEWLD, works in the public domain | MIT, © 2018 00sapo |
| Freedoom, Blasphemer | BSD 3-clause |

What was changed, and the licences' texts, are in `NOTICE`, which has to go with the weights."""
SOURCES = {
    "line": _MELODIES,
    "piece": f"""Trained on the train split of songs with melody, bass and drums from Freedoom and
Blasphemer (BSD 3-clause). Its parts began as `melody_16bar` and as `drums_16bar_hier`, which
learned from the Groove MIDI Dataset (Gillick et al. 2019, CC BY 4.0). {_MELODIES}""",
}
"""A card's text on the origin of the training music, by what the model plays."""


def evaluate_with_both_priors(
    folder: Path, data: Path, seed: int, limit: int | None
) -> dict[str, Any]:
    """Return the metrics of the test split, with samples of the learned prior and of N(0, I)."""
    checkpoint = load_checkpoint(folder)
    dataset: Any = load_data(kind_of(checkpoint.config).plays, data)
    metrics = evaluate_lines(checkpoint, dataset, "test", seed=seed, limit=limit)
    train = dataset.windows("train", checkpoint.config.n_bars)
    n = metrics["prior"]["n"]
    return metrics | {"prior_normal": realism_of_lines(checkpoint, train, n, seed, "normal")}


def line_sections(name: str, about: dict[str, Any]) -> list[str]:
    """Return the sections of a card after its head."""
    test = about["metrics"]["test"]
    return [_expression(name, about, test), _realism(test)]


def _expression(name: str, about: dict[str, Any], test: dict[str, Any]) -> str:
    paper = _PAPER.get(about["name"], {})
    rows = [
        (words, _number(test[key]), str(paper.get(key, "")))
        for key, words in _EXPRESSION.items()
        if key in test
    ]
    by_source = [
        (_COLLECTIONS.get(one, one), f"{value:.4f}") for one, value in test["collections"].items()
    ]
    paragraphs = [
        "## Reconstruction: encoded and decoded again",
        f"{test['n_examples']:,} windows of {about['model']['n_bars']} bars of the test split, "
        "encoded to the mean of z and decoded again; the weights as shipped. The paper's model "
        "(Roberts et al. 2018, table 2) was trained and tested on other data, which is not "
        "public.",
        f"    python -m musicvae_core evaluate checkpoints/{name} --data PATH --split test "
        f"--limit {test['n_examples']} --seed {test['seed']}",
        table("measure | test | paper", rows),
        table("source | steps right, free-running", by_source),
    ]
    return "\n\n".join(paragraphs)


def _number(value: float) -> str:
    return f"{value:.4f}" if value <= 1 else f"{value:.0f}"


def _realism(test: dict[str, Any]) -> str:
    learned, normal = test["prior"], test["prior_normal"]
    rows = [(w, f"{learned[n]:.3f}", f"{normal[n]:.3f}") for n, w in _REALISM.items()]
    paragraphs = [
        "## Realism: how samples compare with real tunes",
        f"{learned['n']:,} samples at temperature {learned['temperature']:g}, the model's own, "
        "beside as many windows of one half of the train split's tunes. The judge is "
        "gradient-boosted trees on attributes of the music, tested on tunes that it was not "
        "fitted on; 0.5 would be chance. The floor is what it tells of the other half's tunes.",
        table("| learned prior | N(0, I)", rows),
        gap_table(learned["features"]),
    ]
    return "\n\n".join(paragraphs)
