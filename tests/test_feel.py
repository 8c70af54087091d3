"""How feel is measured: baselines, metrics, and the experiment as a whole."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_data import dataset_of, drummed_groove, features_of, random_groove
from tiny_lab import any_groove, tiny_checkpoint

from musicvae_core.evaluation.experiments import feel as experiment_module
from musicvae_core.evaluation.experiments import feel_metrics as metrics_module
from musicvae_core.evaluation.experiments import feel_metrics as transfer_experiment
from musicvae_core.evaluation.experiments.feel import feel_experiment
from musicvae_core.evaluation.experiments.feel_baselines import (
    FeelTable,
    PatternTable,
    _drifting,
    _join_feel,
    hit_f1,
    split_feel,
)
from musicvae_core.evaluation.experiments.feel_metrics import (
    Real,
    _mean_interval,
    _resampled,
    attribute_means,
    bar_jumps,
    errors,
    followed_share,
    likeness,
)
from musicvae_core.lab.completion import nats_of_rest
from musicvae_core.lab.options import match_feel
from musicvae_core.models.conditioning import UNKNOWN, Conditioning, tempo_only
from musicvae_core.models.config import MAX_SEED, TrainConfig
from musicvae_core.models.lab_tasks import _make_batch
from musicvae_core.music.drums import KICK, SNARE
from musicvae_core.music.forms import taps_to_groove
from musicvae_core.music.grid import COMMON_TIME, VELOCITY_LEVELS
from musicvae_core.music.groove import Groove

STEPS_PER_BAR = COMMON_TIME.steps_per_bar
TICKS_PER_STEP = COMMON_TIME.ticks_per_step

N = 60


@pytest.fixture(scope="module")
def played():
    rng = np.random.default_rng(0)
    return features_of([drummed_groove(rng, 4) for _ in range(N)])


@pytest.fixture(scope="module")
def table(played):
    return FeelTable.of(played)


def test_the_mean_by_voice_and_step_is_the_mean(played, table):
    hits, velocities, _ = split_feel(played)
    own = hits.reshape(-1, STEPS_PER_BAR, 9)[:, 4, SNARE]
    expected = velocities.reshape(-1, STEPS_PER_BAR, 9)[:, 4, SNARE][own].mean()
    assert table.velocities.means[4, SNARE] == pytest.approx(expected, abs=0.01)


def test_noise_has_the_size_of_the_train_split(played, table):
    _, _, real = split_feel(played)
    hits = played[..., :9] > 0.5
    for noise in ("independent", "drift"):
        _, _, offsets = split_feel(table.play(played, noise))
        assert offsets[hits].std() == pytest.approx(real[hits].std(), rel=0.05)
    _, _, means = split_feel(table.play(played, "none"))
    assert means[hits].std() < 0.5 * real[hits].std()


def test_drift_is_a_correlation_between_neighbours():
    rng = np.random.default_rng(0)
    hits = np.ones((200, 32, 9), bool)
    noise = _drifting(hits, 0.6, rng).reshape(200, -1)
    assert noise.std() == pytest.approx(1, abs=0.03)
    assert np.corrcoef(noise[:, :-1].ravel(), noise[:, 1:].ravel())[0, 1] == pytest.approx(
        0.6, abs=0.03
    )


@pytest.mark.parametrize("name", ["velocities", "offsets"])
def test_the_bins_of_a_baseline_add_up_to_one(table, name):
    law = getattr(table, name)
    n = VELOCITY_LEVELS if name == "velocities" else TICKS_PER_STEP
    hits = np.zeros((1, STEPS_PER_BAR, 9), bool)
    hits[0, 4, SNARE] = True
    values = np.linspace(law.lowest, law.highest, n)
    mass = [
        np.exp(-law.nats(hits, np.where(hits, value, 0).astype(np.float32), "none"))
        for value in values
    ]
    assert sum(mass) == pytest.approx(1, abs=1e-3)


def test_split_and_join_are_inverse(played):
    hits, velocities, offsets = split_feel(played)
    joined = _join_feel(hits, velocities.astype(float), offsets.astype(float))
    np.testing.assert_allclose(joined, played, atol=1e-5)


def test_errors_are_in_milliseconds(played):
    tempos = np.full(N, 120.0, np.float32)
    real = Real(played, tempos, np.zeros(N, np.int64))
    hits, velocities, offsets = split_feel(played)
    late = np.clip(offsets + 0.05, -0.5, 0.49)
    moved = np.concatenate([hits, velocities * 0.9, 2 * late * hits], axis=-1, dtype=np.float32)
    found = errors(moved, real)
    assert errors(played, real) == {"timing_mae_ms": 0, "velocity_mae": 0}
    assert found["timing_mae_ms"] == pytest.approx(125 * 0.05, rel=0.02)
    assert found["velocity_mae"] == pytest.approx(0.1 * velocities[hits].mean(), rel=0.02)


def test_windows_of_one_performance_count_as_little_as_they_say():
    rng = np.random.default_rng(0)
    of_performance = rng.standard_normal(40)
    values, performances = np.repeat(of_performance, 25), np.repeat(np.arange(40), 25)
    weights = _resampled(performances, seed=1)
    low, high = _mean_interval(values, weights)
    assert weights.shape == (1000, 1000)
    assert np.all(weights[:, :25] == weights[:, :1])
    assert low < values.mean() < high
    assert high - low == pytest.approx(3.92 * of_performance.std() / np.sqrt(40), rel=0.15)
    alone = _mean_interval(values, _resampled(np.arange(1000), seed=1))
    assert alone[1] - alone[0] < 0.3 * (high - low)


def test_draws_are_compared_with_chance_intervals(played):
    real = Real(played, np.full(N, 120.0, np.float32), np.arange(N))
    same = likeness([played, played], real, 0)
    assert same["chance"]["swing"] == same["chance"]["velocity_mean"] == [0, 0]
    assert same["chance"]["auc"][0] <= same["auc"] <= same["chance"]["auc"][1]
    assert same["auc"] == pytest.approx(0.5, abs=0.1)
    hits, velocities, offsets = split_feel(played)
    quiet = np.concatenate([hits, velocities * 0.5, 2 * offsets], axis=-1, dtype=np.float32)
    row = likeness([quiet], real, 0)
    assert row["auc_spread"] is None
    assert row["chance"]["velocity_mean"][1] < 0
    assert row["chance"]["auc"][0] > 0.9


def test_the_greatest_seed_has_a_seed_for_every_draw(played):
    few = Real(played[:10], np.full(10, 120.0, np.float32), np.arange(10))
    assert likeness([few.features] * 2, few, MAX_SEED)["auc_spread"] >= 0


def test_swings_to_either_side_do_not_cancel_in_its_size():
    hits = np.zeros((2, STEPS_PER_BAR, 9), bool)
    hits[:, :2, SNARE] = True
    offsets = np.zeros(hits.shape)
    offsets[:, 1, SNARE] = [0.25, -0.25]
    means = attribute_means(_join_feel(hits, np.ones(hits.shape), offsets))
    assert means["swing"] == pytest.approx(0)
    assert means["swing_size"] == pytest.approx(0.25)


def test_followed_share_counts_the_rhythm_s_own_steps():
    rhythm = features_of([Groove.from_hits(np.eye(16, 9) > 0)])
    late = np.roll(rhythm, 1, axis=1)
    far = np.zeros_like(rhythm)
    assert followed_share(rhythm, rhythm) == {"at_the_step": 1, "within_a_step": 1}
    assert followed_share(late, rhythm)["within_a_step"] == 1
    assert followed_share(far, rhythm) == {"at_the_step": 0, "within_a_step": 0}


def test_a_seam_that_jumps_is_reported():
    rng = np.random.default_rng(1)
    features = features_of([drummed_groove(rng, 8) for _ in range(40)])
    first_bars = np.array([4])
    assert bar_jumps(features, first_bars)["loudness"] == pytest.approx(1, abs=0.35)
    louder = features.copy()
    louder[:, 4 * STEPS_PER_BAR :, 9:18] *= 0.5
    assert bar_jumps(louder, first_bars)["loudness"] > 2


def test_pattern_likelihoods_add_up_to_at_most_one():
    rng = np.random.default_rng(0)
    bars = rng.random((50, STEPS_PER_BAR)) < 0.05
    table = PatternTable.of(bars)
    seen = np.unique(bars, axis=0)
    assert 0 < sum(np.exp(-table.nats(bar[None])) for bar in seen) < 1
    assert table.nats(table.most_common[None]) < table.nats(~table.most_common[None])


def test_f1_of_hits():
    one, other = np.array([True, True, False]), np.array([True, False, False])
    assert hit_f1(one, one) == 1
    assert hit_f1(one, other) == pytest.approx(2 / 3)
    assert hit_f1(np.zeros(3, bool), np.zeros(3, bool)) == 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1).map(any_groove), st.integers(0, 2**32 - 1).map(any_groove))
def test_matching_keeps_the_notes_and_is_within_what_a_groove_holds(groove, feel):
    assert np.array_equal(match_feel(groove, feel).hits, groove.hits)


def test_matching_brings_the_means():
    rng = np.random.default_rng(0)
    groove, feel = drummed_groove(rng, 8), drummed_groove(rng, 8)
    loud = Groove.from_hits(feel.hits, feel.velocities * 0.6, feel.offsets * 0.5 + 0.1)
    matched = match_feel(groove, loud)
    assert matched.velocities[groove.hits].mean() == pytest.approx(
        loud.velocities[loud.hits].mean(), abs=0.01
    )
    for parity in (0, 1):
        ours, theirs = (
            one.offsets[parity::2][one.hits[parity::2]].mean() for one in (matched, loud)
        )
        assert ours == pytest.approx(theirs, abs=0.01)


def test_taps_land_on_their_steps_with_their_timing():
    groove = taps_to_groove([(0.2, 0.5), (4.0, 0.9), (7.6, 0.7), (7.7, 0.3)], 1, 90.0)
    assert np.flatnonzero(groove.hits[:, SNARE]).tolist() == [0, 4, 8]
    np.testing.assert_allclose(groove.offsets[[0, 4, 8], SNARE], [0.2, 0, -0.4], atol=1e-6)
    assert groove.velocities[8, SNARE] == np.float32(0.7)
    assert not groove.hits[:, KICK].any()


def test_a_tap_just_before_the_first_beat_is_the_first_beat():
    for place in (-0.3, 15.7):
        groove = taps_to_groove([(place, 0.8)], 1, 120.0)
        assert groove.hits[0, SNARE]
        assert groove.offsets[0, SNARE] == pytest.approx(-0.3, abs=1e-6)


def test_more_draws_give_a_tighter_bound(played):
    model, given, controls = (
        tiny_checkpoint().model,
        Conditioning.notes(played),
        tempo_only(np.full(N, 120.0)),
    )
    terms = ("velocities", "offsets")
    with torch.inference_mode():
        scores = model(_make_batch(model, given, controls, TrainConfig(word_dropout=0.0), seed=0))
        one, many = (
            nats_of_rest(model, given, controls, torch.Generator().manual_seed(0), terms, n).mean()
            for n in (1, 32)
        )
    bound = (scores["kl"] + sum(scores[name] for name in terms)).mean()
    assert abs(float(one - bound)) < 0.05 * float(bound)
    assert many <= one


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(4)
    return dataset_of(
        {
            split: [drummed_groove(rng, 17) for _ in range(n)]
            for split, n in {"train": 4, "test": 4}.items()
        }
    )


def name_of(names, places):
    """Return the one name that all places are of, None where they are unknown."""
    [place] = set(places.tolist())
    return None if place == UNKNOWN else names[place]


@pytest.mark.slow
def test_the_experiment_measures_all_and_writes_it(dataset, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(experiment_module, "write_figure", lambda *given: drawn.append(given))
    monkeypatch.setattr(experiment_module, "_N_MEAN", 2)
    monkeypatch.setattr(experiment_module, "_N_DRAWS", 2)
    monkeypatch.setattr(experiment_module, "_N_BOUND", 2)
    monkeypatch.setattr(metrics_module, "_N_RESAMPLED_AUCS", 10)
    monkeypatch.setattr(transfer_experiment, "_N_PAIRS", 4)
    recorded = []
    complete = experiment_module.complete

    def recording(model, given, controls, sampling):
        recorded.append(controls)
        return complete(model, given, controls, sampling)

    monkeypatch.setattr(experiment_module, "complete", recording)
    checkpoint = tiny_checkpoint()
    config = checkpoint.config
    means = dataclasses.replace(checkpoint, name="means")
    report = feel_experiment(checkpoint, dataset, tmp_path, limit=24, deterministic=means)
    assert json.loads((tmp_path / "feel.json").read_text()) == report
    rows = {row["name"]: row for row in report["feel"]}
    assert next(iter(rows)) == "real"
    assert list(rows)[-2:] == [experiment_module.LAB, experiment_module.LAB_WITH_LABELS]
    assert len(rows) == 8
    who = {
        (name_of(config.style_names, one.styles), name_of(config.drummer_names, one.drummers))
        for one in recorded
    }
    assert who == {(None, None), ("funk", "drummer1")}
    assert all(np.isnan(one.densities).all() for one in recorded)
    flat = rows["quantised, one velocity"]
    assert flat["offset_spread"] == flat["velocity_spread"] == flat["swing_size"] == 0
    assert flat["auc_spread"] is None
    assert rows["groove lab"]["auc_spread"] >= 0
    assert rows["the same with noise"]["chance"]["swing"][0] < 0
    assert report["drumify"]["with accents"]["within_a_step"] == 1
    assert [row["voice"] for row in report["fill_in"]] == ["kick", "snare", "closed hi-hat", "ride"]
    assert len(report["transfer"]) == 5
    text = (tmp_path / "feel.md").read_text()
    for title in ("Humanize", "Drumify", "Fill in", "Transfer", "Long grooves"):
        assert f"### {title}" in text
    assert "95% bootstrap intervals" in text
    [(figure, path)] = drawn
    assert path == tmp_path / "feel.svg"
    assert len(figure.data) == 6
    assert all(len(trace.x) == 7 for trace in figure.data)


def test_the_lab_is_given_only_the_notes_of_real_windows(dataset):
    player = experiment_module._Player(tiny_checkpoint(), seed=0)
    windows = dataset.windows("test", 4)
    louder = windows.features.copy()
    louder[..., 9:18] *= 0.5
    played = [
        player.play(Conditioning.notes(one), tempo_only(windows.tempos_bpm), 0)
        for one in (windows.features, louder)
    ]
    assert np.array_equal(*played)


def test_random_grooves_are_what_a_tap_can_be():
    rng = np.random.default_rng(0)
    groove = random_groove(rng, 2)
    taps = [
        (step + groove.offsets[step, SNARE], groove.velocities[step, SNARE])
        for step in np.flatnonzero(groove.hits[:, SNARE])
    ]
    back = taps_to_groove(taps, 2, 120.0)
    assert np.array_equal(back.hits[:, SNARE], groove.hits[:, SNARE])
    np.testing.assert_allclose(back.offsets[:, SNARE], groove.offsets[:, SNARE], atol=1e-5)
