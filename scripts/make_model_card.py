"""Write the model card of a checkpoint, of any kind.

    python -m scripts.make_model_card checkpoints/groove_2bar              # only the text
    python -m scripts.make_model_card checkpoints/groove_2bar --data PATH  # evaluate again
    python -m scripts.make_model_card checkpoints/groove_lab --time        # measure the lab's speed

Reads from the checkpoint's folder `for_musicians.md` (a plain description), `origin.md` (the
commands and data that made it), the metrics in `config.json`, `training.jsonl` (the run's log) and
the results of the experiments. Writes `README.md`; with `--data`, `--time` or `--curves` also the
metrics in `config.json` and `curves.svg`.
"""

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from musicvae_core.data.dataset import load_dataset
from musicvae_core.evaluation.experiments.choices import N_WINDOWS
from musicvae_core.evaluation.metrics import evaluate, realism_metrics
from musicvae_core.models.checkpoint import CONFIG_FILE, WEIGHTS_FILE, family_of, load_checkpoint
from musicvae_core.models.kinds import CONFIGS, kind_of
from musicvae_core.music.piece import Plays
from scripts.card_sections import (
    SOURCES,
    SPEED,
    evaluate_with_both_priors,
    gap_table,
    lab_sections,
    line_sections,
    measured_feel,
    table,
    time_humanize,
)

_LOG, _ORIGIN, _MUSICIANS = "training.jsonl", "origin.md", "for_musicians.md"
_LAB_FAMILY = "lab"
_GROOVES = """Trained on the train split of the
[Groove MIDI Dataset](https://magenta.tensorflow.org/datasets/groove) (Gillick, Roberts, Engel,
Eck and Bamman 2019, CC BY 4.0; attribution is owed wherever something made from it is
shipped)."""
_NEWLINE = "\n"
_LONG_TERM, _INTERPOLATION, _TRADE_OFF_CURVE = "long_term.md", "interpolation.svg", "trade_off.svg"
_PANELS = {
    "accuracy": ["validation/sampling_accuracy", "validation/hit_f1"],
    "nats an example": [
        "recon/hits",
        "validation/nll_hits",
        "validation/nll_notes",
        "validation/nll_melody_notes",
        "validation/nll_bass_notes",
        "validation/nll_drums_hits",
        "validation/kl_nats",
    ],
    "feel": ["validation/velocity_mae", "validation/offset_mae_ms"],
}
_LAB_PANELS = {
    "hits, nats a window": ["validation/recon/hits"],
    "velocities, nats a window": ["validation/recon/velocities"],
    "offsets, nats a window": ["validation/recon/offsets"],
    "KL, nats a window": ["validation/kl/nats"],
}
_EXPRESSION = {
    "sampling_accuracy": "steps with all nine voices right, free-running at temperature 0",
    "sampling_accuracy_nonsilent": "the same, over steps with a hit",
    "teacher_forcing_accuracy": "the same, with teacher forcing",
    "hit_f1": "F1 of the hits",
    "velocity_mae": "velocity, mean absolute error (0 to 1)",
    "offset_mae_ms": "timing, mean absolute error in ms",
    "kl_nats": "KL divergence from N(0, I), nats",
    "active_units": "active dimensions of z",
}


_INTERPOLATED = f"""## Interpolation: between windows of the test split

`experiment interpolation`: paths in z compared with blending the notes; numbers in
`interpolation.json`.

![Interpolation]({_INTERPOLATION})"""


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, help="evaluate again on this data set's test split")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time", action="store_true", help="measure the groove lab's speed again")
    parser.add_argument("--curves", action="store_true", help="redraw the validation curves")
    parser.add_argument(
        "--limit", type=int, help="evaluate melodies and trios on this many windows, evenly spread"
    )
    options = parser.parse_args()
    folder: Path = options.checkpoint
    about = json.loads((folder / CONFIG_FILE).read_text())
    is_lab = family_of(about) == _LAB_FAMILY
    if options.time:
        (folder / SPEED).write_text(json.dumps(time_humanize(folder)) + "\n")
    if is_lab:
        about["metrics"] = measured_feel(folder)
    elif options.data:
        about["metrics"] = {"test": _evaluated(folder, about, options)}
    (folder / CONFIG_FILE).write_text(json.dumps(about, indent=2) + "\n")
    if options.data or options.curves:
        _draw_curves(folder, _LAB_PANELS if is_lab else _PANELS)
    (folder / "README.md").write_text(_card(folder))


def _card(folder: Path) -> str:
    """Return the text of a checkpoint's card, from the files in its folder."""
    about = json.loads((folder / CONFIG_FILE).read_text())
    is_lab = family_of(about) == _LAB_FAMILY
    if is_lab:
        sections = lab_sections(folder)
    elif _plays(about) == "drums":
        sections = _musicvae_sections(folder, about)
    else:
        sections = line_sections(folder.name, about)
    return "\n\n".join([_head(folder, about), *sections]) + "\n"


def _plays(about: dict[str, Any]) -> Plays:
    """Return what the model of a checkpoint's `config.json` plays."""
    return kind_of(CONFIGS[family_of(about)](**about["model"])).plays


def _evaluated(folder: Path, about: dict[str, Any], options: argparse.Namespace) -> dict[str, Any]:
    if _plays(about) == "drums":
        return _evaluate_with_both_priors(folder, options.data, options.seed)
    return evaluate_with_both_priors(folder, options.data, options.seed, options.limit)


def _evaluate_with_both_priors(folder: Path, data: Path, seed: int) -> dict[str, Any]:
    """Return the metrics of the test split, with samples of the learned prior and of N(0, I)."""
    checkpoint, dataset = load_checkpoint(folder), load_dataset(data)
    metrics = evaluate(checkpoint, dataset, "test", seed=seed)
    train = dataset.windows("train", checkpoint.config.n_bars)
    plain = realism_metrics(checkpoint, train, metrics["prior"]["n"], seed, "normal")
    return metrics | {"prior_normal": plain}


def _draw_curves(folder: Path, panels: Mapping[str, list[str]]) -> None:
    """Draw the validation curves of the runs' logs as `curves.svg`, one run after the other."""
    rows = [json.loads(line) for line in (folder / _LOG).read_text().splitlines()]
    drawn = {
        title: [name for name in names if any(name in row for row in rows)]
        for title, names in panels.items()
    }
    drawn = {title: names for title, names in drawn.items() if names}
    figure = make_subplots(1, len(drawn), subplot_titles=list(drawn))
    steps = _steps_of_all_runs([row["step"] for row in rows])
    for column, names in enumerate(drawn.values(), start=1):
        for name in names:
            values = [row.get(name) for row in rows]  # a gap if nothing was measured
            figure.add_trace(go.Scatter(x=steps, y=values, name=name), 1, column)
    figure.update_layout(width=1100, height=340, legend={"orientation": "h"}, font={"size": 11})
    figure.update_xaxes(title_text="step")
    for column, title in enumerate(drawn, start=1):
        if title in ("feel", "nats an example"):
            figure.update_yaxes(type="log", row=1, col=column)
    figure.write_image(folder / "curves.svg")


def _steps_of_all_runs(steps: list[int]) -> list[int]:
    """Return the step numbers, continuing where the log starts another run."""
    counted, base, last = [], 0, 0
    for step in steps:
        base += last if step <= last else 0
        counted.append(base + step)
        last = step
    return counted


def _head(folder: Path, about: dict[str, Any]) -> str:
    """Return the start of every card: for musicians, then the checkpoint's origin."""
    size = (folder / WEIGHTS_FILE).stat().st_size / 2**20
    sources = SOURCES.get(_plays(about), _GROOVES)
    return f"""# {about["name"]}: {about["title"].lower()}

{(folder / _MUSICIANS).read_text().strip()}

## Where it is from

{sources} The weights are under Apache-2.0, like the code. {size:.1f} MiB.

{(folder / _ORIGIN).read_text().strip(_NEWLINE)}

![Validation curves](curves.svg)"""


def _musicvae_sections(folder: Path, about: dict[str, Any]) -> list[str]:
    """Return the sections of a MusicVAE's card after its head."""
    test = about["metrics"]["test"]
    sections = [
        _expression(test, folder.name, about["model"]["n_bars"]),
        "## Realism: how samples compare with real grooves\n\n" + _realism(test),
        "## Smoothness: nearby z, similar grooves\n\n" + _smoothness(test["smoothness"]),
    ]
    if (folder / _LONG_TERM).exists():
        sections.append(_long_term(folder))
    if (folder / _INTERPOLATION).exists():
        sections.append(_INTERPOLATED)
    reports = {
        "attributes.json": _attributes,
        "style.json": _style,
        "trade_off.json": _trade_off,
        "ablation.json": _ablation,
    }
    there = {name: section for name, section in reports.items() if (folder / name).exists()}
    return sections + [
        section(json.loads((folder / name).read_text())) for name, section in there.items()
    ]


def _expression(test: dict[str, Any], name: str, n_bars: int) -> str:
    rows = [(text, f"{test[key]:.4g}") for key, text in _EXPRESSION.items() if key in test]
    paragraphs = [
        "## Reconstruction: encoded and decoded again",
        f"The {test['n_examples']:,} windows of {n_bars} bars of the test split, encoded to the "
        "mean of z, with the weights as shipped:",
        f"    python -m musicvae_core evaluate checkpoints/{name} --data PATH --split test "
        "--seed 0",
        "The realism below is of the same command, and of `--prior normal` for N(0, I).",
        table("measure | test", rows),
    ]
    return "\n\n".join(paragraphs)


def _realism(test: dict[str, Any]) -> str:
    learned, normal = test["prior"], test["prior_normal"]
    shares = ("auc", "auc_hits", "distinct", "copies")
    paragraphs = [
        f"{learned['n']:,} samples at temperature 1 against as many windows of the train split. "
        "AUC: gradient-boosted trees learn to tell the two apart from every cell and attribute; "
        "0.5 means that they cannot. A performance lies in one fold, a sample in the fold of the "
        "performance that it is nearest to.",
        table(
            "| learned prior | N(0, I)",
            [(key, f"{learned[key]:.3f}", f"{normal[key]:.3f}") for key in shares],
        ),
        "The nearest window of the train split differs from a sample by "
        f"{learned['nearest_cells']:.0f} cells of the grid in the median, and from a window of the "
        f"test split by {learned['nearest_cells_of_the_split']:.0f}; memorised samples would be "
        "much nearer.",
        gap_table(learned["features"]),
    ]
    return "\n\n".join(paragraphs)


def _smoothness(rows: list[dict[str, float]]) -> str:
    cells = [
        (f"{row['distance']:g}", f"{row['hit_distance']:.3f}", f"{row['attribute_change']:.3f}")
        for row in rows
    ]
    return (
        "The z of each window is moved in a random direction. Hits: share of the grid's cells that "
        "change. Attributes: mean change, in standard deviations over windows.\n\n"
        + table("distance in z | hits | attributes", cells)
    )


def _long_term(folder: Path) -> str:
    return f"""## Long-term structure: conductor and flat decoder compared

`experiment long-term`: `flat` and `hierarchical, one z` decode the codes of `hierarchical`, whose
encoder stays fixed, and were trained on the same batches; in `hierarchical`, each bar also reads
its own part of z.

{(folder / _LONG_TERM).read_text().strip()}

![Accuracy by bar](long_term.svg)"""


def _attributes(report: dict[str, Any]) -> str:
    rows = [
        (name, f"{row['spearman']:.3f}", f"{row['others']:.2f}", f"{row['worst']:.2f}", row["of"])
        for name, row in report["sliders"].items()
    ]
    paragraphs = [
        "## Attributes: what the sliders do",
        f"Each slider is moved alone on {report['n_windows']} windows of the {report['split']} "
        "split (`experiment attributes`): rank correlation of setting and measure, and how far "
        "the other attributes move for one of its own, in standard deviations: the mean, and the "
        "most. The aim was at most a third.",
        table("slider | rank correlation | others, on average | the most | which", rows),
        *(_side_effects(report) if "real" in report else []),
        "![Attributes under every vector and slider](attributes.svg)",
    ]
    return "\n\n".join(paragraphs)


def _side_effects(report: dict[str, Any]) -> list[str]:
    """Return the slopes beside those of real grooves, and the floors, for newer reports."""
    rows = [
        (
            *(name, f"{row['systematic']:+.2f}", row["systematic_of"]),
            *(f"{real['worst']:.2f}", real["of"]),
            *(f"{real['systematic']:+.2f}", real["systematic_of"]),
        )
        for (name, row), real in zip(
            report["sliders"].items(), map(report["real"].get, report["sliders"]), strict=True
        )
    ]
    titles = "slider | slope | which | real: the most | which | real: slope | which"
    return [
        "These changes are absolute, so they include the scatter of decoding. The table below "
        "leaves it out: the steepest slope of another attribute's change against the slider's "
        "own. For comparison, both measures of real grooves, with the nearest window of the train "
        "split in place of the steered one.",
        table(titles, rows),
        _floors(report["floors"]),
    ]


def _floors(floors: dict[str, Any]) -> str:
    density, fill = floors["step_density"], floors["fill_ness"]
    return (
        "Two sliders cannot move alone, by what they count. More struck steps need more hits: if "
        f"the six voices share them equally, each moves {density['alike']:.2f} times as far as "
        "note density when hits coincide as often as before, and at least "
        f"{density['least']:.2f} times. Fill-ness counts beats without a time-keeping hi-hat: the "
        f"hi-hat moves {fill['alike']:.2f} times as far when the other beats stay as they are, and "
        f"at least {fill['least']:.2f} times, when it plays every sixteenth of them. The sliders "
        "of snare and hi-hat are tied to note density in the same way."
    )


def _style(report: dict[str, Any]) -> str:
    majority = report["majority"]
    measured = {
        f"always “{majority['style']}”, the train split's most common": majority,
        "linear classifier on z": report["linear"],
        f"vote of the nearest codes, k = {report['space']['neighbours']}": report["space"],
        f"vote of the nearest on the t-SNE map, k = {report['map']['neighbours']}": report["map"],
    }
    keys = ("accuracy", "balanced", "by_performance")
    rows = [(name, *(f"{row[key]:.3f}" for key in keys)) for name, row in measured.items()]
    paragraphs = [
        "## Style: how much of it z holds",
        f"The style of {report['n_windows']:,} windows of {report['n_performances']} performances "
        f"of the test split, predicted from their codes; {report['n_styles']} styles "
        "(`experiment style`). Neighbours are points of the atlas. Balanced: the mean of the "
        "recall of each style.",
        table("| windows right | balanced | performances right", rows),
    ]
    return "\n\n".join(paragraphs)


def _trade_off(report: list[dict[str, Any]]) -> str:
    rows = []
    for row in report:
        v = row["validation"]
        accuracies = (f"{v['sampling_accuracy']:.3f}", f"{v['hit_f1']:.3f}")
        aucs = (f"{row[prior]['auc']:.3f}" for prior in ("learned", "normal"))
        rows.append((f"{row['beta']:g}", f"{v['kl_nats']:.0f}", *accuracies, *aucs))
    paragraphs = [
        "## Accuracy and realism against the KL divergence",
        "The first row is this checkpoint; the others are fine-tuned from it with another beta "
        f"(`experiment trade-off`). Accuracy on {N_WINDOWS:,} windows of the validation split; "
        "AUC as above, with the learned prior, fitted to each, and with N(0, I).",
        f"![Accuracy and realism against the KL]({_TRADE_OFF_CURVE})",
        table("beta | KL in nats | sampling accuracy | hit F1 | AUC learned | AUC N(0, I)", rows),
    ]
    return "\n\n".join(paragraphs)


def _ablation(report: list[dict[str, Any]]) -> str:
    has_feel = all("velocity_mae" in row["validation"] for row in report)
    feel = "velocity MAE | offset MAE, ms | " if has_feel else ""
    titles = f"variation | train accuracy | validation accuracy | validation F1 | {feel}KL"
    rows = []
    for row in report:
        v = row["validation"]
        cells = [row["variation"], f"{row['train']['sampling_accuracy']:.3f}"]
        cells += [f"{v['sampling_accuracy']:.3f}", f"{v['hit_f1']:.3f}"]
        if has_feel:
            cells += [f"{v['velocity_mae']:.3f}", f"{v['offset_mae_ms']:.1f}"]
        rows.append([*cells, f"{v['kl_nats']:.0f}"])
    paragraphs = [
        "## What each choice gains",
        "Short runs of equal length from the same seed (`experiment ablation`).",
        table(titles, rows),
    ]
    return "\n\n".join(paragraphs)


if __name__ == "__main__":
    _main()
