"""What must move with an attribute: counted by hand, and looked up among real grooves."""

from __future__ import annotations

import numpy as np
import pytest

from musicvae_core.evaluation.experiments.attribute_floors import definition_floors, nearest_real
from musicvae_core.latent.attribute_vectors import AttributeVectors
from musicvae_core.latent.steering import Steered

VOICES = ("kick", "snare", "hat", "ride", "crash", "tom")
CONTROLS = ("step_density", "fill_ness", *(f"{name}_activity" for name in VOICES))
AT = {name: at for at, name in enumerate(CONTROLS)}


def vectors_of(controls: tuple[str, ...], deviations: list[float]) -> AttributeVectors:
    size = len(controls)
    return AttributeVectors(
        fingerprint="",
        controls=controls,
        labels=(),
        deviations=np.array(deviations),
        lowest=np.zeros(size),
        highest=np.ones(size),
        plain=np.zeros((size, 3)),
        corrected=np.zeros((size, 3)),
        metric=np.eye(size),
        styles=np.zeros((0, 3)),
    )


def floors_of(name: str, goal: float, was: dict[str, float]) -> dict[str, float]:
    """Return the floors of one slider; every deviation is 1 but those of the shares, .1."""
    before = np.array([[was.get(control, 0.0) for control in CONTROLS]])
    targets = np.full(before.shape, np.nan)
    targets[0, AT[name]] = goal
    vectors = vectors_of(CONTROLS, [0.1, 0.1, *[1.0] * len(VOICES)])
    return definition_floors(vectors, targets, before)[name]


def test_more_struck_steps_need_more_hits_once_none_fall_together():
    was = {"step_density": 0.5, "kick_activity": 4.0, "hat_activity": 8.0}  # 8 steps, 12 hits
    free = floors_of("step_density", 0.75, was)  # 12 steps: the kicks need only move away
    assert free["least"] == 0.0
    assert free["alike"] == pytest.approx(1.0 / 2.5)  # 18 hits: one more of each of six voices
    full = floors_of("step_density", 1.0, was)  # 16 steps: 4 hits more, spread on six voices
    assert full["least"] == pytest.approx(0.67 / 5.0)


def test_fewer_struck_steps_than_the_busiest_voice_has_hits_cost_it_hits():
    was = {"step_density": 0.5, "kick_activity": 4.0, "hat_activity": 8.0}
    assert floors_of("step_density", 0.25, was)["least"] == pytest.approx(4.0 / 2.5)


def test_beats_without_a_hat_crowd_it_into_the_others():
    eighths = {"hat_activity": 8.0}
    half = floors_of("fill_ness", 0.5, eighths)
    assert half["least"] == 0.0, "two beats of sixteenths"
    assert half["alike"] == pytest.approx(4.0 / 5.0), "two beats of eighths"
    assert floors_of("fill_ness", 0.75, eighths)["least"] == pytest.approx(4.0 / 7.5)
    fewer = floors_of("fill_ness", 0.25, eighths | {"fill_ness": 0.5})
    assert fewer == {"least": 0.0, "alike": 0.0}


def test_a_model_without_the_voices_has_no_floor():
    vectors = vectors_of(("fill_ness", "swing"), [0.1, 0.1])
    assert definition_floors(vectors, np.array([[0.5, np.nan]]), np.zeros((1, 2))) == {}


def test_the_nearest_real_groove_is_near_in_what_is_set_first():
    vectors = vectors_of(("kick_activity", "swing"), [2.0, 0.1])
    nothing = np.zeros((2, 1))
    steered = Steered(nothing, nothing, np.zeros((2, 2)), np.zeros((2, 2)))
    targets = np.array([[4.0, np.nan], [np.nan, -0.1]])
    table = np.array([[0.0, 0.0], [4.0, 0.3], [1.0, -0.1]])
    found = nearest_real(vectors, table, targets, steered)
    assert found.after.tolist() == [[4.0, 0.3], [1.0, -0.1]]
