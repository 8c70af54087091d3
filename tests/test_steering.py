"""Steering: candidates are decoded and measured, and the nearest is kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from musicvae_core.errors import CheckpointError, ConfigError
from musicvae_core.latent import steering
from musicvae_core.latent.attribute_vectors import (
    AttributeVectors,
    load_vectors,
    save_vectors,
)
from musicvae_core.latent.fit import fit_vectors
from musicvae_core.latent.steering import _BOUND_WEIGHTS, decode_codes, steer, weights_of
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.music.attributes import CONTROLS, _Beats, measure_controls
from musicvae_core.studio import SHIPPED_CHECKPOINTS, Studio

K, Z = 3, 6


def vectors_of(corrected: np.ndarray, deviations: np.ndarray) -> AttributeVectors:
    return AttributeVectors(
        fingerprint="",
        controls=("a", "b", "c"),
        labels=("funk",),
        deviations=deviations,
        lowest=-deviations,
        highest=deviations,
        plain=corrected,
        corrected=corrected,
        metric=np.eye(K),
        styles=np.ones((1, Z)),
    )


@pytest.fixture
def bent(monkeypatch):
    """A decoder whose three attributes bend, and answer to one another.

    The vectors tell another story of it: each is off in strength and direction.
    """
    rng = np.random.default_rng(0)
    true = rng.standard_normal((Z, K))
    deviations = np.array([2.0, 0.1, 30.0])

    def measure(z):
        flat = z @ true
        return deviations * (flat + 0.3 * np.sin(2 * flat) + 0.2 * flat[..., [1, 2, 0]])

    def decode(_, codes):
        return np.repeat(codes[:, None].astype(np.float32), 2, axis=1)

    monkeypatch.setattr(steering, "decode_codes", decode)
    monkeypatch.setattr(steering, "measured", lambda *given: measure(given[-1][:, 0]))
    told = np.linalg.pinv(true) + 0.1 * rng.standard_normal((K, Z))
    return measure, vectors_of(told, deviations)


def test_set_attributes_arrive_and_the_others_stay(bent):
    measure, vectors = bent
    rng = np.random.default_rng(1)
    codes = 0.3 * rng.standard_normal((20, Z)).astype(np.float32)
    before = measure(codes)
    targets = np.full((20, K), np.nan)
    targets[:, 1] = before[:, 1] + 0.1 * rng.uniform(-2, 2, 20)
    found = steer(None, vectors, codes, targets)
    assert found.before == pytest.approx(before, rel=1e-5)
    missed = (found.after - np.where(np.isnan(targets), before, targets)) / vectors.deviations
    assert np.abs(missed[:, 1]).max() < 0.05
    assert np.abs(missed).max() < 0.15
    assert found.after == pytest.approx(measure(found.codes), rel=1e-4, abs=1e-4)
    assert found.features[:, 0] == pytest.approx(found.codes), "of the very codes returned"
    moved = codes + (targets - before)[:, [1]] / 0.1 * vectors.corrected[1]
    off = np.abs(measure(moved) - np.where(np.isnan(targets), before, targets))
    assert (off / vectors.deviations).mean() > 4 * np.abs(missed).mean(), "the vector alone misses"


def test_several_are_set_at_once(bent):
    _, vectors = bent
    codes = np.zeros((1, Z), np.float32)
    targets = np.array([[1.5, np.nan, -20.0]])
    after = steer(None, vectors, codes, targets).after
    assert (after - [[1.5, 0.0, -20.0]]) / vectors.deviations == pytest.approx(0, abs=0.15)


def test_the_search_leaves_the_corrected_vectors(bent):
    _, vectors = bent
    codes = np.zeros((1, Z), np.float32)
    moved = steer(None, vectors, codes, np.array([[1.5, np.nan, np.nan]])).codes[0]
    inside = vectors.corrected.T @ np.linalg.lstsq(vectors.corrected.T, moved, rcond=None)[0]
    beyond = (
        vectors.styles[0]
        - vectors.corrected.T
        @ (np.linalg.lstsq(vectors.corrected.T, vectors.styles[0], rcond=None)[0])
    )
    rest = moved - inside
    assert np.linalg.norm(rest) > 0.01
    along = abs(rest @ beyond) / np.linalg.norm(rest) / np.linalg.norm(beyond)
    assert along == pytest.approx(1.0, abs=1e-3), "to the style, and nowhere else"


def test_one_by_one_or_together_is_the_same(bent):
    _, vectors = bent
    codes = np.random.default_rng(2).standard_normal((4, Z)).astype(np.float32)
    targets = np.full((4, K), np.nan)
    targets[np.arange(4), [0, 1, 2, 0]] = [1.0, 0.1, 10.0, -3.0]
    together = steer(None, vectors, codes, targets)
    for at in range(4):
        alone = steer(None, vectors, codes[at : at + 1], targets[at : at + 1])
        assert alone.codes[0] == pytest.approx(together.codes[at], abs=1e-5)


def test_without_targets_nothing_moves(bent):
    measure, vectors = bent
    codes = np.ones((2, Z), np.float32)
    found = steer(None, vectors, codes, np.full((2, K), np.nan))
    assert found.codes is codes
    assert found.after == pytest.approx(measure(codes), rel=1e-5)


def test_unreachable_targets_are_approached_and_never_made_worse(bent):
    _, vectors = bent
    codes = np.zeros((1, Z), np.float32)
    targets = np.array([[50.0, np.nan, np.nan]])
    found = steer(None, vectors, codes, targets)
    assert abs(found.after[0, 0] - 50) < abs(found.before[0, 0] - 50)
    at_goal = np.array([[found.before[0, 0], np.nan, np.nan]])
    assert steer(None, vectors, codes, at_goal).codes == pytest.approx(codes)


def test_codes_decode_in_parts_as_they_do_at_once(checkpoints_dir):
    checkpoint = load_checkpoint(checkpoints_dir / "drums_2bar")
    codes = np.random.default_rng(0).standard_normal((300, 8)).astype(np.float32)
    with torch.inference_mode():
        whole = checkpoint.model.decode(torch.from_numpy(codes), 0.0).numpy()
    assert np.array_equal(decode_codes(checkpoint, codes), whole)


@pytest.fixture
def steerable(checkpoints_dir, tiny_dataset, tmp_path):
    """A studio whose tiny models have their vectors."""
    folder = shutil.copytree(checkpoints_dir, tmp_path / "checkpoints")
    for name in ("groove_2bar", "drums_2bar"):
        save_vectors(fit_vectors(load_checkpoint(folder / name), tiny_dataset), folder / name)
    return Studio(folder)


def test_the_studio_steers_by_names(steerable):
    z = steerable.sample("groove_2bar", 1, prior="normal")[0].z
    steered = steerable.steer("groove_2bar", z, {"velocity_mean": 0.6}, tempo_bpm=97.0)
    groove = steered.take.groove
    assert groove.tempo_bpm == 97.0
    beats = _Beats(groove.hits, groove.velocities, groove.offsets)
    for name, value in steered.after.items():
        assert float(measure_controls(beats, [name])[..., 0]) == pytest.approx(value, abs=0.01)
    resting = steerable.steer("groove_2bar", z, {})
    assert resting.before == resting.after
    assert np.array_equal(resting.take.z, z)


def test_the_studio_names_what_it_cannot_steer(steerable):
    z = np.zeros(8, np.float32)
    with pytest.raises(ConfigError, match="swing"):
        steerable.steer("drums_2bar", z, {"swing": 0.1})
    with pytest.raises(ConfigError, match="polka"):
        steerable.steer("drums_2bar", z, {}, styles={"polka": 1.0})
    with pytest.raises(CheckpointError, match="attribute-vectors"):
        steerable.steer("a_flow", z, {})


@pytest.mark.parametrize("name", ["groove_2bar", "drums_2bar"])
def test_shipped_models_reach_the_targets_of_sliders(name):
    folder = SHIPPED_CHECKPOINTS / name
    if not (folder / "model.safetensors").is_file():
        pytest.skip(f"checkpoints/{name} is not there: train it first")
    studio = Studio()
    z = studio.sample(name, 1, seed=3)[0].z
    vectors = load_vectors(folder, studio.checkpoint(name).fingerprint())
    assert {"funk", "jazz", "fill"} <= set(vectors.labels)
    resting = studio.steer(name, z, {})
    goals = {"kick_activity": resting.before["kick_activity"] + 2.0}
    if "swing" in vectors.controls:
        goals["swing"] = resting.before["swing"] + 0.15
    moved = studio.steer(name, z, goals)
    deviations = dict(zip(vectors.controls, vectors.deviations, strict=True))
    for control, goal in goals.items():
        assert abs(moved.after[control] - goal) < 0.4 * deviations[control]
    held = [control for control in vectors.controls if control not in goals]
    drift = [abs(moved.after[c] - moved.before[c]) / deviations[c] for c in held]
    assert np.mean(drift) < 0.25
    again = studio.steer(name, z, goals)
    assert np.array_equal(again.take.z, moved.take.z), "deterministic"


def test_shipped_vectors_are_small(tmp_path):
    for path in Path(SHIPPED_CHECKPOINTS).glob("*/attribute_vectors.npz"):
        assert path.stat().st_size < 2**20


def test_a_control_made_of_others_holds_them_harder() -> None:
    names = ["snare_activity", "swing", "step_density"]
    is_set = np.array([[True, False, False], [False, False, True], [True, False, True]])
    assert weights_of(names, is_set) == pytest.approx(
        np.array([[5.0, 1.0, 2.0], [1.8, 1.0, 6.0], [5.0, 1.0, 6.0]])
    )


def test_weights_are_those_of_controls() -> None:
    named = {*_BOUND_WEIGHTS, *(other for others in _BOUND_WEIGHTS.values() for other in others)}
    assert named <= set(CONTROLS)


@pytest.mark.parametrize("name", ["groove_2bar", "drums_2bar"])
def test_grooves_decoded_ahead_have_the_stated_values_and_cover_the_slider(name):
    studio = Studio()
    vectors = studio.attribute_vectors(name)
    [take] = studio.sample(name, 1, seed=4)
    ahead = studio.steer_ahead(name, take.z, 9, tempo_bpm=90.0)
    assert set(ahead) == set(vectors.controls)
    for control, grooves in ahead.items():
        values = [value for value, _ in grooves]
        assert values == sorted(values)
        for value, groove in grooves:
            beats = _Beats(groove.hits, groove.velocities, groove.offsets)
            assert float(measure_controls(beats, [control])[..., 0]) == pytest.approx(
                value, abs=1e-3
            )
            assert groove.tempo_bpm == 90.0
    reach = [ahead[control][-1][0] - ahead[control][0][0] for control in vectors.controls]
    covered = np.array(reach) / (vectors.highest - vectors.lowest)
    assert np.median(covered) > 0.7
