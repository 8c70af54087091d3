"""Write the model card of a groove lab from what was measured of it.

    python -m musicvae_core experiment feel checkpoints/groove_lab --data PATH \
        --deterministic runs/means/best --out checkpoints/groove_lab
    python -m scripts.make_lab_card checkpoints/groove_lab --time

`--time` measures anew how long humanizing takes, on one thread, and writes `speed.json`.
Reads in the checkpoint's folder `feel.json` (of the experiment), `training.jsonl` (the runs'
logs, one after the other), `speed.json`, `origin.md` (the commands that made it, and on what)
and `notes.md` (where it falls short); writes `README.md`, `curves.svg` and the metrics in
`config.json`.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import torch
from plotly.subplots import make_subplots

from musicvae_core.checkpoint import CONFIG_FILE, WEIGHTS_FILE
from musicvae_core.experiments.feel import LAB, LAB_TOLD
from musicvae_core.experiments.feel_report import report_text
from musicvae_core.groove import Groove
from musicvae_core.lab.checkpoint import load_lab_checkpoint
from musicvae_core.lab.options import Chance
from musicvae_core.lab.tools import Lab
from musicvae_core.vocabulary import N_VOICES, STEPS_PER_BAR

FEEL, LOG, SPEED = "feel.json", "training.jsonl", "speed.json"
ORIGIN, NOTES = "origin.md", "notes.md"
N_TIMED_BARS, N_TIMED = 64, 9
PANELS = {
    "hits, nats a window": "validation/recon/hits",
    "velocities, nats a window": "validation/recon/velocities",
    "offsets, nats a window": "validation/recon/offsets",
    "KL, nats a window": "validation/kl/nats",
}
ATTRIBUTES = {
    "offset_spread": "offset spread",
    "swing": "swing, mean",
    "swing_size": "swing, size",
    "velocity_spread": "velocity spread",
}
MOST_APART, MOST_AUC, LEAST_FOLLOWED, MOST_GAP = 0.1, 0.65, 0.95, 0.2
DEVIATIONS = """## Where it leaves GrooVAE, and why

- One model for all tasks, where GrooVAE has one for each: parts of its input are hidden at
  random (`musicvae_core/lab/hiding.py`), and the output is held to what is kept, so that a kept
  note comes back by construction and not by luck.
- The decoder hears what is kept at every step, through a bidirectional LSTM that reads it; z
  is left with what the kept notes do not say. GrooVAE's humanizer hears the notes through z
  alone.
- The prior over z is a Gaussian that depends on what is kept (Sohn et al. 2015), not N(0, I).
  Trained with independent dimensions, it gets correlations last (`fit-prior`), one set for each
  kind of what is hidden: without them grooves differ less from one another in loudness and
  timing than real ones do.
- Velocity and timing are drawn from mixtures of discretised logistics over MIDI's own levels
  and ticks; GrooVAE gives one mean of each, which flattens both: see the deterministic head
  below, trained the same.
- Beta is 1, and a twentieth of that where only feel is hidden: the KL is cheap where z has to carry
  the feel of one groove to the notes of another, and dear where notes are to be likely.
- Notes are drawn from the combinations at least 3% as likely as the likeliest."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--time", action="store_true")
    options = parser.parse_args()
    folder: Path = options.checkpoint
    if options.time:
        (folder / SPEED).write_text(json.dumps(time_humanize(folder)) + "\n")
    report = json.loads((folder / FEEL).read_text())
    about = json.loads((folder / CONFIG_FILE).read_text())
    [lab] = [row for row in report["feel"] if row["name"] == LAB]
    about["metrics"] = {report["split"]: lab}
    (folder / CONFIG_FILE).write_text(json.dumps(about, indent=2) + "\n")
    draw_curves(folder)
    (folder / "README.md").write_text(card(folder, about, report))


def time_humanize(folder: Path) -> dict[str, float]:
    """Return the median time of humanizing a long groove, in seconds."""
    torch.set_num_threads(1)
    lab, rng = Lab(load_lab_checkpoint(folder)), np.random.default_rng(0)
    groove = Groove.from_hits(rng.random((N_TIMED_BARS * STEPS_PER_BAR, N_VOICES)) < 0.15)
    seconds = []
    for seed in range(N_TIMED + 1):
        started = time.perf_counter()
        lab.humanize(groove, chance=Chance(seed=seed))
        seconds.append(time.perf_counter() - started)
    median = float(np.median(seconds[1:]))  # the first arranges the weights
    return {"bars": N_TIMED_BARS, "runs": N_TIMED, "seconds": median}


def draw_curves(folder: Path) -> None:
    """Draw the validation curves of the runs' logs as `curves.svg`, one run after the other."""
    rows = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    figure = make_subplots(1, len(PANELS), subplot_titles=list(PANELS))
    steps, base, last = [], 0, 0
    for row in rows:
        base += last if row["step"] <= last else 0
        last = 0 if row["step"] <= last else last
        steps.append(base + row["step"])
        last = row["step"]
    for column, name in enumerate(PANELS.values(), start=1):
        line = go.Scatter(x=steps, y=[row[name] for row in rows], showlegend=False)
        figure.add_trace(line, 1, column)
    figure.update_layout(width=1100, height=300, font={"size": 11})
    figure.update_xaxes(title_text="step")
    figure.write_image(folder / "curves.svg")


def card(folder: Path, about: dict[str, Any], report: dict[str, Any]) -> str:
    """Return the text of the card."""
    size = (folder / WEIGHTS_FILE).stat().st_size / 2**20
    head = f"""# {about["name"]}: humanize, drumify, transfer, fill in, continue

Trained on the train split of the
[Groove MIDI Dataset](https://magenta.tensorflow.org/datasets/groove) (Gillick, Roberts, Engel,
Eck and Bamman 2019, CC BY 4.0; attribution is owed wherever something made from it is
shipped). The weights are under Apache-2.0, like the code. {size:.1f} MiB in float16.

{(folder / ORIGIN).read_text().strip(chr(10))}

![Validation curves](curves.svg)"""
    measured = f"""## What was measured

On the {report["split"]} split, seed {report["seed"]}, by

    python -m musicvae_core experiment feel checkpoints/{folder.name} --data PATH \\
        --deterministic runs/means/best --out checkpoints/{folder.name}

and this card by `python -m scripts.make_lab_card checkpoints/{folder.name} --time`.

{targets(report)}

### Where it falls short

{(folder / NOTES).read_text().strip()}

![Ways to play the same notes](feel.svg)"""
    parts = [head, DEVIATIONS, measured, report_text(report).strip(), speed(folder)]
    return "\n\n".join(part for part in parts if part) + "\n"


def targets(report: dict[str, Any]) -> str:
    """Return a table of what was aimed at, what came of it, and whether that is met."""
    rows = [
        f"| {name} | {aim} | {found} | {chance} | {met} |"
        for name, aim, found, chance, met in feel_targets(report)
    ]
    rows += [
        f"| {name} | {aim} | {found} | | {'yes' if met else 'NO'} |"
        for name, aim, found, met in note_targets(report)
    ]
    titles = "| | target | found | on other performances, 95% | met |"
    return "\n".join([titles, "| --- | --- | --- | --- | --- |", *rows])


def verdict(met: bool, low: float, high: float, least: float, most: float) -> str:
    """Say whether a target is met, and if not whether an interval overlaps with it."""
    if met:
        return "yes"
    return "NO, within chance" if low <= most and high >= least else "NO, beyond chance"


def feel_targets(report: dict[str, Any]) -> list[tuple[str, str, str, str, str]]:
    ways = {row["name"]: row for row in report["feel"]}
    real, lab, told = (ways.pop(name) for name in ("real", LAB, LAB_TOLD))
    rows = []
    for key, name, form in (
        ("timing_mae_ms", "timing MAE, ms", "{:.2f}"),
        ("velocity_mae", "velocity MAE", "{:.4f}"),
    ):
        best = min(way[key] for way in ways.values())
        aim = "below " + form.format(best)
        met = "yes" if lab[key] < best else "NO"
        rows.append((f"{name}, mean prediction", aim, form.format(lab[key]), "", met))
    for which, row in (("", lab), (", told style and drummer", told)):
        for key, name in ATTRIBUTES.items():
            low, apart, high = (
                difference / real[key]
                for difference in (
                    row["chance"][key][0],
                    row[key] - real[key],
                    row["chance"][key][1],
                )
            )
            met = verdict(abs(apart) <= MOST_APART, low, high, -MOST_APART, MOST_APART)
            found = f"{row[key]:.3f} ({apart:+.0%})"
            aim = f"{real[key]:.3f} within 10%"
            rows.append((name + which, aim, found, f"{low:+.0%} to {high:+.0%}", met))
    low, high = lab["chance"]["auc"]
    met = verdict(lab["auc"] <= MOST_AUC, low, high, 0, MOST_AUC)
    found = f"{lab['auc']:.3f} ± {lab['auc_spread']:.3f} over draws"
    rows.append(("AUC", f"at most {MOST_AUC}", found, f"{low:.3f} to {high:.3f}", met))
    return rows


def note_targets(report: dict[str, Any]) -> list[tuple[str, str, str, bool]]:
    kits = report["drumify"]["with accents"]
    followed = kits["within_a_step"]
    name, gap = max(
        ((name, row["gap"]) for name, row in kits["features"].items()), key=lambda one: abs(one[1])
    )
    rows = [
        ("drumify: steps followed", "at least 95%", f"{followed:.1%}", followed >= LEAST_FOLLOWED),
        (
            "drumify: kits like real ones",
            f"every gap within {MOST_GAP} sd",
            f"largest: {name.replace('_', ' ')} {gap:+.2f}",
            abs(gap) <= MOST_GAP,
        ),
    ]
    for row in report["fill_in"]:
        nats, most = row["nats_a_bar"], row["nats_a_bar_by_frequency"]
        name = f"fill in, {row['voice']}: nats a bar"
        rows.append((name, f"below {most:.2f}", f"{nats:.2f}", nats < most))
    return rows


def speed(folder: Path) -> str:
    """Return how long it takes, where that was measured."""
    if not (folder / SPEED).exists():
        return ""
    measured = json.loads((folder / SPEED).read_text())
    return f"""### Speed

Humanizing {measured["bars"]} bars takes {measured["seconds"]:.2f} s on one core of a two-core
AMD EPYC (target 0.5 s; the median of {measured["runs"]} runs, nothing else running)."""


if __name__ == "__main__":
    main()
