"""Attributes of grooves whose values are known by hand."""

import warnings

import numpy as np
import pytest
from tiny_data import drummed_groove, random_groove

from musicvae_core.evaluation.experiments.long_term import _lag_similarity
from musicvae_core.music.attributes import ATTRIBUTES, _Beats, measure
from musicvae_core.music.drums import CLOSED_HAT, KICK, N_VOICES, SNARE
from musicvae_core.music.forms import bar_similarity
from musicvae_core.music.grid import COMMON_TIME
from musicvae_core.music.groove import Groove

STEPS_PER_BAR = COMMON_TIME.steps_per_bar


def groove_of(*cells, n_steps=16):
    """Build a groove of (step, voice, velocity, offset) cells."""
    velocities = np.zeros((n_steps, N_VOICES), np.float32)
    offsets = np.zeros_like(velocities)
    for step, voice, velocity, offset in cells:
        velocities[step, voice], offsets[step, voice] = velocity, offset
    return Groove(velocities > 0, velocities, offsets, 120.0)


def hats(steps, velocity=0.5, offset=0.0):
    return [(step, CLOSED_HAT, velocity, offset) for step in steps]


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_silence_measures_zero_without_a_warning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert measure(Groove.silent(2))[name] == 0.0


def test_many_grooves_measure_as_one_by_one():
    rng = np.random.default_rng(0)
    grooves = [random_groove(rng) for _ in range(5)] + [Groove.silent(2)]
    batch = _Beats(*(np.stack([getattr(g, name) for g in grooves]) for name in _Beats._fields[:3]))
    for name, attribute in ATTRIBUTES.items():
        values = attribute(batch)
        assert values.shape == (6,)
        assert values.dtype == np.float64
        assert values == pytest.approx([measure(groove)[name] for groove in grooves])


def test_density_counts_steps_not_notes():
    groove = groove_of((0, KICK, 1, 0), (0, SNARE, 1, 0), (1, KICK, 1, 0), (9, SNARE, 1, 0))
    assert measure(groove)["step_density"] == 3 / 16


def test_voices_used_are_counted_once_each():
    groove = groove_of((0, KICK, 1, 0), (3, KICK, 1, 0), (4, SNARE, 1, 0))
    assert measure(groove)["voices_used"] == 2


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([0, 4, 8, 12], 0.0),
        ([0, 2, 4, 6], 0.0),
        ([1, 3], 1.0),
        ([0, 1], 0.0),
        ([0, 3, 4], 1 / 3),
        ([0, 1, 2, 3, 7, 15], 2 / 6),
    ],
    ids=str,
)
def test_syncopation_is_the_share_of_sixteenths_struck_after_silence(steps, expected):
    assert measure(groove_of(*hats(steps)))["syncopation"] == pytest.approx(expected)


def test_another_voice_on_the_eighth_undoes_a_syncopation():
    assert measure(groove_of((2, KICK, 1, 0), *hats([3])))["syncopation"] == 0


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (hats(range(16)), 0.0),
        (hats(range(0, 16, 2)) + hats(range(1, 16, 2), offset=0.3), 0.3),
        (hats([0, 2], offset=0.1) + hats([1], offset=0.3), 0.2),
        (hats([0], offset=0.1) + hats([1], offset=-0.1), -0.2),
        (hats(range(0, 16, 2), offset=0.3), 0.0),
        (hats([1, 3], offset=0.3), 0.0),
    ],
)
def test_swing_is_how_much_later_the_second_sixteenths_come(cells, expected):
    assert measure(groove_of(*cells))["swing"] == pytest.approx(expected, abs=1e-7)


def test_timing_and_dynamics_are_those_of_the_hits_alone():
    groove = groove_of((0, KICK, 0.2, -0.1), (4, SNARE, 0.6, 0.3), (5, KICK, 1.0, 0.1))
    measured = measure(groove)
    assert measured["laid_backness"] == pytest.approx(0.1)
    assert measured["offset_spread"] == pytest.approx(np.std([-0.1, 0.3, 0.1]))
    assert measured["velocity_mean"] == pytest.approx(0.6)
    assert measured["velocity_spread"] == pytest.approx(np.std([0.2, 0.6, 1.0]))


def test_one_hit_has_no_spread():
    measured = measure(groove_of((3, SNARE, 0.7, 0.4)))
    assert measured["offset_spread"] == measured["velocity_spread"] == 0.0
    assert measured["velocity_mean"] == pytest.approx(0.7)
    assert measured["laid_backness"] == pytest.approx(0.4)


def f1_slowly(one, other):
    hits = [{(s, v) for s, v in np.argwhere(bar)} for bar in (one, other)]
    either = len(hits[0]) + len(hits[1])
    return 2 * len(hits[0] & hits[1]) / either if either else 1.0


def test_every_pair_of_bars_is_compared_as_by_hand():
    groove = drummed_groove(np.random.default_rng(0), 5)
    hits = groove.hits.copy()
    hits[STEPS_PER_BAR : 3 * STEPS_PER_BAR] = False  # two silent bars
    bars = hits.reshape(5, STEPS_PER_BAR, -1)
    slow = [[f1_slowly(one, other) for other in bars] for one in bars]
    np.testing.assert_allclose(bar_similarity(hits), slow, rtol=1e-6)
    assert slow[1][2] == 1
    assert slow[0][1] == 0
    assert 0 < slow[0][4] < 1


def test_many_windows_are_compared_at_once():
    rng = np.random.default_rng(1)
    hits = np.stack([drummed_groove(rng, 4).hits for _ in range(3)])
    together = bar_similarity(hits)
    assert together.shape == (3, 4, 4)
    for one, alone in zip(hits, together, strict=True):
        np.testing.assert_array_equal(bar_similarity(one), alone)


def test_a_pattern_of_two_bars_comes_back_at_even_lags():
    rng = np.random.default_rng(2)
    two = [drummed_groove(rng, 2) for _ in range(4)]
    hits = np.stack([groove.repeated(16).hits for groove in two])
    one, other, four, eight = _lag_similarity(hits, (1, 2, 4, 8))
    assert other == four == eight == 1
    assert one < 1
    pairs = [bar_similarity(groove.hits)[0, 1] for groove in two]
    assert one == pytest.approx(np.mean(pairs), rel=1e-5)
