"""Laying windows over long grooves: every open bar is made once, in order, in its context."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_data import features_of, random_groove
from tiny_lab import tiny_checkpoint

from musicvae_core.lab import completion
from musicvae_core.lab.completion import complete, open_bars, stretches
from musicvae_core.lab.options import Sampling
from musicvae_core.models.conditioning import UNKNOWN, Conditioning, Controls
from musicvae_core.music.drums import KICK
from musicvae_core.music.grid import COMMON_TIME

STEPS_PER_BAR = COMMON_TIME.steps_per_bar

BARS = st.lists(st.booleans(), min_size=1, max_size=64)


def tempo_only(n):
    unknown = np.full(n, UNKNOWN)
    tempos = np.full(n, 120, np.float32)
    return Controls(tempos, np.full(n, np.nan, np.float32), unknown, unknown)


def grooves_of(n_bars, n=2):
    rng = np.random.default_rng(n_bars)
    return features_of([random_groove(rng, n_bars) for _ in range(n)])


@settings(max_examples=200)
@given(BARS, st.integers(2, 6), st.integers(1, 3))
def test_every_open_bar_is_made_once_and_in_order(is_open, window_bars, context_bars):
    context_bars = min(context_bars, window_bars - 1)
    made = []
    for stretch in stretches(np.array(is_open), window_bars, context_bars):
        assert 0 <= stretch.start <= stretch.first_made < stretch.end <= len(is_open)
        assert stretch.end - stretch.start <= window_bars
        assert stretch.first_made - stretch.start >= min(context_bars, stretch.first_made)
        assert is_open[stretch.first_made]
        made += range(stretch.first_made, stretch.end)
    assert made == sorted(set(made))
    assert set(np.flatnonzero(is_open)) <= set(made)


def test_the_last_window_is_full():
    assert [tuple(s) for s in stretches(np.ones(6, bool), 4, 1)] == [(0, 0, 4), (2, 4, 6)]


def test_a_bar_is_open_where_a_hit_or_its_feel_is_not_known():
    features = grooves_of(4, 1)
    features[:, STEPS_PER_BAR : 2 * STEPS_PER_BAR] = 0
    assert open_bars(Conditioning.notes(features)).tolist() == [True, False, True, True]
    assert not open_bars(Conditioning.everything(features)).any()
    assert open_bars(Conditioning.nothing(features)).all()


@pytest.mark.parametrize("n_bars", [1, 4, 5, 11])
def test_known_parts_are_reproduced_and_unknown_ones_never_read(n_bars):
    features = grooves_of(n_bars)
    given = Conditioning.notes(features)
    sampling, controls = Sampling(seed=3), tempo_only(2)
    made = complete(tiny_checkpoint().model, given, controls, sampling)
    assert np.array_equal(made[..., :9], features[..., :9])
    other = features.copy()
    other[..., 9:] = np.where(features[..., 9:] != 0, 0.25, 0)
    again = complete(tiny_checkpoint().model, Conditioning.notes(other), controls, sampling)
    assert np.array_equal(again, made)


def test_a_stretch_is_conditioned_on_the_bars_before_it():
    features = grooves_of(8, 1)
    opening = np.arange(8 * STEPS_PER_BAR)[None] < 4 * STEPS_PER_BAR
    silent = np.where(opening[..., None], 0, features).astype(np.float32)
    followed = [
        complete(
            tiny_checkpoint().model,
            Conditioning.nothing(one).revealing(opening),
            tempo_only(1),
            Sampling(),
        )
        for one in (features, silent)
    ]
    assert not np.array_equal(*(one[:, ~opening[0]] for one in followed))


def test_the_same_code_serves_every_stretch(monkeypatch):
    codes = []
    own = completion._complete_stretch

    def noting(model, given, controls, sampling, code, generator):
        codes.append(code)
        return own(model, given, controls, sampling, code, generator)

    monkeypatch.setattr(completion, "_complete_stretch", noting)
    complete(tiny_checkpoint().model, Conditioning.notes(grooves_of(10)), tempo_only(2), Sampling())
    assert len(codes) > 2
    assert all(code is codes[0] for code in codes)


def test_bars_that_are_held_cost_nothing(monkeypatch):
    features = grooves_of(16, 1)
    given = Conditioning.everything(features)
    hits = given.hits.copy()
    hits[:, 7 * STEPS_PER_BAR : 8 * STEPS_PER_BAR, KICK] = False
    calls = []
    own = completion._complete_stretch
    monkeypatch.setattr(
        completion, "_complete_stretch", lambda *given: calls.append(given) or own(*given)
    )
    complete(
        tiny_checkpoint().model,
        Conditioning(features, hits, hits, hits, given.taps),
        tempo_only(1),
        Sampling(),
        context_bars=2,
    )
    assert len(calls) == 1
