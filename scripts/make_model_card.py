"""Evaluate a checkpoint on the test split and write its model card, curves included.

    python -m scripts.make_model_card checkpoints/groove_2bar --data PATH

Reads, where they lie in the checkpoint's folder, `training.jsonl` (the run's log),
`origin.md` (the commands that made it, and on what), and what the experiment command made:
`trade_off.json`, `ablation.json`, `style.json`, `long_term.md`, `interpolation.svg` and
`attributes.json`;
writes `README.md`, `curves.svg` and the metrics in `config.json`.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from musicvae_core.checkpoint import CONFIG_FILE, WEIGHTS_FILE, load_checkpoint
from musicvae_core.dataset import load_dataset
from musicvae_core.evaluate import evaluate, realism_metrics
from musicvae_core.experiments.choices import N_WINDOWS

LOG, ORIGIN = "training.jsonl", "origin.md"
TRADE_OFF, TRADE_OFF_CURVE = "trade_off.json", "trade_off.svg"
ABLATION, STYLE = "ablation.json", "style.json"
LONG_TERM, INTERPOLATION = "long_term.md", "interpolation.svg"
ATTRIBUTES = "attributes.json"
EXPRESSION = {
    "sampling_accuracy": "steps with all nine voices right, running free at temperature 0",
    "sampling_accuracy_nonsilent": "the same over steps with a hit",
    "teacher_forcing_accuracy": "the same when fed the truth",
    "hit_f1": "F1 of the hits",
    "velocity_mae": "velocity, mean absolute error (0 to 1)",
    "offset_mae_ms": "timing, mean absolute error in ms",
    "kl_nats": "KL from N(0, I) in nats",
    "active_units": "active dimensions of z",
}


INTERPOLATED = f"""## Interpolation: between windows of the test split

`experiment interpolation`: paths in z beside blending of the notes, the numbers in
`interpolation.json`.

![Interpolation]({INTERPOLATION})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder: Path = options.checkpoint
    checkpoint, dataset = load_checkpoint(folder), load_dataset(options.data)
    metrics = evaluate(checkpoint, dataset, "test", seed=options.seed)
    train = dataset.windows("train", checkpoint.config.n_bars)
    plain = realism_metrics(checkpoint, train, metrics["prior"]["n"], options.seed, "normal")
    metrics["prior_normal"] = plain
    about = json.loads((folder / CONFIG_FILE).read_text())
    about["metrics"] = {"test": metrics}
    (folder / CONFIG_FILE).write_text(json.dumps(about, indent=2) + "\n")
    draw_curves(folder)
    (folder / "README.md").write_text(card(folder, about))


def draw_curves(folder: Path) -> None:
    """Draw the validation curves of the run's log as `curves.svg`."""
    rows = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    panels = {
        "accuracy": ["validation/sampling_accuracy", "validation/hit_f1"],
        "nats an example": ["recon/hits", "validation/nll_hits", "validation/kl_nats"],
    }
    if any("validation/velocity_mae" in row for row in rows):
        panels["feel"] = ["validation/velocity_mae", "validation/offset_mae_ms"]
    figure = make_subplots(1, len(panels), subplot_titles=list(panels))
    for column, names in enumerate(panels.values(), start=1):
        for name in names:
            values = [row.get(name) for row in rows]  # a gap where nothing was played
            steps = [row["step"] for row in rows]
            figure.add_trace(go.Scatter(x=steps, y=values, name=name), 1, column)
    figure.update_layout(width=1100, height=340, legend={"orientation": "h"}, font={"size": 11})
    figure.update_xaxes(title_text="step")
    figure.update_yaxes(type="log", row=1, col=len(panels) if len(panels) == 3 else 2)
    figure.write_image(folder / "curves.svg")


def card(folder: Path, about: dict[str, Any]) -> str:
    """Return the text of the card."""
    test = about["metrics"]["test"]
    sections = [
        f"# {about['name']}: {about['title'].lower()}",
        _origin(folder),
        "## Expression: what it gives back\n\nOn the "
        f"{test['n_examples']:,} windows of {about['model']['n_bars']} bars of the test split, "
        "encoded to the mean of z and decoded again; the weights as they are shipped.\n\n"
        + _expression(test),
        "## Realism: what it makes up\n\n" + _realism(test),
        "## Smoothness: nearby z, similar grooves\n\n" + _smoothness(test["smoothness"]),
    ]
    if (folder / LONG_TERM).exists():
        sections.append(_long_term(folder))
    if (folder / INTERPOLATION).exists():
        sections.append(INTERPOLATED)
    if (folder / ATTRIBUTES).exists():
        sections.append(_attributes(json.loads((folder / ATTRIBUTES).read_text())))
    if (folder / STYLE).exists():
        sections.append(_style(json.loads((folder / STYLE).read_text())))
    if (folder / TRADE_OFF).exists():
        sections.append(_trade_off(folder))
    if (folder / ABLATION).exists():
        sections.append(_ablation(folder))
    return "\n\n".join(sections) + "\n"


def _origin(folder: Path) -> str:
    size = (folder / WEIGHTS_FILE).stat().st_size / 2**20
    return f"""Trained on the train split of the
[Groove MIDI Dataset](https://magenta.tensorflow.org/datasets/groove) (Gillick, Roberts, Engel,
Eck and Bamman 2019, CC BY 4.0; attribution is owed wherever something made from it is
shipped). The weights are under Apache-2.0, like the code. {size:.1f} MiB.

{(folder / ORIGIN).read_text().strip(chr(10))}

The numbers below come from

    python -m scripts.make_model_card checkpoints/{folder.name} --data PATH

which is `python -m musicvae_core evaluate checkpoints/{folder.name} --data PATH --split test
--seed 0`, once with the learned prior and once with `--prior normal`.

![Validation curves](curves.svg)"""


def _expression(test: dict[str, Any]) -> str:
    rows = [f"| {text} | {test[key]:.4g} |" for key, text in EXPRESSION.items() if key in test]
    return "\n".join(["| measure | test |", "| --- | --- |", *rows])


def _realism(test: dict[str, Any]) -> str:
    learned, normal = test["prior"], test["prior_normal"]
    lines = [
        f"{learned['n']:,} samples at temperature 1 beside as many windows of the train split. "
        "The judge is gradient-boosted trees that see every cell and every attribute, with "
        "whole performances kept in one fold, and each sample in the fold of the performance it is "
        "nearest to; 0.5 would be chance.",
        "",
        "| | learned prior | N(0, I) |",
        "| --- | --- | --- |",
    ]
    shares = ("auc", "auc_hits", "distinct", "copies")
    lines += [f"| {key} | {learned[key]:.3f} | {normal[key]:.3f} |" for key in shares]
    lines += [
        "",
        "The nearest window of the train split differs from a sample by "
        f"{learned['nearest_cells']:.0f} cells of the grid in the median, and from a window of the "
        f"test split by {learned['nearest_cells_of_the_split']:.0f}; samples learned by heart "
        "would be much nearer than unseen music is.",
    ]
    lines += ["", "| attribute | generated | real | gap in standard deviations |"]
    lines.append("| --- | --- | --- | --- |")
    for name, row in learned["features"].items():
        lines.append(f"| {name} | {row['generated']:.3f} | {row['real']:.3f} | {row['gap']:+.3f} |")
    return "\n".join(lines)


def _smoothness(rows: list[dict[str, float]]) -> str:
    lines = [
        "Each window's z moved along one random direction. Hits: share of the grid's cells that "
        "change. Attributes: mean change, in standard deviations over windows.",
        "",
        "| distance in z | hits | attributes |",
        "| --- | --- | --- |",
    ]
    lines += [
        f"| {row['distance']:g} | {row['hit_distance']:.3f} | {row['attribute_change']:.3f} |"
        for row in rows
    ]
    return "\n".join(lines)


def _long_term(folder: Path) -> str:
    table = (folder / LONG_TERM).read_text().strip()
    return f"""## Long-term structure: the conductor beside the flat decoder

`experiment long-term`: one encoder, one size of z, one batch, one seed and equally many steps.

{table}

![Accuracy by bar](long_term.svg)"""


def _attributes(report: dict[str, Any]) -> str:
    lines = [
        "## Attributes: what the sliders do",
        "",
        f"Each slider set alone on {report['n_windows']} windows of the {report['split']} split "
        "(`experiment attributes`): the rank correlation of what is set and what is measured, and "
        "how much of the others moves with it, in standard deviations: on average, and the most. "
        "A third was to be the most.",
        "",
        "| slider | rank correlation | others, on average | the most | which |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {name} | {row['spearman']:.3f} | {row['others']:.2f} "
        f"| {row['worst']:.2f} | {row['of']} |"
        for name, row in report["sliders"].items()
    ]
    if "real" in report:
        lines += _what_goes_along(report)
    return "\n".join([*lines, "", "![Attributes under every vector and slider](attributes.svg)"])


def _what_goes_along(report: dict[str, Any]) -> list[str]:
    """Return the slopes beside those of real grooves, and the floors, of newer reports."""
    lines = [
        "",
        "Those changes have no sign, and count the scatter of decoding. Without it, the steepest "
        "slope of another attribute's change on the slider's own; and both for real grooves: the "
        "nearest window of the train split in place of the steered one.",
        "",
        "| slider | slope | which | real: the most | which | real: slope | which |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in report["sliders"].items():
        real = report["real"][name]
        lines.append(
            f"| {name} | {row['systematic']:+.2f} | {row['systematic_of']} | {real['worst']:.2f} "
            f"| {real['of']} | {real['systematic']:+.2f} | {real['systematic_of']} |"
        )
    return [*lines, "", _floors(report["floors"])]


def _floors(floors: dict[str, Any]) -> str:
    density, fill = floors["step_density"], floors["fill_ness"]
    return (
        "Two sliders are bound by what they count. More struck steps need more hits: if the six "
        f"voices share them alike, each moves {density['alike']:.2f} times as much as note "
        "density while hits fall together as often as before, and "
        f"{density['least']:.2f} times at the very least. Beats that no hi-hat keeps time for "
        f"cost the hi-hat {fill['alike']:.2f} times what fill-ness moves while the other beats "
        f"stay as they are, and {fill['least']:.2f} times at the very least, when it plays every "
        "sixteenth of them. Snare and hi-hat meet note density from the other side."
    )


def _style(report: dict[str, Any]) -> str:
    majority = report["majority"]
    rows = {
        f"always “{majority['style']}”, which is most of the train split": majority,
        "linear classifier on z": report["linear"],
        f"vote of the nearest codes, k = {report['space']['neighbours']}": report["space"],
        f"vote of the nearest on the t-SNE map, k = {report['map']['neighbours']}": report["map"],
    }
    lines = [
        "## Style: what z knows of it",
        "",
        f"The style of {report['n_windows']:,} windows of {report['n_performances']} performances "
        f"of the test split, told from their codes; {report['n_styles']} styles, performances "
        "whole (`experiment style`). Neighbours are points of the atlas. Balanced: the mean over "
        "styles of the share that is found.",
        "",
        "| | windows right | balanced | performances right |",
        "| --- | --- | --- | --- |",
    ]
    for name, row in rows.items():
        cells = [f"{row[key]:.3f}" for key in ("accuracy", "balanced", "by_performance")]
        lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def _trade_off(folder: Path) -> str:
    lines = [
        "## Accuracy and realism against the KL",
        "",
        "The first row is this checkpoint; the others are fine-tuned from it with another beta "
        f"(`experiment trade-off`). Accuracy on {N_WINDOWS:,} windows of the validation split; "
        "AUC of the judge under the learned prior, fitted to each anew, and under N(0, I).",
        "",
        f"![Accuracy and realism against the KL]({TRADE_OFF_CURVE})",
        "",
        "| beta | KL in nats | sampling accuracy | hit F1 | AUC learned | AUC N(0, I) |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for row in json.loads((folder / TRADE_OFF).read_text()):
        v = row["validation"]
        lines.append(
            f"| {row['beta']:g} | {v['kl_nats']:.0f} | {v['sampling_accuracy']:.3f} "
            f"| {v['hit_f1']:.3f} | {row['learned']['auc']:.3f} | {row['normal']['auc']:.3f} |"
        )
    return "\n".join(lines)


def _ablation(folder: Path) -> str:
    rows = json.loads((folder / ABLATION).read_text())
    has_feel = all("velocity_mae" in row["validation"] for row in rows)
    feel = ["velocity MAE", "offset MAE, ms"] if has_feel else []
    titles = ["variation", "train accuracy", "validation accuracy", "validation F1", *feel, "KL"]
    lines = [
        "## What each choice bought",
        "",
        "Short runs of equal length from the same seed (`experiment ablation`).",
        "",
        "| " + " | ".join(titles) + " |",
        "| --- " * len(titles) + "|",
    ]
    for row in rows:
        v = row["validation"]
        cells = [row["variation"], f"{row['train']['sampling_accuracy']:.3f}"]
        cells += [f"{v['sampling_accuracy']:.3f}", f"{v['hit_f1']:.3f}"]
        if has_feel:
            cells += [f"{v['velocity_mae']:.3f}", f"{v['offset_mae_ms']:.1f}"]
        lines.append("| " + " | ".join([*cells, f"{v['kl_nats']:.0f}"]) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
