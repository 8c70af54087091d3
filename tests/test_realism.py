"""The judge of samples, and shares counted by hand."""

import numpy as np
import pytest

from musicvae_core.errors import TooFewExamplesError
from musicvae_core.evaluation.metrics import _copied_hits, _distinct_hits
from musicvae_core.evaluation.realism import (
    _judge_view,
    attribute_table,
    feature_gaps,
    judge_auc,
    nearest_windows,
)
from musicvae_core.music.attributes import beats_of
from musicvae_core.music.drums import N_VOICES

T = 16


def patterns(rng, n, density=0.3):
    """Return n random bars of hits, (n, 16, 9)."""
    return (rng.random((n, T, N_VOICES)) < density).astype(np.float32)


def performed(rng, n_performances, n_each, density=0.3):
    """Return near repetitions of each performance's own bar, and whose each is."""
    whose = np.repeat(np.arange(n_performances), n_each)
    hits = patterns(rng, n_performances, density)[whose]
    flipped = rng.random(hits.shape) < 0.02
    return np.where(flipped, 1 - hits, hits).astype(np.float32), whose


@pytest.fixture(scope="module")
def real():
    """Thirty performances that repeat themselves, of ten windows each."""
    return performed(np.random.default_rng(0), 30, 10)


def test_samples_of_the_same_distribution_are_indistinguishable(real):
    windows, performances = real
    samples, _ = performed(np.random.default_rng(1), 300, 1)
    assert judge_auc(samples, windows, performances) == pytest.approx(0.5, abs=0.15)


def test_without_whole_performances_held_out_the_judge_would_memorise_them(real):
    windows, _ = real
    samples, _ = performed(np.random.default_rng(1), 300, 1)
    assert judge_auc(samples, windows, np.arange(len(windows))) > 0.75


def test_samples_of_another_distribution_are_recognised(real):
    windows, performances = real
    denser, _ = performed(np.random.default_rng(1), 300, 1, density=0.6)
    assert judge_auc(denser, windows, performances) > 0.9


def test_feel_alone_can_give_samples_away():
    rng = np.random.default_rng(0)
    hits = patterns(rng, 400)
    velocities = hits * rng.uniform(0.2, 1.0, hits.shape)
    flat = hits[:200] * 0.6
    offsets = np.zeros_like(hits)
    real = np.concatenate([hits[200:], velocities[200:], offsets[200:]], axis=-1)
    generated = np.concatenate([hits[:200], flat, offsets[:200]], axis=-1)
    whose = np.arange(200)
    assert judge_auc(generated, real, whose) > 0.9
    assert judge_auc(generated[..., :N_VOICES], real[..., :N_VOICES], whose) < 0.65


def test_judging_repeats_with_its_seed(real):
    windows, performances = real
    samples, _ = performed(np.random.default_rng(1), 60, 1)
    first, again = (judge_auc(samples, windows[::5], performances[::5], 3) for _ in range(2))
    assert first == again


def test_too_few_to_hold_some_out_are_refused(real):
    windows, performances = real
    with pytest.raises(TooFewExamplesError, match="4 samples and 300 real windows, of 30 perf"):
        judge_auc(windows[:4], windows, performances)
    with pytest.raises(TooFewExamplesError, match="9 real windows, of 1 performances"):
        judge_auc(windows[50:100], windows[:9], performances[:9])


def one_hit_windows(velocities):
    features = np.zeros((len(velocities), T, 27), np.float32)
    features[:, 0, 0] = 1
    features[:, 0, 9] = velocities
    return features


def test_gaps_are_in_standard_deviations_of_the_real_windows():
    real = one_hit_windows([0.4, 0.6, 0.4, 0.6])
    gaps = feature_gaps(one_hit_windows([0.65, 0.65]), real)
    velocity = gaps["velocity_mean"]
    assert velocity == pytest.approx({"generated": 0.65, "real": 0.5, "gap": 1.5}, rel=1e-5)
    assert gaps["step_density"] == {"generated": 1 / T, "real": 1 / T, "gap": 0.0}
    assert set(gaps) == set(attribute_table(real))


def test_gaps_have_a_sign():
    real = one_hit_windows([0.4, 0.6])
    assert feature_gaps(one_hit_windows([0.4]), real)["velocity_mean"]["gap"] == pytest.approx(-1)


def test_beats_of_features_are_in_steps_and_of_hits_alone_are_straight():
    features = one_hit_windows([0.5])
    features[0, 0, 18] = -0.5
    beats = beats_of(features)
    assert beats.hits.sum() == 1
    assert beats.velocities[0, 0, 0] == 0.5
    assert beats.offsets[0, 0, 0] == -0.25
    alone = beats_of(features[..., :N_VOICES])
    assert alone.velocities[0, 0, 0] == 1.0
    assert not alone.offsets.any()


def test_distinct_windows_are_those_that_no_other_repeats():
    a, b, c = patterns(np.random.default_rng(0), 3)
    assert _distinct_hits(np.stack([a, b, c])) == 1.0
    assert _distinct_hits(np.stack([a, a, b, c])) == 0.5
    assert _distinct_hits(np.stack([a, a, a])) == 0.0


def test_copies_are_windows_whose_hits_are_all_in_the_source():
    a, b, c = patterns(np.random.default_rng(0), 3)
    nearly = b.copy()
    nearly[-1, -1] = 1 - nearly[-1, -1]
    assert _copied_hits(np.stack([a, a, nearly, c]), np.stack([b, a])) == 0.5
    assert _copied_hits(np.stack([a]), np.stack([b])) == 0.0


def test_distinct_and_copied_are_of_hits_whatever_their_feel():
    soft, loud = one_hit_windows([0.1]), one_hit_windows([0.9])
    assert _distinct_hits(np.concatenate([soft, loud])) == 0.0
    assert _copied_hits(soft, loud) == 1.0
    assert _copied_hits(soft[..., :N_VOICES], loud) == 1.0


def test_a_sample_kept_with_what_it_imitates_does_not_pass_for_real():
    rng = np.random.default_rng(0)
    performances = np.repeat(np.arange(60), 8)
    patterns = rng.random((60, 32, 9)) < 0.2

    def played(which):
        return np.logical_xor(patterns[which], rng.random((len(which), 32, 9)) < 0.02)

    real = played(performances).astype(np.float32)
    imitated = rng.integers(0, 60, 480)
    copies = played(imitated).astype(np.float32)
    nearest, _ = nearest_windows(copies, real)
    assert (performances[nearest] == imitated).mean() > 0.95
    alone = judge_auc(copies, real, performances)
    together = judge_auc(copies, real, performances, imitated=imitated)
    assert alone < together
    assert together == pytest.approx(0.5, abs=0.1)


def test_the_judge_sees_the_first_and_the_middle_bar_of_a_long_piece():
    rng = np.random.default_rng(0)
    hits = (rng.random((120, 8 * 16, 9)) < 0.2).astype(np.float32)
    performances = np.arange(120) % 12
    for bar, is_seen in ((0, True), (4, True), (6, False)):
        marked = hits.copy()
        steps = slice(bar * 16, bar * 16 + 16)
        marked[:, steps] = np.roll(hits[:, steps], 3, axis=0)  # the same beats, elsewhere
        marked[:, bar * 16] = np.roll(marked[:, bar * 16], 1, axis=1)
        view, other = _judge_view(hits), _judge_view(marked)
        n_attributes = view.shape[1] - 2 * 16 * 9
        cells = slice(0, view.shape[1] - n_attributes)
        assert (view[:, cells] != other[:, cells]).any() == is_seen
    assert 0 <= judge_auc(hits[:60], hits[60:], performances[60:]) <= 1
