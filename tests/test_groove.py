"""`Groove`: what it refuses by name, and that what it holds stays as it is."""

import dataclasses

import numpy as np
import pytest
from tiny_data import random_groove

from musicvae_core.errors import InvalidMusicError
from musicvae_core.music.drums import KICK, N_VOICES, SNARE
from musicvae_core.music.groove import Groove


def valid_fields(n_steps=16):
    hits = np.zeros((n_steps, N_VOICES), bool)
    hits[0, KICK] = hits[4, SNARE] = True
    return {
        "hits": hits,
        "velocities": np.where(hits, 0.5, 0).astype(np.float32),
        "offsets": np.where(hits, -0.25, 0).astype(np.float32),
        "tempo_bpm": 100.0,
    }


@pytest.mark.parametrize(
    "shape", [(), (16,), (16, 8), (0, 9), (15, 9), (17, 9), (2, 16, 9)], ids=str
)
def test_hits_of_another_shape_are_refused(shape):
    with pytest.raises(InvalidMusicError, match="hits has shape"):
        Groove(np.zeros(shape, bool), np.zeros(shape), np.zeros(shape), 120.0)


@pytest.mark.parametrize("name", ["velocities", "offsets"])
def test_arrays_of_unequal_shape_are_refused(name):
    fields = valid_fields() | {name: np.zeros((32, N_VOICES))}
    with pytest.raises(InvalidMusicError, match=f"{name} has shape"):
        Groove(**fields)


@pytest.mark.parametrize(
    ("name", "cell", "value", "message"),
    [
        ("velocities", (0, KICK), np.nan, "finite"),
        ("offsets", (0, KICK), -np.inf, "finite"),
        ("velocities", (1, KICK), np.nan, "finite"),
        ("velocities", (0, KICK), 0.0, r"must lie in \(0, 1\]"),
        ("velocities", (0, KICK), -0.1, r"must lie in \(0, 1\]"),
        ("velocities", (4, SNARE), 1.01, r"must lie in \(0, 1\]"),
        ("offsets", (0, KICK), 0.5, "nearest step"),
        ("offsets", (4, SNARE), -0.51, "nearest step"),
        ("velocities", (1, KICK), 0.5, "where there is no hit"),
        ("offsets", (1, KICK), 0.1, "where there is no hit"),
    ],
)
def test_a_bad_cell_is_refused(name, cell, value, message):
    fields = valid_fields()
    fields[name][cell] = value
    with pytest.raises(InvalidMusicError, match=message):
        Groove(**fields)


@pytest.mark.parametrize("tempo_bpm", [0.0, 19.9, 400.1, -120.0, np.nan, np.inf])
def test_a_tempo_that_no_music_has_is_refused(tempo_bpm):
    with pytest.raises(InvalidMusicError, match="tempo is"):
        Groove(**valid_fields() | {"tempo_bpm": tempo_bpm})


@pytest.mark.parametrize(
    ("velocity", "offset", "tempo_bpm"), [(1.0, -0.5, 20.0), (1e-3, 0.499, 400.0)]
)
def test_the_limits_themselves_are_allowed(velocity, offset, tempo_bpm):
    hits = valid_fields()["hits"]
    groove = Groove.from_hits(hits, velocity, offset, tempo_bpm)
    assert groove.velocities[0, KICK] == np.float32(velocity)
    assert groove.offsets[0, KICK] == np.float32(offset)


def test_a_groove_cannot_be_changed():
    fields = valid_fields()
    groove = Groove(**fields)
    fields["hits"][8, KICK] = True
    assert groove.n_hits == 2
    for name in ("hits", "velocities", "offsets"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(groove, name)[0, 0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        groove.tempo_bpm = 90.0


def test_arrays_take_their_own_types():
    groove = Groove(**{name: np.asarray(value, float) for name, value in valid_fields().items()})
    types = [groove.hits.dtype, groove.velocities.dtype, groove.offsets.dtype]
    assert types == [np.bool_, np.float32, np.float32]
    assert isinstance(groove.tempo_bpm, float)


def test_grooves_with_equal_arrays_are_equal_and_hash_alike():
    groove, same = Groove(**valid_fields()), Groove(**valid_fields())
    assert groove == same
    assert hash(groove) == hash(same)
    assert groove != "a groove"


@pytest.mark.parametrize("name", ["hits", "velocities", "offsets", "tempo_bpm"])
def test_a_change_of_any_field_makes_another_groove(name):
    fields = valid_fields()
    if name == "tempo_bpm":
        fields[name] = 101.0
    elif name == "hits":
        for field in ("hits", "velocities", "offsets"):
            fields[field][4, SNARE] = 0
    else:
        fields[name][0, KICK] = 0.25
    other = Groove(**fields)
    assert other != Groove(**valid_fields())
    assert hash(other) != hash(Groove(**valid_fields()))


def test_negative_zero_hashes_as_the_zero_it_equals():
    hits = valid_fields()["hits"]
    on_grid, same = Groove.from_hits(hits, offsets=0.0), Groove.from_hits(hits, offsets=-0.0)
    assert on_grid == same
    assert hash(on_grid) == hash(same)


def test_lengths_in_bars_and_seconds():
    groove = Groove(**valid_fields(32))
    assert (groove.n_steps, groove.n_bars, groove.n_hits) == (32, 2, 2)
    assert groove.step_seconds == pytest.approx(0.15)  # a sixteenth at 100 bpm
    assert groove.duration_seconds == pytest.approx(4.8)  # eight beats at 100 bpm


def test_bars_cut_and_repeated_joins_again():
    groove = random_groove(np.random.default_rng(0), n_bars=2, tempo_bpm=90.0)
    first, second = groove.bars(0, 1), groove.bars(1, 1)
    looped = groove.repeated(5)
    assert groove.repeated(2) == groove
    assert groove.repeated(1) == first
    assert first != second
    assert looped.n_bars == 5
    assert [looped.bars(bar, 1) == first for bar in range(5)] == [True, False] * 2 + [True]
    assert [looped.bars(bar, 1) == second for bar in range(5)] == [False, True] * 2 + [False]


@pytest.mark.parametrize(
    ("start_bar", "n_bars"), [(1, 2), (2, 1), (0, 3), (5, 1), (-1, 1), (-1, 2), (0, 0), (1, -1)]
)
def test_unknown_bars_are_refused_with_the_valid_range(start_bar, n_bars):
    with pytest.raises(InvalidMusicError, match=r"the groove has bars 0 to 1:"):
        Groove.silent(2).bars(start_bar, n_bars)


def test_from_hits_gives_feel_to_hits_alone():
    hits = valid_fields()["hits"]
    groove = Groove.from_hits(hits, np.linspace(0.1, 0.9, N_VOICES), 0.125)
    assert groove.velocities[0, KICK] == np.float32(0.1)
    assert groove.velocities[4, SNARE] == np.float32(0.2)
    assert np.array_equal(groove.offsets, np.where(hits, np.float32(0.125), 0))


def test_silence_and_tempo():
    silence = Groove.silent(3, tempo_bpm=77.0)
    assert (silence.n_bars, silence.n_hits, silence.tempo_bpm) == (3, 0, 77.0)
    faster = Groove(**valid_fields()).at_tempo(180.0)
    assert faster == Groove(**valid_fields() | {"tempo_bpm": 180.0})


def test_windows_start_at_every_bar():
    groove = random_groove(np.random.default_rng(7), 5)
    windows = groove.windows(2)
    assert windows == [groove.bars(start, 2) for start in range(4)]
    assert groove.windows(5) == [groove]
    assert groove.windows(6) == []


def test_padding_appends_silence():
    groove = random_groove(np.random.default_rng(7), 1)
    padded = groove.padded(3)
    assert padded.bars(0, 1) == groove
    assert padded.bars(1, 2) == Groove.silent(2, groove.tempo_bpm)
    assert groove.padded(1) == groove
    with pytest.raises(InvalidMusicError, match="3 bars, more than 2"):
        padded.padded(2)


def test_joining_undoes_cutting():
    groove = random_groove(np.random.default_rng(7), 4)
    assert Groove.joined([groove.bars(0, 1), groove.bars(1, 3)]) == groove
    assert Groove.joined([groove, groove.at_tempo(90)]).tempo_bpm == groove.tempo_bpm
    with pytest.raises(InvalidMusicError, match="no groove to join"):
        Groove.joined([])
