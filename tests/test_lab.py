"""What the groove lab promises, over grooves of every length, whatever the model has learned."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_data import random_groove
from tiny_lab import N_BARS, any_groove, cells_of, differing, tiny_lab

from musicvae_core.errors import ConfigError, InvalidMusicError
from musicvae_core.lab.options import Amounts, Preferences, Sampling
from musicvae_core.music.drums import CLOSED_HAT, KICK, N_VOICES, SNARE
from musicvae_core.music.grid import COMMON_TIME
from musicvae_core.music.groove import Groove

STEPS_PER_BAR = COMMON_TIME.steps_per_bar

SEEDS = st.integers(0, 2**32 - 1)
GROOVES = SEEDS.map(any_groove)
FEW = settings(max_examples=12, deadline=None)


def nothing_else_changed(before, after, cells):
    return not (differing(before, after) & ~cells).any()


@FEW
@given(GROOVES, SEEDS)
def test_humanize_keeps_every_note(groove, seed):
    played = tiny_lab().humanize(groove, sampling=Sampling(seed=seed))
    assert np.array_equal(played.hits, groove.hits)
    assert played.tempo_bpm == groove.tempo_bpm
    assert not np.array_equal(played.velocities, groove.velocities)
    assert not np.array_equal(played.offsets, groove.offsets)


@FEW
@given(GROOVES, GROOVES, SEEDS)
def test_transfer_keeps_every_note(feel, groove, seed):
    played = tiny_lab().transfer(feel, groove, sampling=Sampling(seed=seed))
    assert np.array_equal(played.hits, groove.hits)
    assert played.tempo_bpm == groove.tempo_bpm


@FEW
@given(GROOVES, SEEDS)
def test_zero_amounts_return_the_input_exactly(groove, seed):
    nothing, sampling = Amounts(0, 0, 0), Sampling(seed=seed)
    feel = random_groove(np.random.default_rng(seed), 2)
    assert tiny_lab().humanize(groove, amounts=nothing, sampling=sampling) == groove
    assert tiny_lab().transfer(feel, groove, amounts=nothing, sampling=sampling) == groove


@FEW
@given(GROOVES, st.floats(0, 2), st.floats(0, 2))
def test_dynamics_and_timing_move_apart(groove, dynamics, timing):
    softer = tiny_lab().humanize(groove, amounts=Amounts(dynamics, 0))
    later = tiny_lab().humanize(groove, amounts=Amounts(0, timing))
    assert np.array_equal(softer.offsets, groove.offsets)
    assert np.array_equal(later.velocities, groove.velocities)


@given(GROOVES)
@FEW
def test_fully_quantised_is_on_the_grid(groove):
    assert not tiny_lab().humanize(groove, amounts=Amounts(quantise=1)).offsets.any()


@FEW
@given(
    GROOVES,
    SEEDS,
    st.sets(st.integers(0, N_VOICES - 1), min_size=1),
    st.data(),
)
def test_fill_in_writes_only_where_it_is_asked(groove, seed, voices, data):
    bars = data.draw(st.sets(st.integers(0, groove.n_bars - 1), min_size=1))
    filled = tiny_lab().fill_in(groove, voices=voices, bars=bars, sampling=Sampling(seed=seed))
    assert nothing_else_changed(groove, filled, cells_of(groove, voices, bars))


@pytest.mark.parametrize("n_bars", N_BARS)
def test_fill_in_does_write_in_every_bar(n_bars):
    groove = random_groove(np.random.default_rng(n_bars), n_bars)
    filled = tiny_lab().fill_in(groove, voices=[KICK, CLOSED_HAT])
    changed = differing(groove, filled).reshape(n_bars, STEPS_PER_BAR, N_VOICES)
    assert changed.any(axis=(1, 2)).all()
    assert set(np.flatnonzero(changed.any(axis=(0, 1)))) == {KICK, CLOSED_HAT}


@FEW
@given(GROOVES, SEEDS, st.integers(1, 9))
def test_continue_begins_with_what_there_was(groove, seed, n_bars):
    longer = tiny_lab().continue_groove(groove, n_bars, sampling=Sampling(seed=seed))
    assert longer.n_bars == groove.n_bars + n_bars
    assert longer.bars(0, groove.n_bars) == groove


@FEW
@given(GROOVES, SEEDS)
def test_drumify_strikes_wherever_the_rhythm_does(groove, seed):
    kit = tiny_lab().drumify(groove, sampling=Sampling(seed=seed))
    assert kit.n_bars == groove.n_bars
    assert kit.tempo_bpm == groove.tempo_bpm
    assert kit.hits[groove.hits.any(axis=1)].any(axis=1).all()


@settings(max_examples=8, deadline=None)  # each example plays fifteen grooves
@given(GROOVES, st.integers(0, 2**63 - 2))
def test_a_seed_repeats_and_another_differs(groove, seed):
    lab, sampling = tiny_lab(), Sampling(seed=seed)
    makers = {
        "humanize": lambda sampling: lab.humanize(groove, sampling=sampling),
        "drumify": lambda sampling: lab.drumify(groove, sampling=sampling),
        "transfer": lambda sampling: lab.transfer(groove, groove, sampling=sampling),
        "fill in": lambda sampling: lab.fill_in(groove, sampling=sampling),
        "continue": lambda sampling: lab.continue_groove(groove, 2, sampling=sampling),
    }
    for name, make in makers.items():
        made = make(sampling)
        assert made == make(sampling), name
        assert made != make(Sampling(seed=seed + 1)), name


@pytest.mark.parametrize("n_bars", [3, 5, 6, 64])
def test_any_length_is_played_to_its_end(n_bars):
    groove = random_groove(np.random.default_rng(n_bars), n_bars)
    played = tiny_lab().humanize(groove)
    moved = (played.velocities != groove.velocities).reshape(n_bars, -1).any(axis=1)
    struck = groove.hits.reshape(n_bars, -1).any(axis=1)
    assert moved[struck].all()


def test_a_hit_before_the_first_beat_stays_there_where_it_is_kept():
    hits = np.zeros((3 * STEPS_PER_BAR, N_VOICES), bool)
    hits[0, KICK] = hits[4, SNARE] = hits[40, SNARE] = True
    offsets = np.where(hits, -0.4, 0)
    groove = Groove.from_hits(hits, 0.7, offsets)
    filled = tiny_lab().fill_in(groove, voices=[CLOSED_HAT])
    assert filled.offsets[0, KICK] == np.float32(-0.4)
    assert tiny_lab().continue_groove(groove, 2).offsets[0, KICK] == np.float32(-0.4)
    assert tiny_lab().humanize(groove, amounts=Amounts(timing=0)).offsets[0, KICK] < 0


@pytest.mark.parametrize("n_bars", [1, 5])
def test_silence_stays_silent_and_can_be_filled(n_bars):
    silence, lab = Groove.silent(n_bars), tiny_lab()
    assert lab.humanize(silence) == silence
    assert lab.transfer(random_groove(np.random.default_rng(0)), silence) == silence
    assert lab.fill_in(silence).n_hits > 0
    assert lab.continue_groove(silence, 2).n_bars == n_bars + 2


def test_a_silent_rhythm_or_feel_is_refused():
    some = random_groove(np.random.default_rng(0))
    with pytest.raises(InvalidMusicError, match="The rhythm is silent"):
        tiny_lab().drumify(Groove.silent(2))
    with pytest.raises(InvalidMusicError, match="whose feel is wanted is silent"):
        tiny_lab().transfer(Groove.silent(2), some)


@pytest.mark.parametrize("share", ["one note", "every cell"])
def test_the_thinnest_and_the_densest_grooves(share):
    hits = np.zeros((3 * STEPS_PER_BAR, N_VOICES), bool)
    if share == "one note":
        hits[17, SNARE] = True
    else:
        hits[:] = True
    groove, lab = Groove.from_hits(hits), tiny_lab()
    assert np.array_equal(lab.humanize(groove).hits, hits)
    assert np.array_equal(lab.transfer(groove, groove).hits, hits)
    assert lab.drumify(groove).hits[hits.any(axis=1)].any(axis=1).all()
    assert not differing(groove, lab.fill_in(groove, voices=[KICK]))[:, KICK + 1 :].any()
    assert lab.continue_groove(groove, 3).bars(0, 3) == groove


def test_a_held_bar_between_two_redrawn_ones_is_held():
    groove = random_groove(np.random.default_rng(3), 9)
    filled = tiny_lab().fill_in(groove, bars=[0, 1, 6, 8])
    for bar in (2, 3, 4, 5, 7):
        assert filled.bars(bar, 1) == groove.bars(bar, 1)


def test_equally_loud_taps_have_no_accents():
    groove = random_groove(np.random.default_rng(4), 2)
    flat, soft = (
        Groove.from_hits(groove.hits, velocity, groove.offsets) for velocity in (0.9, 0.2)
    )
    assert tiny_lab().drumify(flat) == tiny_lab().drumify(soft)


@pytest.mark.parametrize(
    ("ask", "problem"),
    [
        (lambda lab, groove: lab.fill_in(groove, voices=[]), "No voice is chosen"),
        (lambda lab, groove: lab.fill_in(groove, bars=[]), "No bar is chosen"),
        (lambda lab, groove: lab.fill_in(groove, bars=[2]), "no bar 3; there are bars 1 to 2"),
        (lambda lab, groove: lab.fill_in(groove, voices=[9]), "no voice 10"),
        (lambda lab, groove: lab.continue_groove(groove, 0), "0 bars were asked for"),
        (lambda lab, groove: lab.continue_groove(groove, 65), "65 bars were asked for"),
        (
            lambda lab, groove: lab.humanize(groove, preferences=Preferences(style="polka")),
            "no style",
        ),
        (
            lambda lab, groove: lab.drumify(groove, preferences=Preferences(drummer="me")),
            "no drummer",
        ),
        (
            lambda lab, groove: lab.drumify(groove, preferences=Preferences(hits_a_bar=65)),
            "hits a bar is 65",
        ),
        (lambda lab, groove: lab.humanize(groove, amounts=Amounts(dynamics=2.1)), "is 2.1"),
        (lambda lab, groove: lab.humanize(groove, sampling=Sampling(feel_temperature=-1)), "is -1"),
    ],
)
def test_invalid_requests_are_refused_with_a_remedy(ask, problem):
    with pytest.raises(ConfigError, match=problem):
        ask(tiny_lab(), random_groove(np.random.default_rng(0), 2))


def test_every_preference_changes_the_result():
    lab, groove = tiny_lab(), random_groove(np.random.default_rng(6), 2)
    plain = lab.drumify(groove)
    for preferences in (
        Preferences(style="jazz"),
        Preferences(drummer="drummer7"),
        Preferences(hits_a_bar=40),
    ):
        assert lab.drumify(groove, preferences=preferences) != plain


def test_the_continuation_nearest_in_density_is_taken():
    lab, groove = tiny_lab(), random_groove(np.random.default_rng(0), 4)
    hits_a_bar = groove.n_hits / groove.n_bars
    preferences = Preferences(hits_a_bar=hits_a_bar)

    def distance(made):
        counts = made.hits.reshape(made.n_bars, -1).sum(axis=1)[groove.n_bars :]
        return np.abs(counts - hits_a_bar).mean()

    seeds = [Sampling(seed=seed) for seed in range(8)]
    kept = [distance(lab.continue_groove(groove, 4, sampling=seed)) for seed in seeds]
    single = [
        distance(lab.continue_groove(groove, 4, preferences=preferences, sampling=seed))
        for seed in seeds
    ]
    assert np.mean(kept) < np.mean(single)


def test_after_silence_any_number_of_hits_may_follow():
    silence = Groove.silent(2)
    anything = tiny_lab().fill_in(silence.padded(4), bars=[2, 3])
    assert tiny_lab().continue_groove(silence, 2) == anything
