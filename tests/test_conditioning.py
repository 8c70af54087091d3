"""What is known of a groove, how a model encodes it, and how parts are hidden in training."""

import numpy as np
import pytest
from tiny_data import drummed_groove, features_of, random_groove

from musicvae_core.models.conditioning import (
    UNKNOWN,
    Conditioning,
    Controls,
    condition_features,
    n_condition_features,
    taps_of,
)
from musicvae_core.models.lab_tasks import _hide_controls, hide
from musicvae_core.music.drums import KICK, N_VOICES, SNARE
from musicvae_core.music.grid import COMMON_TIME

STEPS_PER_BAR = COMMON_TIME.steps_per_bar

N = 400
TEMPOS = np.full(N, 120, np.float32)


@pytest.fixture(scope="module")
def grooves():
    rng = np.random.default_rng(0)
    make = (drummed_groove, random_groove)
    return features_of([make[index % 2](rng, 4) for index in range(N)])


@pytest.fixture(scope="module")
def hidden(grooves):
    return hide(grooves, np.random.default_rng(1))


def controls(n=N, density=0.5, style=2, drummer=3):
    return Controls(
        TEMPOS[:n], np.full(n, density, np.float32), np.full(n, style), np.full(n, drummer)
    )


def test_taps_are_the_loudest_hit_of_a_step():
    features = np.zeros((1, STEPS_PER_BAR, 27), np.float32)
    for voice, velocity, offset in ((KICK, 0.3, -0.2), (SNARE, 0.8, 0.4)):
        features[0, 5, [voice, 9 + voice, 18 + voice]] = 1, velocity, offset
    features[0, 7, [KICK, 9 + KICK, 18 + KICK]] = 1, 0.1, -0.5
    taps = taps_of(features)
    np.testing.assert_allclose(taps[0, 5], [1, 0.8, 0.4])
    np.testing.assert_allclose(taps[0, 7], [1, 0.1, -0.5])
    assert taps[0].any(axis=1).sum() == 2


def test_hidden_values_have_no_effect(grooves, hidden):
    other = np.random.default_rng(2).random(grooves.shape).astype(np.float32)
    known = np.concatenate([hidden.hits, hidden.velocities, hidden.offsets], axis=-1)
    mixed = Conditioning(
        np.where(known, grooves, other),
        hidden.hits,
        hidden.velocities,
        hidden.offsets,
        hidden.taps,
    )
    heard = [condition_features(given, controls(), 5, 6) for given in (hidden, mixed)]
    assert np.array_equal(*heard)


def test_the_condition_has_its_width_and_distinguishes_unknown_from_none(grooves):
    given = Conditioning.notes(grooves)
    told = condition_features(given, controls(), 5, 6)
    assert told.shape == (N, 64, n_condition_features(5, 6))
    for change in ({"density": np.nan}, {"style": UNKNOWN}, {"drummer": UNKNOWN}, {"density": 0}):
        assert not np.array_equal(condition_features(given, controls(**change), 5, 6), told)


def test_every_way_to_hide_hides_something_and_shows_nothing_false(grooves, hidden):
    assert np.array_equal(hidden.features, grooves)
    cells = np.concatenate([hidden.hits, hidden.velocities, hidden.offsets], axis=-1)
    assert cells.all(axis=(1, 2)).mean() < 0.1  # its first bar alone was hidden, and shown again
    assert not (hidden.velocities & ~hidden.hits & (grooves[..., :N_VOICES] > 0)).any()
    is_tapped = hidden.taps[..., 0] > 0
    assert not (is_tapped & ~(grooves[..., :N_VOICES] > 0).any(axis=-1)).any()


def test_the_tasks_are_all_there(grooves, hidden):
    later = slice(STEPS_PER_BAR, None)
    knows_hits = hidden.hits[:, later]
    plays_anew = knows_hits.all(axis=(1, 2))
    has_taps = hidden.taps.any(axis=(1, 2))
    whole_steps = knows_hits.all(axis=2) | ~knows_hits.any(axis=2)
    some_voices = ~whole_steps.all(axis=1)
    shares = {
        "feel": (plays_anew.mean(), 0.35),
        "taps": (has_taps.mean(), 0.2),
        "voices": (some_voices.mean(), 0.2),
    }
    for name, (found, expected) in shares.items():
        assert abs(found - expected) < 0.08, name
    first_bar_known = hidden.offsets[:, :STEPS_PER_BAR].all(axis=(1, 2))
    assert 0.4 < first_bar_known.mean() < 0.7


def test_taps_are_sometimes_dropped_and_sometimes_flat(grooves, hidden):
    has_taps = hidden.taps.any(axis=(1, 2))
    full = taps_of(grooves)[has_taps]
    told = hidden.taps[has_taps]
    drops = (told[..., 0].sum(axis=1) < full[..., 0].sum(axis=1)).mean()
    flat = (told[..., 1] == 0).all(axis=1).mean()
    assert 0.05 < drops < 0.35
    assert 0.2 < flat < 0.6


def test_hiding_repeats_with_its_seed(grooves, hidden):
    again = hide(grooves, np.random.default_rng(1))
    for name in ("hits", "velocities", "offsets", "taps"):
        assert np.array_equal(getattr(again, name), getattr(hidden, name))
    other = hide(grooves, np.random.default_rng(2))
    assert not np.array_equal(other.hits, hidden.hits)


def test_controls_are_hidden_one_by_one():
    told = _hide_controls(controls(), np.random.default_rng(0))
    assert np.array_equal(told.tempos_bpm, TEMPOS)
    unknown = np.stack([np.isnan(told.densities), told.styles < 0, told.drummers < 0])
    assert (abs(unknown.mean(axis=1) - 0.5) < 0.1).all()
    assert (abs(np.corrcoef(unknown)[np.triu_indices(3, 1)]) < 0.2).all()


def test_rejoined_parts_equal_the_whole(grooves, hidden):
    halves = [hidden.at(slice(0, 32)), hidden.at(slice(32, None))]
    joined = halves[0].followed_by(halves[1])
    for name in ("features", "hits", "velocities", "offsets", "taps"):
        assert np.array_equal(getattr(joined, name), getattr(hidden, name))
