"""Paths between windows: what lies on them, what is measured, and what is written."""

import dataclasses
import json
import math
from collections import Counter, defaultdict

import numpy as np
import pytest
from tiny_data import dataset_of, drummed_groove

from musicvae_core.cli.main import main
from musicvae_core.errors import TooFewExamplesError
from musicvae_core.evaluation.experiments import blending
from musicvae_core.evaluation.experiments.blending import (
    _FRACTIONS,
    _MAX_ORDER,
    _draw,
    _fit_ngram,
    _NgramModel,
    interpolation,
)
from musicvae_core.latent.codes import _REFINING, refine_path
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.music.drums import DRUM_CLASSES
from musicvae_core.music.grid import COMMON_TIME

STEPS_PER_BAR = COMMON_TIME.steps_per_bar

N_PAIRS = 12


@pytest.fixture(autouse=True)
def pictures(monkeypatch):
    """Collect the figures in place of writing them."""
    drawn = []
    monkeypatch.setattr(blending, "write_figure", lambda figure, path: drawn.append(figure))
    return drawn


@pytest.fixture(params=["drums_2bar", "a_flow"])
def checkpoint(request, checkpoints_dir):
    return load_checkpoint(checkpoints_dir / request.param)


def test_both_paths_are_measured(checkpoint, tiny_dataset, tmp_path, pictures):
    report = interpolation(checkpoint, tiny_dataset, tmp_path, N_PAIRS)
    assert json.loads((tmp_path / "interpolation.json").read_text()) == report
    names = ["slerp", "blending"] if checkpoint.prior is None else ["slerp", "refined", "blending"]
    assert list(report)[-len(names) :] == names
    assert 0 < report["ends_apart"] <= 1
    for name in names:
        assert len(report[name]["distance"]) == len(report[name]["cost"]) == len(_FRACTIONS)
        assert report[name]["dip"] <= 1 <= report[name]["bulge"]
        assert min(report[name]["cost"]) > 0
    assert report["judge"]["order"] >= 1
    [figure] = pictures
    assert len(figure.data) == 2 * len(names)


def test_blending_starts_at_one_end_arrives_at_the_other_and_is_even():
    rng = np.random.default_rng(0)
    starts, ends = rng.integers(0, 200, (500, 32)), rng.integers(200, 400, (500, 32))
    path = blending._blended(starts, ends, seed=1)
    assert np.array_equal(path[0], starts)
    assert np.array_equal(path[-1], ends)
    assert ((path == starts) | (path == ends)).all()
    shares = (path == ends).mean(axis=(1, 2))
    np.testing.assert_allclose(shares, _FRACTIONS, atol=0.02)


def test_a_path_in_z_has_the_posterior_means_at_its_ends(checkpoint):
    rng = np.random.default_rng(1)
    starts, ends = rng.standard_normal((2, 3, checkpoint.config.z_size)).astype(np.float32)
    path = blending._laid(starts, ends)
    refined = blending._refined(checkpoint, path)
    for laid in (path, refined):
        assert np.array_equal(laid[0], starts)
        assert np.array_equal(laid[-1], ends)
    moved = np.abs(refined - path).max(axis=(1, 2))
    assert (moved > 0).sum() == (0 if checkpoint.prior is None else len(_FRACTIONS) - 2)


def test_refining_goes_the_farthest_back_in_the_middle(checkpoints_dir):
    checkpoint = load_checkpoint(checkpoints_dir / "a_flow")  # its flow adds 3 over all its time
    codes = np.ones((3, checkpoint.config.z_size), np.float32)
    refined = refine_path(checkpoint, codes, np.array([0.0, 0.5, 1.0]))
    back = _REFINING
    np.testing.assert_allclose(refined[1], (1 - back) + 3 * back, rtol=1e-5)
    assert np.array_equal(refined[[0, 2]], codes[[0, 2]])
    without = dataclasses.replace(checkpoint, prior=None)
    assert np.array_equal(refine_path(without, codes, np.array([0.0, 0.5, 1.0])), codes)


def test_measures_of_a_path():
    class Judge:
        def cost(self, windows):
            return windows * 1.0

    n = len(_FRACTIONS)
    path = np.ones((n, 1, 4), int)
    path[:, 0, :2] = 2  # half of the steps differ, from the second step on
    path[0] = 1
    path[5] = 3
    measured = blending._measured(path, np.ones((1, 4), int), 0.6, Judge())
    assert measured["distance"] == [0, 0.5, 0.5, 0.5, 0.5, 1, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert measured["unevenness"] == pytest.approx(0.75 / 0.6)
    assert measured["bulge"] == pytest.approx(3 / 1.25)
    assert measured["dip"] == 1


def test_pairs_are_of_two_performances(checkpoint, tiny_dataset, tmp_path):
    windows = tiny_dataset.windows("test", 2)
    starts, ends = blending._pairs(windows, 50, 0)
    assert (windows.performance[starts] != windows.performance[ends]).all()
    rng = np.random.default_rng(0)
    alone = dataset_of(
        {split: [drummed_groove(rng, 8)] for split in ("train", "validation", "test")}
    )
    with pytest.raises(TooFewExamplesError, match="two performances"):
        interpolation(checkpoint, alone, tmp_path, N_PAIRS)


@pytest.mark.usefixtures("full_disk")
def test_a_report_on_a_full_disk_leaves_no_partial_file(checkpoint, tiny_dataset, tmp_path):
    with pytest.raises(OSError, match="No space left"):
        interpolation(checkpoint, tiny_dataset, tmp_path, N_PAIRS)
    assert not list(tmp_path.iterdir())


def test_the_figure_shows_cost_and_distance(checkpoint, tiny_dataset, tmp_path):
    report = interpolation(checkpoint, tiny_dataset, tmp_path, N_PAIRS)
    lines = {(line.name, line.xaxis): list(line.y) for line in _draw(report).data}
    assert lines["slerp of z", "x"] == report["slerp"]["distance"]
    assert lines["blending of the notes", "x2"] == report["blending"]["cost"]


def test_the_command_prints_what_it_wrote(
    checkpoints_dir, midi_folder, tmp_path, capsys, own_cache
):
    words = ["experiment", "interpolation", checkpoints_dir / "drums_2bar", "--data", midi_folder]
    words += ["--out", tmp_path / "out", "--pairs", 4, "--seed", 2]
    assert main([str(word) for word in words]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((tmp_path / "out" / "interpolation.json").read_text())
    assert (printed["pairs"], printed["seed"]) == (4, 2)


RNG = np.random.default_rng(0)


def random_sequences(n, n_bars, n_classes=6):
    return [RNG.integers(n_classes, size=n_bars * STEPS_PER_BAR) for _ in range(n)]


def cost_slowly(sequences, window, order, strength):
    """The cost of each step, from counts in dictionaries."""
    counts = defaultdict(Counter)
    for sequence in sequences:
        for t, one in enumerate(sequence):
            counts[()][one] += 1
            for length in range(min(order - 1, t) + 1):
                counts[(t % STEPS_PER_BAR, *sequence[t - length : t])][one] += 1
    costs = []
    for t, one in enumerate(window):
        probability = 1 / DRUM_CLASSES.n_classes
        contexts = [(t % STEPS_PER_BAR, *window[t - k : t]) for k in range(min(order - 1, t) + 1)]
        for context in [(), *contexts]:
            if context in counts:
                followers = counts[context]
                shared = strength * len(followers)
                total = sum(followers.values()) + shared
                probability = (followers[one] + shared * probability) / total
        costs.append(-math.log(probability))
    return costs


@pytest.mark.parametrize(("order", "strength"), [(1, 1.0), (3, 1.0), (5, 16.0)])
def test_costs_are_those_counted_by_hand(order, strength):
    sequences = [one.tolist() for one in random_sequences(5, 3)]
    sequences.append(sequences[0][:STEPS_PER_BAR] * 2)
    windows = [sequences[1][:32], random_sequences(1, 2)[0].tolist(), [511] * 32]
    model = _NgramModel([np.array(one) for one in sequences], order, strength)
    slow = [cost_slowly(sequences, window, order, strength) for window in windows]
    np.testing.assert_allclose(model.cost(np.array(windows)), slow, rtol=1e-12)


def test_the_probabilities_of_the_next_class_sum_to_one():
    model = _NgramModel(random_sequences(4, 4), 4)
    window = random_sequences(1, 2)[0]
    every = np.tile(window, (DRUM_CLASSES.n_classes, 1))
    every[:, -1] = np.arange(DRUM_CLASSES.n_classes)
    assert np.exp(-model.cost(every)[:, -1]).sum() == pytest.approx(1)


def test_a_model_of_an_order_is_that_part_of_a_higher_one():
    sequences, windows = random_sequences(4, 4), np.stack(random_sequences(3, 2))
    by_order = _NgramModel(sequences, 6).costs(windows)
    for order in (1, 4, 6):
        np.testing.assert_array_equal(
            by_order[order - 1], _NgramModel(sequences, order).cost(windows)
        )


def test_known_sequences_cost_less_than_unknown_ones():
    bar = random_sequences(1, 1, 500)[0]
    model = _NgramModel([np.tile(bar, 8)] * 4, 4)
    heard = np.tile(bar, 2)[None]
    assert model.cost(heard).mean() < 0.2
    assert model.cost(np.roll(heard, 1)).mean() > 2


def test_the_order_is_as_long_as_the_music_needs():
    rng = np.random.default_rng(7)

    # What comes after a 0 depends on the class before it; at every other place all is chance.
    def remembering(n_bars):
        first, last = rng.integers(1, 13, size=(2, n_bars * STEPS_PER_BAR // 4))
        return np.stack([first, 0 * first, first, last], 1).ravel()

    held_out = np.stack([remembering(2) for _ in range(20)])
    sequences = [remembering(20) for _ in range(5)]
    chosen = _fit_ngram(sequences, held_out)
    assert chosen.order == 3
    assert (
        chosen.cost(held_out).mean()
        < 0.9 * _NgramModel(sequences, _MAX_ORDER).cost(held_out).mean()
    )
