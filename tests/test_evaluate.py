"""Held-out metrics, against errors put in by hand and a slow count."""

import json
import math

import numpy as np
import pytest
import torch
from tiny_data import dataset_of

from musicvae_core.evaluation import metrics as evaluate_module
from musicvae_core.evaluation.metrics import (
    _DISTANCES,
    _smoothness_curve,
    evaluate,
    generate_features,
)
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.models.reconstruction import reconstruction_metrics
from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.grid import COMMON_TIME
from musicvae_core.music.groove import Groove

STEPS_PER_BAR = COMMON_TIME.steps_per_bar

N, T = 6, 32


@pytest.fixture
def groove_checkpoint(checkpoints_dir):
    return load_checkpoint(checkpoints_dir / "groove_2bar")


@pytest.fixture
def windows(tiny_dataset):
    return tiny_dataset.windows("test", 2).take(np.arange(N))


def metrics_of(model, windows, tempos_bpm=None):
    tempos = np.full(N, 120.0, np.float32) if tempos_bpm is None else tempos_bpm
    return reconstruction_metrics(model, windows.features, tempos)


def decoding(model, drawn, forced=None):
    """Make a model decode to the given features, free running and, if given, forced."""
    model.decode = lambda mu, temperature: torch.from_numpy(drawn)
    model.head.sample = lambda *_: torch.from_numpy(drawn if forced is None else forced)
    return model


def test_a_perfect_copy_has_no_error(groove_checkpoint, windows):
    metrics = metrics_of(decoding(groove_checkpoint.model, windows.features), windows)
    names = ("teacher_forcing_accuracy", "sampling_accuracy", "sampling_accuracy_nonsilent")
    assert [metrics[name] for name in (*names, "hit_f1")] == [1.0] * 4
    assert metrics["velocity_mae"] == metrics["offset_mae_ms"] == 0.0


def test_one_wrong_voice_costs_its_step(groove_checkpoint, windows):
    drawn = windows.features.copy()
    hits = drawn[..., :N_VOICES]
    hits[0, 3, 8] = 1 - hits[0, 3, 8]  # a ride that nobody plays
    metrics = metrics_of(decoding(groove_checkpoint.model, drawn, windows.features), windows)
    n_hits = windows.features[..., :N_VOICES].sum()
    sounding = windows.features[..., :N_VOICES].any(axis=-1)
    assert metrics["sampling_accuracy"] == pytest.approx(1 - 1 / (N * T))
    assert metrics["sampling_accuracy_nonsilent"] == pytest.approx(
        1 - sounding[0, 3] / sounding.sum()
    )
    assert metrics["hit_f1"] == pytest.approx(2 * n_hits / (2 * n_hits + 1))
    assert metrics["teacher_forcing_accuracy"] == 1.0


def test_silence_given_back_as_silence_is_perfect(groove_checkpoint, windows):
    silence = np.zeros_like(windows.features)
    model = decoding(groove_checkpoint.model, silence)
    metrics = reconstruction_metrics(model, silence, np.full(N, 120.0, np.float32))
    assert metrics["hit_f1"] == metrics["sampling_accuracy"] == 1.0
    assert metrics_of(model, windows)["hit_f1"] == 0.0


def test_metrics_without_data_are_left_out(groove_checkpoint, windows):
    silence = np.zeros_like(windows.features)
    model = decoding(groove_checkpoint.model, silence)
    measured = reconstruction_metrics(model, silence, np.full(N, 120.0, np.float32))
    absent = {"velocity_mae", "offset_mae_ms"}
    assert not measured.keys() & (absent | {"sampling_accuracy_nonsilent"})
    assert all(math.isfinite(value) for value in measured.values())
    unheard = metrics_of(model, windows)  # hits, of which the model plays none
    assert unheard["sampling_accuracy_nonsilent"] == 0.0
    assert not unheard.keys() & absent
    assert all(math.isfinite(value) for value in unheard.values())


@pytest.mark.parametrize("name", ["drums_2bar", "groove_2bar"])
@pytest.mark.filterwarnings("error")
def test_an_evaluation_on_silence_is_valid_json(checkpoints_dir, name, monkeypatch):
    monkeypatch.setattr(evaluate_module, "judge_auc", lambda *_: 0.5)
    silent = Groove.from_hits(np.zeros((4 * STEPS_PER_BAR, N_VOICES), bool))
    dataset = dataset_of({"train": [silent] * 3, "test": [silent]})
    measured = evaluate(load_checkpoint(checkpoints_dir / name), dataset, "test")
    assert "sampling_accuracy_nonsilent" not in measured
    assert json.loads(json.dumps(measured, allow_nan=False)) == measured


@pytest.mark.filterwarnings("error")
def test_a_single_window_has_no_variation(groove_checkpoint, windows):
    one = windows.take(np.arange(1))
    metrics = reconstruction_metrics(groove_checkpoint.model, one.features, one.tempos_bpm)
    assert metrics["active_units"] == 0.0


def test_feel_is_measured_over_hits_that_are_in_both_and_in_milliseconds(
    groove_checkpoint, windows
):
    drawn = windows.features.copy()
    hits, velocities, offsets = np.split(drawn, 3, axis=-1)
    velocities += 0.1 * hits
    offsets -= 0.2 * hits  # a tenth of a step
    silenced = tuple(np.argwhere(hits)[0])
    hits[silenced], velocities[silenced], offsets[silenced] = 0, 99, 99
    model = decoding(groove_checkpoint.model, np.concatenate([hits, velocities, offsets], axis=-1))
    metrics = metrics_of(model, windows, np.full(N, 100.0, np.float32))
    assert metrics["velocity_mae"] == pytest.approx(0.1, rel=1e-4)
    assert metrics["offset_mae_ms"] == pytest.approx(15.0, rel=1e-4)  # of 150 ms


def test_metrics_are_those_of_a_slow_count(groove_checkpoint, windows):
    model = groove_checkpoint.model
    metrics = metrics_of(model, windows)
    with torch.inference_mode():
        mu, sigma = model.encode(torch.from_numpy(windows.features))
        drawn = model.decode(mu, temperature=0.0).numpy()
    right = both = either = 0
    for true, made in zip(windows.features, drawn, strict=True):
        for step in range(T):
            pairs = list(zip(true[step, :N_VOICES] > 0.5, made[step, :N_VOICES] > 0.5, strict=True))
            right += all(a == b for a, b in pairs)
            both += sum(a and b for a, b in pairs)
            either += sum(int(a) + int(b) for a, b in pairs)
    assert metrics["sampling_accuracy"] == pytest.approx(right / (N * T))
    assert metrics["hit_f1"] == pytest.approx(2 * both / either)
    kl = sum(
        0.5 * (m * m + s * s - 1) - math.log(s)
        for m, s in zip(mu.flatten().tolist(), sigma.flatten().tolist(), strict=True)
    )
    assert metrics["kl_nats"] == pytest.approx(kl / N, rel=1e-4)
    assert metrics["active_units"] == sum(np.var(mu.numpy(), axis=0, ddof=1) > 0.01)


def test_parts_measure_as_the_whole(groove_checkpoint, windows, monkeypatch):
    whole = metrics_of(groove_checkpoint.model, windows)
    monkeypatch.setattr(evaluate_module, "_BATCH", 4)
    assert metrics_of(groove_checkpoint.model, windows) == pytest.approx(whole, rel=1e-4)


@pytest.mark.parametrize("name", ["drums_2bar", "groove_2bar", "a_flow"])
def test_an_evaluation_is_whole_repeats_and_is_json(
    checkpoints_dir, tiny_dataset, name, monkeypatch
):
    monkeypatch.setattr(evaluate_module, "judge_auc", lambda *_: 0.5)
    checkpoint = load_checkpoint(checkpoints_dir / name)
    first, again = (evaluate(checkpoint, tiny_dataset, "test", limit=9, seed=1) for _ in range(2))
    assert first == again
    assert json.loads(json.dumps(first)) == first
    wanted = {"n_examples", "teacher_forcing_accuracy", "sampling_accuracy", "hit_f1",
              "sampling_accuracy_nonsilent", "kl_nats", "active_units"}  # fmt: skip
    assert wanted <= first.keys()
    assert ("velocity_mae" in first) == ("offset_mae_ms" in first) == (name != "drums_2bar")
    assert first["n_examples"] == 9
    assert {"auc", "distinct", "copies", "features"} <= first["prior"].keys()
    assert first["prior"]["name"] == ("learned" if name == "a_flow" else "normal")
    assert {"generated", "real", "gap"} == first["prior"]["features"]["swing"].keys()


def test_a_limit_takes_windows_from_the_whole_split(groove_checkpoint, tiny_dataset, monkeypatch):
    monkeypatch.setattr(evaluate_module, "judge_auc", lambda *_: 0.5)
    seen = []
    plain = evaluate_module.reconstruction_metrics
    monkeypatch.setattr(
        evaluate_module,
        "reconstruction_metrics",
        lambda model, features, tempos: seen.append(features) or plain(model, features, tempos),
    )
    evaluate(groove_checkpoint, tiny_dataset, limit=3)
    whole = tiny_dataset.windows("test", 2).features
    assert len(whole) == 14
    assert np.array_equal(seen[0], whole[[0, 6, 13]])
    assert evaluate(groove_checkpoint, tiny_dataset, limit=99)["n_examples"] == 14


def test_samples_are_of_their_seed_and_prior(checkpoints_dir, monkeypatch):
    flow = load_checkpoint(checkpoints_dir / "a_flow")
    learned, again = (generate_features(flow, 7, "learned", 5) for _ in range(2))
    assert learned.shape == (7, T, 27)
    assert np.array_equal(learned, again)
    assert not np.array_equal(learned, generate_features(flow, 7, "learned", 6))
    assert not np.array_equal(learned, generate_features(flow, 7, "normal", 5))


def test_smoothness_starts_at_no_change(groove_checkpoint, windows):
    rows = _smoothness_curve(groove_checkpoint.model, windows.features, seed=0)
    assert [row["distance"] for row in rows] == list(_DISTANCES)
    assert rows[0] == {"distance": 0.0, "hit_distance": 0.0, "attribute_change": 0.0}
    assert rows[-1]["hit_distance"] > rows[1]["hit_distance"]
    assert all(0 <= row["hit_distance"] <= 1 for row in rows)
    assert rows == _smoothness_curve(groove_checkpoint.model, windows.features, seed=0)
