"""The codec: round trips, class numbering, sign and scale."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from musicvae_core.music.drums import (
    _COMBINATIONS,
    CLOSED_HAT,
    DRUM_CLASSES,
    KICK,
    N_VOICES,
    RIDE,
    SNARE,
    hits_to_classes,
)
from musicvae_core.music.grid import COMMON_TIME, VELOCITY_LEVELS
from musicvae_core.music.groove import (
    Groove,
    _stack_features,
    features_to_groove,
    groove_to_features,
)

TICKS_PER_STEP = COMMON_TIME.ticks_per_step

VELOCITIES, OFFSETS = slice(9, 18), slice(18, 27)


@st.composite
def grooves(draw):
    """Any groove on MIDI's levels and ticks, of one to three bars."""
    shape = (16 * draw(st.integers(1, 3)), N_VOICES)
    hits = draw(arrays.arrays(bool, shape))
    levels = draw(arrays.arrays(np.int64, shape, elements=st.integers(1, VELOCITY_LEVELS)))
    half = TICKS_PER_STEP // 2
    ticks = draw(arrays.arrays(np.int64, shape, elements=st.integers(-half, half - 1)))
    tempo_bpm = draw(st.floats(20, 400))
    return Groove.from_hits(hits, levels / VELOCITY_LEVELS, ticks / TICKS_PER_STEP, tempo_bpm)


def one_hit(step=0, voice=KICK, velocity=0.8, offset=0.0, n_steps=16):
    hits = np.zeros((n_steps, N_VOICES), bool)
    hits[step, voice] = True
    return Groove.from_hits(hits, velocity, offset)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(grooves())
def test_values_that_midi_can_hold_survive_exactly(groove):
    assert features_to_groove(groove_to_features(groove), groove.tempo_bpm) == groove


@settings(max_examples=50, deadline=None, derandomize=True)
@given(grooves())
def test_classes_of_hits_come_back(groove):
    classes = hits_to_classes(groove.hits)
    assert classes.shape == (groove.n_steps,)
    assert np.array_equal(_COMBINATIONS[classes], groove.hits)


def test_class_numbers_are_a_bijection():
    assert np.array_equal(hits_to_classes(_COMBINATIONS), np.arange(DRUM_CLASSES.n_classes))
    assert len(np.unique(_COMBINATIONS, axis=0)) == DRUM_CLASSES.n_classes == 512


@pytest.mark.parametrize(
    ("voices", "number"),
    [([], 0), ([KICK], 1), ([SNARE], 2), ([KICK, CLOSED_HAT], 5), ([RIDE], 256), (range(9), 511)],
)
def test_voice_v_is_bit_v(voices, number):
    hits = np.isin(np.arange(N_VOICES), list(voices))
    assert hits_to_classes(hits) == number
    assert np.array_equal(_COMBINATIONS[number], hits)


def test_classes_keep_leading_dimensions():
    hits = np.random.default_rng(0).random((2, 3, 4, N_VOICES)) < 0.5
    classes = hits_to_classes(hits)
    assert classes.shape == (2, 3, 4)
    assert np.array_equal(_COMBINATIONS[classes], hits)


def test_features_are_hits_then_velocities_then_doubled_offsets_late_positive():
    features = groove_to_features(one_hit(3, SNARE, velocity=0.5, offset=0.25))
    expected = np.zeros((16, 27), np.float32)
    expected[3, [SNARE, 9 + SNARE, 18 + SNARE]] = 1.0, 0.5, 0.5
    assert features.dtype == np.float32
    assert np.array_equal(features, expected)


def test_arrays_of_many_grooves_stack_as_one_does():
    many = [one_hit(step, offset=0.1) for step in range(3)]
    stacked = _stack_features(
        *(np.stack([getattr(g, name) for g in many]) for name in ("hits", "velocities", "offsets"))
    )
    assert np.array_equal(stacked, np.stack([groove_to_features(g) for g in many]))


@pytest.mark.parametrize(("step", "offset"), [(0, -0.5), (15, 59 / 120)])
def test_hits_before_the_first_and_after_the_last_step_stay(step, offset):
    groove = one_hit(step, offset=offset)
    features = groove_to_features(groove)
    back = features_to_groove(features, groove.tempo_bpm)
    assert features[step, 18] == np.float32(2 * offset)
    assert back.hits[step, KICK]
    assert back.offsets[step, KICK] == np.float32(offset)


@pytest.mark.parametrize(
    ("value", "offset"), [(-1.0, -0.5), (-7.0, -0.5), (1.0, 0.4958), (7.0, 0.4958)]
)
def test_offsets_beyond_the_cell_are_moved_to_its_edge(value, offset):
    features = groove_to_features(one_hit())
    features[0, OFFSETS] = value
    back = features_to_groove(features, 120.0)
    assert back.offsets[0, KICK] == pytest.approx(offset, abs=1e-4)
    assert not back.offsets[~back.hits].any()


@pytest.mark.parametrize(
    ("value", "level"), [(-1.0, 1), (0.0, 1), (0.5, 64), (0.7, 89), (1.0, 127), (3.0, 127)]
)
def test_velocities_are_rounded_to_a_level_that_sounds(value, level):
    features = groove_to_features(one_hit())
    features[:, VELOCITIES] = value
    back = features_to_groove(features, 120.0)
    assert back.velocities[0, KICK] == np.float32(level / VELOCITY_LEVELS)
    assert np.count_nonzero(back.velocities) == 1


def test_a_hit_is_above_one_half():
    features = np.zeros((16, 27), np.float32)
    features[0, [KICK, SNARE]] = 0.5, 0.51
    assert np.argwhere(features_to_groove(features, 120.0).hits).tolist() == [[0, SNARE]]


def test_hits_alone_are_played_straight_at_one_loudness():
    groove = one_hit(5, RIDE, velocity=0.3, offset=0.2)
    back = features_to_groove(groove_to_features(groove)[:, :N_VOICES], 95.0)
    assert back == Groove.from_hits(groove.hits, 0.8, 0.0, 95.0)
