"""Recombination: what it may change, and that every cell was really played.

Every cell of these windows has a velocity of its own, so that where a cell of the result
came from can be read off it.
"""

import numpy as np
import pytest

from musicvae_core.data.windows import augment
from musicvae_core.models.lab_tasks import _change_feel
from musicvae_core.music.attributes import _laid_backness, _swing, beats_of
from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.grid import COMMON_TIME

STEPS_PER_BAR = COMMON_TIME.steps_per_bar
STEPS_PER_BEAT = COMMON_TIME.steps_per_beat

B, T = 60, 32


@pytest.fixture(scope="module")
def features():
    """(B, T, 27): every cell struck, its velocity its own number and its offset minus that."""
    velocities = np.linspace(0.1, 1, B * T * N_VOICES, dtype=np.float32).reshape(B, T, N_VOICES)
    return np.concatenate([np.ones_like(velocities), velocities, -velocities], axis=-1)


def origins(result, features):
    """Return window, step and voice of each cell, each (B, T, 9); -1 where it is silent."""
    velocities = features[..., N_VOICES : 2 * N_VOICES].ravel()
    drawn = result[..., N_VOICES : 2 * N_VOICES]
    places = np.searchsorted(velocities, drawn).clip(max=velocities.size - 1)
    assert ((velocities[places] == drawn) | (drawn == 0)).all()
    cells = np.unravel_index(places, (B, T, N_VOICES))
    return [np.where(drawn > 0, axis, -1) for axis in cells]


def kinds_of(windows, steps, own):
    """Name what was done to one example, told by where its cells came from."""
    there = windows >= 0
    in_place = steps == np.arange(T)[:, None]
    if not there.all() or not in_place[there].all():
        return "turned"
    foreign = windows != own
    if not foreign.any():
        return "unchanged"
    is_by_voice = (foreign == foreign[0]).all()
    return "voices" if is_by_voice else "bars"


def test_a_share_of_zero_changes_nothing(features):
    result = augment(features, 0.0, np.random.default_rng(0))
    assert np.array_equal(result, features)
    assert result is not features


def test_the_input_is_left_as_it_was(features):
    before = features.copy()
    augment(features, 1.0, np.random.default_rng(0))
    assert np.array_equal(features, before)


def test_equal_seeds_give_equal_batches(features):
    first, again, other = (augment(features, 0.6, np.random.default_rng(s)) for s in (5, 5, 6))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("share", [0.3, 0.6, 1.0])
def test_the_share_that_is_altered_is_the_share_asked_for(features, share):
    altered = [
        (augment(features, share, np.random.default_rng(seed)) != features).any(axis=(1, 2))
        for seed in range(40)
    ]
    # An example whose partner is itself, or none of whose parts are swapped, stays: a few.
    assert share * 0.8 < np.mean(altered) <= share + 0.03


def test_velocity_and_offset_stay_with_their_hit(features):
    result = augment(features, 1.0, np.random.default_rng(1))
    hits, velocities, offsets = np.split(result, 3, axis=-1)
    assert np.array_equal(hits > 0, velocities > 0)
    assert np.array_equal(offsets, -velocities)


def test_every_example_is_recombined_in_one_musical_way(features):
    seen = set()
    for seed in range(5):
        result = augment(features, 1.0, np.random.default_rng(seed))
        windows, steps, voices = origins(result, features)
        assert np.isin(voices, [-1]).any()
        for own in range(B):
            kind = kinds_of(windows[own], steps[own], own)
            seen.add(kind)
            check = {"voices": check_voices, "bars": check_bars, "turned": check_turned}
            if kind in check:
                check[kind](windows[own], steps[own], voices[own], own)
    assert seen >= {"voices", "bars", "turned"}


def check_voices(windows, steps, voices, own):
    """Whole voices come from one other window."""
    assert len(set(windows[0]) - {own}) == 1
    assert (voices == np.arange(N_VOICES)).all()


def check_bars(windows, steps, voices, own):
    """Whole bars come from one other window, all voices together."""
    bars = windows.reshape(-1, STEPS_PER_BAR * N_VOICES)
    assert (bars == bars[:, :1]).all()
    assert len(set(bars[:, 0]) - {own}) == 1
    assert (voices == np.arange(N_VOICES)).all()


def check_turned(windows, steps, voices, own):
    """All that is left was played in this window, as many whole beats earlier or later."""
    there = windows >= 0
    shift = (steps - np.arange(T)[:, None])[there] % T
    assert (windows[there] == own).all()
    assert len(set(shift)) == 1
    assert shift[0] % STEPS_PER_BEAT == 0
    assert np.broadcast_to(np.arange(N_VOICES), voices.shape)[there].tolist() == (
        voices[there].tolist()
    )
    assert there.mean() > 0.4


def test_hits_alone_are_recombined_as_with_feel(features):
    whole = augment(features, 1.0, np.random.default_rng(4))
    hits_alone = augment(features[..., :N_VOICES], 1.0, np.random.default_rng(4))
    assert hits_alone.shape == (B, T, N_VOICES)
    assert np.array_equal(hits_alone, whole[..., :N_VOICES])


@pytest.fixture
def straight():
    """(400, T, 27): a third of the cells struck on the grid, as loud as they come."""
    hits = (np.random.default_rng(5).random((400, T, N_VOICES)) < 1 / 3).astype(np.float32)
    return np.concatenate([hits, hits, 0 * hits], axis=-1)


def test_feel_changes_by_one_amount_at_odd_steps_and_another_at_even_ones(straight):
    changed = _change_feel(straight, 1.0, np.random.default_rng(6))
    assert np.array_equal(changed[..., : 2 * N_VOICES], straight[..., : 2 * N_VOICES])
    offsets, hits = changed[..., 2 * N_VOICES :], straight[..., :N_VOICES] > 0
    assert (offsets[~hits] == 0).all()
    for parity in (0, 1):
        of_step, struck = offsets[:, parity::2], hits[:, parity::2]
        means = (of_step * struck).sum((1, 2)) / struck.sum((1, 2))
        assert of_step == pytest.approx(np.where(struck, means[:, None, None], 0), abs=1e-5)
    beats = beats_of(changed)
    assert _swing(beats).std() == pytest.approx(0.15, rel=0.15)
    assert _laid_backness(beats).std() == pytest.approx(0.06, rel=0.15)


def test_feel_changes_in_a_share_of_examples_and_leaves_no_step(straight):
    features = straight + np.repeat(np.float32([0, 0, 0.97]), N_VOICES) * np.tile(
        straight[..., :N_VOICES], 3
    )
    changed = _change_feel(features, 0.25, np.random.default_rng(7))
    assert np.abs(changed).max() <= 1
    is_other = (changed != features).any(axis=(1, 2))
    assert is_other.mean() == pytest.approx(0.25, abs=0.06)
    assert np.array_equal(_change_feel(features, 0.0, np.random.default_rng(7)), features)
