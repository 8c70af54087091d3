"""The judge of costs: it is a distribution, it counts as by hand, and it chooses its order."""

import math
from collections import Counter, defaultdict

import numpy as np
import pytest

from musicvae_core.experiments.ngram import MAX_ORDER, NgramModel, fit_ngram
from musicvae_core.vocabulary import N_COMBINATIONS, STEPS_PER_BAR

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
        probability = 1 / N_COMBINATIONS
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
    model = NgramModel([np.array(one) for one in sequences], order, strength)
    slow = [cost_slowly(sequences, window, order, strength) for window in windows]
    np.testing.assert_allclose(model.cost(np.array(windows)), slow, rtol=1e-12)


def test_what_can_follow_has_a_probability_of_one_in_all():
    model = NgramModel(random_sequences(4, 4), 4)
    window = random_sequences(1, 2)[0]
    every = np.tile(window, (N_COMBINATIONS, 1))
    every[:, -1] = np.arange(N_COMBINATIONS)
    assert np.exp(-model.cost(every)[:, -1]).sum() == pytest.approx(1)


def test_a_model_of_an_order_is_that_part_of_a_higher_one():
    sequences, windows = random_sequences(4, 4), np.stack(random_sequences(3, 2))
    by_order = NgramModel(sequences, 6).costs(windows)
    for order in (1, 4, 6):
        np.testing.assert_array_equal(
            by_order[order - 1], NgramModel(sequences, order).cost(windows)
        )


def test_what_was_heard_costs_less_than_what_was_not():
    bar = random_sequences(1, 1, 500)[0]
    model = NgramModel([np.tile(bar, 8)] * 4, 4)
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
    chosen = fit_ngram(sequences, held_out)
    assert chosen.order == 3
    assert (
        chosen.cost(held_out).mean() < 0.9 * NgramModel(sequences, MAX_ORDER).cost(held_out).mean()
    )
