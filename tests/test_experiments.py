"""Experiments at a tiny size: their rows, and that no run is trained twice."""

import json

import pytest

from musicvae_core.evaluation import metrics as evaluate_module
from musicvae_core.evaluation.experiments import choices as experiments
from musicvae_core.evaluation.experiments import choices as trade_off_figure
from musicvae_core.evaluation.experiments.choices import (
    _ABLATIONS,
    ablate,
    draw_trade_off,
    trade_off,
)
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.models.presets import override, preset
from musicvae_core.training import fit_prior as fit_prior_module
from musicvae_core.training import train as train_module
from musicvae_core.training.fit_prior import PriorTraining

N_STEPS = 2
BASE = override(preset("drums_2bar_tiny"), ["validate_every=1", "step_size=0"])
RECONSTRUCTION = {"sampling_accuracy", "hit_f1", "kl_nats", "nll_hits"}


@pytest.fixture(autouse=True)
def _tiny_sizes(monkeypatch):
    monkeypatch.setattr(experiments, "N_WINDOWS", 4)
    monkeypatch.setattr(experiments, "MAX_GENERATED", 6)
    monkeypatch.setattr(evaluate_module, "judge_auc", lambda *_: 0.5)
    short = PriorTraining(n_steps=N_STEPS, batch_size=8)
    monkeypatch.setattr(fit_prior_module, "prior_training", lambda model: short)


@pytest.fixture
def steps(monkeypatch):
    """Count the training steps that are taken."""
    taken = []
    plain = train_module.train_step
    monkeypatch.setattr(train_module, "train_step", lambda *given: taken.append(1) or plain(*given))
    return taken


@pytest.fixture
def broken_once(monkeypatch):
    """Make a function of a module fail at its call of that number, and then work again."""

    def arm(module, name, number):
        plain, calls = getattr(module, name), []

        def breaking(*args, **options):
            calls.append(1)
            if len(calls) == number:
                raise OSError("broke off")
            return plain(*args, **options)

        monkeypatch.setattr(module, name, breaking)

    return arm


def test_an_ablation_has_a_row_for_each_change_that_changes_something(
    tiny_dataset, tmp_path, steps
):
    rows = ablate(BASE, tiny_dataset, tmp_path, N_STEPS, "cpu")
    names = [name for name in _ABLATIONS if name != "no direct path to the steps"]
    assert [row["variation"] for row in rows] == names
    assert len(steps) == N_STEPS * len(names)
    for row in rows:
        assert row.keys() == {"variation", "train", "validation"}
        assert row["train"].keys() == row["validation"].keys() >= RECONSTRUCTION
        assert row["train"] != row["validation"]
    assert json.loads(json.dumps(rows)) == rows


def test_each_variation_trains_with_its_change_alone(tiny_dataset, tmp_path, monkeypatch):
    chosen = {name: _ABLATIONS[name] for name in ("as the preset", "no direct path to the steps")}
    chosen["beta 0.2, free bits 48, as the paper"] = ("beta=0.2", "free_bits=48")
    monkeypatch.setattr(experiments, "_ABLATIONS", chosen)
    base = override(BASE, ["step_size=3"])
    rows = ablate(base, tiny_dataset, tmp_path, N_STEPS, "cpu")
    assert [row["variation"] for row in rows] == list(chosen)
    folders = ("as_the_preset", "no_direct_path_to_the_steps", "beta_0.2_free_bits_48_as_the_paper")
    for folder, changes in zip(folders, chosen.values(), strict=True):
        trained, wanted = load_checkpoint(tmp_path / folder / "last"), override(base, changes)
        assert trained.config == wanted.model
        assert trained.train == override(wanted, [f"n_steps={N_STEPS}"]).train


def test_an_ablation_resumes_and_trains_nothing_twice(
    tiny_dataset, tmp_path, monkeypatch, steps, broken_once
):
    monkeypatch.setattr(experiments, "_ABLATIONS", dict(list(_ABLATIONS.items())[:2]))
    whole = ablate(BASE, tiny_dataset, tmp_path / "whole", N_STEPS, "cpu")
    steps.clear()
    broken_once(train_module, "_validate", N_STEPS + 2)  # of the second run, its second step
    with pytest.raises(OSError, match="broke off"):
        ablate(BASE, tiny_dataset, tmp_path / "broken", N_STEPS, "cpu")
    assert len(steps) == 2 * N_STEPS
    steps.clear()
    assert ablate(BASE, tiny_dataset, tmp_path / "broken", N_STEPS, "cpu") == whole
    assert len(steps) == 1
    assert ablate(BASE, tiny_dataset, tmp_path / "broken", N_STEPS, "cpu") == whole
    assert len(steps) == 1


def test_a_trade_off_has_the_start_and_a_row_for_each_beta(
    checkpoints_dir, tiny_dataset, tmp_path, steps
):
    start = checkpoints_dir / "a_flow"
    rows = trade_off(start, tiny_dataset, tmp_path, [0.25, 1.0], N_STEPS, N_STEPS, "cpu")
    assert [row["beta"] for row in rows] == [load_checkpoint(start).train.beta, 0.25, 1.0]
    assert len(steps) == 2 * N_STEPS
    for row in rows:
        assert row.keys() == {"beta", "validation", "learned", "normal"}
        assert row["validation"].keys() >= RECONSTRUCTION | {"velocity_mae", "offset_mae_ms"}
        assert {name: (row[name]["name"], row[name]["n"]) for name in ("learned", "normal")} == {
            "learned": ("learned", 6),
            "normal": ("normal", 6),
        }
    for beta in ("0.25", "1"):
        tuned = load_checkpoint(tmp_path / f"beta_{beta}" / "with_prior")
        assert tuned.train.beta == float(beta)
        assert tuned.prior is not None
    assert json.loads(json.dumps(rows)) == rows


def test_a_trade_off_resumes_and_trains_nothing_twice(
    checkpoints_dir, tiny_dataset, tmp_path, steps, broken_once
):
    given = (checkpoints_dir / "a_flow", tiny_dataset, tmp_path, [0.25], N_STEPS, N_STEPS, "cpu")
    broken_once(experiments, "fit_prior", 1)
    with pytest.raises(OSError, match="broke off"):
        trade_off(*given)
    assert len(steps) == N_STEPS
    rows = trade_off(*given)
    broken_once(experiments, "fit_prior", 1)
    assert trade_off(*given) == rows
    assert len(steps) == N_STEPS


def test_the_curve_of_a_trade_off_shows_every_row_from_left_to_right(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(trade_off_figure, "write_figure", lambda figure, path: drawn.append(figure))
    row = {"learned": {"auc": 0.6}, "normal": {"auc": 0.9}}
    rows = [
        row | {"validation": {"kl_nats": nats, "sampling_accuracy": nats / 100}}
        for nats in (80.0, 36.0)
    ]
    draw_trade_off(rows, tmp_path / "trade_off.svg")
    accuracy, learned, normal = drawn[0].data
    assert list(accuracy.x) == [36, 80]
    assert list(accuracy.y) == [0.36, 0.8]
    assert [*learned.y, *normal.y] == [0.6, 0.6, 0.9, 0.9]
