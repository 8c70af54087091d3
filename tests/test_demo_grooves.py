"""The demo grooves: the files are what the script writes, and each sounds as it is called."""

from pathlib import Path

import numpy as np
import pytest
from fake_studio import FakeStudio

from musicvae_core.music.attributes import measure
from musicvae_core.music.drums import CLOSED_HAT, KICK, RIDE, SNARE
from musicvae_core.music.midi.read import read_midi
from pages.shared.sources import demo_sources
from scripts.make_demo_grooves import _FOLDER, _PATTERNS, _TUNES, _make_groove, _make_melody

GROOVES = {pattern.name: _make_groove(pattern) for pattern in _PATTERNS}
ASKED_FOR = {
    *("Rock", "Funk", "Shuffle", "Bossa", "Hip-hop", "Reggae", "Jazz ride", "Half-time"),
    *("Disco", "New Orleans", "Punk", "Fill"),
}


def test_the_files_are_the_patterns():
    sources = [source for source in demo_sources(FakeStudio()) if source.plays == "drums"]
    assert [source.name for source in sources] == list(GROOVES)
    assert set(GROOVES) >= ASKED_FOR
    for source, groove in zip(sources, GROOVES.values(), strict=True):
        np.testing.assert_array_equal(source.groove.hits, groove.hits)
        np.testing.assert_allclose(source.groove.velocities, groove.velocities, atol=1e-6)
        np.testing.assert_allclose(source.groove.offsets, groove.offsets, atol=0.5 / 120 + 1e-6)
        assert source.groove.tempo_bpm == pytest.approx(groove.tempo_bpm, abs=0.001)


def test_the_melodies_are_the_tunes():
    sources = [source for source in demo_sources(FakeStudio()) if source.plays == "line"]
    assert [source.name for source in sources] == [tune.name for tune in _TUNES]
    for source, tune in zip(sources, _TUNES, strict=True):
        assert list(source.groove.notes()) == list(_make_melody(tune).notes())
        assert source.groove.n_bars == 4


def test_every_file_loses_nothing_and_has_two_bars():
    for path in sorted(Path(_FOLDER).glob("*.mid")):
        reading = read_midi(path.read_bytes())
        assert reading.groove.n_bars == 2
        assert (reading.n_merged, reading.dropped) == (0, {})


@pytest.mark.parametrize("name", GROOVES)
def test_every_groove_has_a_drummers_dynamics_and_timing(name):
    about = measure(GROOVES[name])
    assert about["velocity_spread"] > 0.05
    assert 0.01 < about["offset_spread"] < 0.25


def test_styles_swing_and_lean_as_they_should():
    about = {name: measure(groove) for name, groove in GROOVES.items()}
    for name in ("Hip-hop", "Reggae", "New Orleans"):
        assert about[name]["swing"] > 0.15 > about["Rock"]["swing"]
        assert about[name]["laid_backness"] > 0.05
    for name in ("Shuffle", "Jazz ride"):  # the third of the triplet is early for its sixteenth
        thirds = GROOVES[name].offsets[3::4][GROOVES[name].hits[3::4]]
        assert thirds.mean() == pytest.approx(-1 / 3, abs=0.07)


def test_styles_have_the_hits_that_make_them():
    kicks, snares = (
        {name: set(np.flatnonzero(groove.hits[:16, voice])) for name, groove in GROOVES.items()}
        for voice in (KICK, SNARE)
    )
    assert kicks["Disco"] == {0, 4, 8, 12}
    assert kicks["Reggae"] == {8}
    assert {4, 12} <= snares["Rock"]
    assert 8 in snares["Half-time"]
    assert not {4, 12} & snares["Half-time"]
    assert GROOVES["Jazz ride"].hits[:, RIDE].sum() > 10
    ghosts = GROOVES["Funk"].velocities[GROOVES["Funk"].hits & (GROOVES["Funk"].velocities < 0.4)]
    assert len(ghosts) >= 6
    assert GROOVES["Bossa"].hits[:, CLOSED_HAT].sum() == 16
