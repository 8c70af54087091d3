"""What can be steered: each attribute on grooves whose values are known by hand."""

import warnings

import numpy as np
import pytest
from test_attributes import groove_of, hats
from tiny_data import random_groove

from musicvae_core.music.attributes import (
    _MEASURES,
    ATTRIBUTES,
    CONTROLS,
    _Beats,
    controls_of,
    measure_controls,
)
from musicvae_core.music.drums import (
    CLOSED_HAT,
    CRASH,
    HIGH_TOM,
    KICK,
    LOW_TOM,
    MID_TOM,
    OPEN_HAT,
    RIDE,
    SNARE,
)
from musicvae_core.music.groove import Groove


def value(name, groove):
    beats = _Beats(groove.hits, groove.velocities, groove.offsets)
    return float(measure_controls(beats, [name])[..., 0])


def struck(*cells, n_steps=16):
    """Build a groove of (step, voice) cells at one velocity on the grid."""
    return groove_of(*((step, voice, 0.5, 0.0) for step, voice in cells), n_steps=n_steps)


@pytest.mark.parametrize("name", CONTROLS)
def test_silence_measures_zero_without_a_warning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert value(name, Groove.silent(2)) == 0.0


def test_many_grooves_measure_as_one_by_one():
    rng = np.random.default_rng(0)
    grooves = [random_groove(rng) for _ in range(5)] + [Groove.silent(2)]
    batch = _Beats(*(np.stack([getattr(g, name) for g in grooves]) for name in _Beats._fields[:3]))
    table = measure_controls(batch, tuple(CONTROLS))
    assert table.shape == (6, len(CONTROLS))
    assert table.dtype == np.float64
    for row, groove in zip(table, grooves, strict=True):
        assert row == pytest.approx([value(name, groove) for name in CONTROLS])


def test_a_name_means_the_same_to_the_judge_and_to_a_slider():
    shared = set(ATTRIBUTES) & set(CONTROLS)
    assert {"swing", "velocity_mean"} <= shared
    assert all(ATTRIBUTES[name] is _MEASURES[name] for name in shared)


@pytest.mark.parametrize(
    ("steps", "sixteenth", "eighth"),
    [
        ([0, 4, 8, 12], 0.0, 0.0),
        ([0, 2, 4, 6], 0.0, 0.0),
        ([2, 6, 10, 14], 0.0, 1.0),
        ([1, 3], 1.0, 0.0),
        ([0, 1], 0.0, 0.0),
        ([1, 2], 0.5, 0.0),
        ([3, 6], 0.5, 0.5),
        ([0, 4, 6, 10], 0.0, 0.25),
        ([0, 1, 2, 3, 7, 15], 2 / 6, 0.0),
    ],
    ids=str,
)
def test_syncopated_hits_are_counted_as_the_paper_counts_them(steps, sixteenth, eighth):
    groove = groove_of(*hats(steps))
    assert value("sixteenth_syncopation", groove) == pytest.approx(sixteenth)
    assert value("eighth_syncopation", groove) == pytest.approx(eighth)


def test_a_voice_syncopates_whatever_the_others_play():
    groove = struck((2, CLOSED_HAT), (3, KICK), (4, SNARE), (6, RIDE))
    assert value("sixteenth_syncopation", groove) == 1 / 4
    assert value("eighth_syncopation", groove) == 2 / 4


@pytest.mark.parametrize(
    ("name", "voices"),
    [
        ("kick_activity", [KICK]),
        ("snare_activity", [SNARE]),
        ("hat_activity", [CLOSED_HAT, OPEN_HAT]),
        ("ride_activity", [RIDE]),
        ("crash_activity", [CRASH]),
        ("tom_activity", [LOW_TOM, MID_TOM, HIGH_TOM]),
    ],
)
def test_the_activity_of_a_voice_is_its_hits_a_bar(name, voices):
    everything = Groove.from_hits(np.ones((32, 9), bool))
    assert value(name, everything) == 16 * len(voices)
    cells = [(step, voice) for voice in voices for step in (0, 7, 20)]
    assert value(name, struck(*cells, n_steps=32)) == 1.5 * len(voices)


def test_the_open_share_is_of_the_hi_hat_alone():
    groove = struck((0, OPEN_HAT), (2, CLOSED_HAT), (4, CLOSED_HAT), (6, CLOSED_HAT), (0, KICK))
    assert value("open_hat_share", groove) == 0.25
    assert value("open_hat_share", struck((0, KICK))) == 0


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([(0, SNARE), (4, LOW_TOM), (8, MID_TOM), (12, HIGH_TOM)], 1.0),
        ([(0, KICK), (4, CRASH)], 0.0),
        ([(0, SNARE), (3, RIDE), (5, SNARE), (6, SNARE)], 0.25),
        ([(1, SNARE), (9, OPEN_HAT), (10, HIGH_TOM), (12, CLOSED_HAT)], 0.25),
    ],
)
def test_fill_ness_is_the_beats_of_drums_that_nothing_keeps_time_for(cells, expected):
    assert value("fill_ness", struck(*cells)) == expected


@pytest.mark.parametrize(
    ("even", "odd", "expected"),
    [
        ([0.1, 0.1], [0.1, 0.1], 0.0),
        ([0.0, 0.0], [0.3, 0.3], 0.0),
        ([0.0, 0.2], [0.3, 0.3], 0.1 / 2**0.5),
        ([-0.1, 0.1], [0.2, 0.4], 0.1),
        ([-0.1, 0.1], [], 0.1),
    ],
)
def test_looseness_is_the_spread_that_swing_does_not_explain(even, odd, expected):
    cells = [(2 * index, CLOSED_HAT, 0.5, offset) for index, offset in enumerate(even)]
    cells += [(2 * index + 1, CLOSED_HAT, 0.5, offset) for index, offset in enumerate(odd)]
    assert value("looseness", groove_of(*cells)) == pytest.approx(expected, abs=1e-7)


def test_a_model_without_feel_has_no_control_of_feel():
    assert set(controls_of(has_feel=True)) == set(CONTROLS)
    hits_alone = controls_of(has_feel=False)
    assert "kick_activity" in hits_alone
    assert not {"swing", "laid_backness", "looseness", "velocity_mean"} & set(hits_alone)
    soft = groove_of(*((step, CLOSED_HAT, 0.1, 0.3) for step in range(3)))
    loud = groove_of(*((step, CLOSED_HAT, 0.9, -0.2) for step in range(3)))
    for name in hits_alone:
        assert value(name, soft) == value(name, loud)
