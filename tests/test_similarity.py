"""How alike bars are: against a loop over hits, and on patterns whose form is known."""

import numpy as np
import pytest
from tiny_data import drummed_groove

from musicvae_core.similarity import bar_similarity, lag_similarity
from musicvae_core.vocabulary import STEPS_PER_BAR


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
    one, other, four, eight = lag_similarity(hits, (1, 2, 4, 8))
    assert other == four == eight == 1
    assert one < 1
    pairs = [bar_similarity(groove.hits)[0, 1] for groove in two]
    assert one == pytest.approx(np.mean(pairs), rel=1e-5)
