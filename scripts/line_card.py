"""The sections of the model card of melodies and trios; see `make_model_card`."""

from pathlib import Path
from typing import Any

from musicvae_core.evaluation.lines import evaluate_lines, realism_of_lines
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.models.kinds import kind_of

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
"""Flat of 2 bars, hierarchical of 16: Roberts et al. 2018, table 2."""
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
"""What a card says of where a model's music is from, by what it plays."""


def evaluate_with_both_priors(
    folder: Path, data: Path, seed: int, limit: int | None
) -> dict[str, Any]:
    """Return the metrics of the test split, with samples of the learned prior and of N(0, I)."""
    checkpoint = load_checkpoint(folder)
    dataset: Any = kind_of(checkpoint.config).load_data(data)
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
        f"| {words} | {_number(test[key])} | {paper.get(key, '')} |"
        for key, words in _EXPRESSION.items()
        if key in test
    ]
    by_source = [
        f"| {_COLLECTIONS.get(one, one)} | {value:.4f} |"
        for one, value in test["collections"].items()
    ]
    return "\n".join(
        [
            "## Reconstruction: encoded and decoded again",
            "",
            f"{test['n_examples']:,} windows of {about['model']['n_bars']} bars of the test split, "
            "encoded to the mean of z and decoded again; the weights as shipped. The paper's model "
            "(Roberts et al. 2018, table 2) was trained and tested on other data, which is not "
            "public.",
            "",
            f"    python -m musicvae_core evaluate checkpoints/{name} --data PATH --split test "
            f"--limit {test['n_examples']} --seed {test['seed']}",
            "",
            "| measure | test | paper |",
            "| --- | --- | --- |",
            *rows,
            "",
            "| source | steps right, free-running |",
            "| --- | --- |",
            *by_source,
        ]
    )


def _number(value: float) -> str:
    return f"{value:.4f}" if value <= 1 else f"{value:.0f}"


def _realism(test: dict[str, Any]) -> str:
    learned, normal = test["prior"], test["prior_normal"]
    rows = [
        "## Realism: how samples compare with real tunes",
        "",
        f"{learned['n']:,} samples at temperature 1 beside as many windows of one half of the "
        "train split's tunes. The judge is gradient-boosted trees on attributes of the music, "
        "tested on tunes that it was not fitted on; 0.5 would be chance. The floor is what it "
        "tells of the other half's tunes.",
        "",
        "| | learned prior | N(0, I) |",
        "| --- | --- | --- |",
    ]
    rows += [f"| {w} | {learned[n]:.3f} | {normal[n]:.3f} |" for n, w in _REALISM.items()]
    rows += [
        "",
        "| attribute | generated | real | gap in standard deviations |",
        "| --- | --- | --- | --- |",
    ]
    for name, gap in learned["features"].items():
        rows.append(f"| {name} | {gap['generated']:.3f} | {gap['real']:.3f} | {gap['gap']:+.3f} |")
    return "\n".join(rows)
