"""Files such as other people's software writes, each with the reading that a musician expects."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from musicvae_core.errors import MidiError
from musicvae_core.music.drums import CLOSED_HAT, KICK, OPEN_HAT, SNARE
from musicvae_core.music.grid import COMMON_TIME, Grid
from musicvae_core.music.midi.maps import find_map
from musicvae_core.music.midi.read import MidiReading, read_midi

CASES = Path(__file__).resolve().parents[2] / "shared" / "cases"

pytestmark = pytest.mark.skipif(not CASES.exists(), reason=f"the cases are not at {CASES}")


def is_beat(n_bars: int, n_hits: int, tempo_bpm: float = 120.0) -> Callable[[MidiReading], None]:
    """Return a check that a reading has so many bars and hits, all notes, at that tempo."""

    def check(reading: MidiReading) -> None:
        groove = reading.groove
        assert (groove.n_bars, groove.n_hits, reading.n_notes) == (n_bars, n_hits, n_hits)
        assert groove.tempo_bpm == pytest.approx(tempo_bpm, abs=0.01)

    return check


def is_at_140(reading: MidiReading) -> None:
    is_beat(2, 24, 140.0)(reading)
    assert reading.tempo_map.is_steady
    assert reading.groove.duration_seconds == pytest.approx(3.43, abs=0.005)


def keeps_both_snares(reading: MidiReading) -> None:
    is_beat(1, 4)(reading)
    snares = np.flatnonzero(reading.groove.hits[:, SNARE])
    assert snares.tolist() == [0, 8, 15]
    assert reading.groove.velocities[0, SNARE] == np.float32(70 / 127)
    assert reading.groove.offsets[15, SNARE] > 0.49


def reports_percussion(reading: MidiReading) -> None:
    for words in (
        "8 tambourine read as closed hi-hat",
        "8 maracas read as closed hi-hat",
        "1 cowbell read as ride",
        "1 vibraslap read as low tom",
        "8 maracas merged into a louder one",
    ):
        assert words in reading.summary


def starts_at_bar_33(reading: MidiReading) -> None:
    is_beat(34, 24)(reading)
    assert "starts at bar 33" in reading.summary
    is_beat(2, 24)(reading.from_first_hit())


def has_remark(words: str) -> Callable[[MidiReading], None]:
    def check(reading: MidiReading) -> None:
        is_beat(2, 24)(reading)
        assert words in reading.summary

    return check


def offers_maps(reading: MidiReading) -> None:
    assert reading.groove.n_hits == 4
    for words in ("62", "63", "EZdrummer and Superior Drummer (62, 63 closed hi-hat)"):
        assert words in reading.summary


def plays_most_beats(reading: MidiReading) -> None:
    is_beat(4, 48)(reading)
    assert reading.tempo_map.changes == ((0.0, 500_000), (15.0, 4_000_000))
    assert "15" in reading.summary


def keeps_both_tempos(reading: MidiReading) -> None:
    is_beat(8, 96, 60.0)(reading)
    assert reading.tempo_map.changes == ((0.0, 1_000_000), (16.0, 500_000))
    assert "plays at 60 bpm" in reading.summary


def has_open_hats(reading: MidiReading) -> None:
    assert np.flatnonzero(reading.groove.hits[:, OPEN_HAT]).tolist() == [0, 2, 4, 6]
    assert np.flatnonzero(reading.groove.hits[:, CLOSED_HAT]).tolist() == [8, 10, 12, 14]
    assert "4 of 8 hi-hats are open by controller 4" in reading.summary


def is_regrouped(words: str) -> Callable[[MidiReading], None]:
    def check(reading: MidiReading) -> None:
        is_beat(4, 48)(reading)
        assert reading.groove.hits[:, KICK].argmax() == 0
        assert words in reading.summary

    return check


def goes_on_after_a_short_bar(reading: MidiReading) -> None:
    is_beat(16, 192)(reading)
    bars = reading.groove.hits.reshape(16, -1)
    assert (bars == bars[0]).all()
    assert "A silent bar of 2/4 before bar 9 is left out." in reading.summary


def reports_merged_notes(reading: MidiReading) -> None:
    assert reading.n_notes == 26
    assert "8 closed hi-hat merged" in reading.summary


RIGHT: dict[str, Callable[[MidiReading], None] | None] = {
    "tempo_two_at_tick_0.mid": is_at_140,
    "empty_2nd_bar_end_1_tick_late.mid": is_beat(2, 12),
    "last_32nd_and_downbeat.mid": keeps_both_snares,
    "tambourine_maracas_cowbell_vibraslap.mid": reports_percussion,
    "groove_at_bar_33.mid": starts_at_bar_33,
    "conga_only.mid": None,
    "tempo_event_at_bar_1500.mid": is_beat(2, 24),
    "end_at_bar_300.mid": is_beat(2, 24),
    "ch1_one_track.mid": has_remark("Track Rock Groove is read as drums."),
    "ch1_three_tracks.mid": has_remark("3 tracks are read together as drums: Kick, Snare, Hat"),
    "toontrack_hats.mid": offers_maps,
    "tempo_fermata_15bpm.mid": plays_most_beats,
    "tempo_60_then_120.mid": keeps_both_tempos,
    "controller_value_200.mid": has_remark("1 damaged event was skipped."),
    "hat_42_with_cc4_open.mid": has_open_hats,
    "metre_2_2.mid": is_regrouped("Bars of 2/2 are read as bars of 4/4."),
    "metre_2_4.mid": is_regrouped("Bars of 2/4 are read as bars of 4/4."),
    "metre_one_2_4_bar_in_song.mid": goes_on_after_a_short_bar,
    "metre_silent_pickup_1_4.mid": is_regrouped("A silent bar of 1/4 before bar 1 is left out."),
    "hat_sextuplets.mid": reports_merged_notes,
}
"""What to check of each file; None for one that is refused."""


def test_every_case_is_checked():
    cases = json.loads((CASES / "cases.json").read_text("utf-8"))["cases"]
    assert {case["file"] for case in cases} == set(RIGHT)


@pytest.mark.parametrize("file", [file for file, check in RIGHT.items() if check])
def test_each_case_is_read_correctly(file):
    RIGHT[file](read_midi(CASES / "midi" / file))


def test_congas_are_refused_as_general_midi_percussion_with_the_remedy():
    with pytest.raises(MidiError) as caught:
        read_midi(CASES / "midi" / "conga_only.mid")
    for words in ("Open Hi Conga in General MIDI", "nine voices", "drum map", "= high tom"):
        assert words in str(caught.value)


def test_the_hats_of_a_sampler_are_read_by_its_map():
    reading = read_midi(CASES / "midi" / "toontrack_hats.mid", drum_map=find_map("ezdrummer"))
    assert reading.groove.hits[:, CLOSED_HAT].all()
    assert (reading.groove.n_hits, reading.groove.hits[:, [KICK, SNARE]].sum()) == (20, 4)


@pytest.mark.parametrize(
    ("file", "grid", "n_bars", "n_hits"),
    [
        ("metre_2_4.mid", COMMON_TIME, 4, 48),
        ("metre_silent_pickup_1_4.mid", COMMON_TIME, 4, 48),
        ("hat_sextuplets.mid", Grid(4, 6), 1, 26),
    ],
)
def test_a_file_is_read_on_the_grid_that_holds_it(file, grid, n_bars, n_hits):
    groove = read_midi(CASES / "midi" / file, grid=None).groove
    assert (groove.grid, groove.n_bars, groove.n_hits) == (grid, n_bars, n_hits)


def test_bars_of_2_4_are_read_one_by_one_where_the_grid_has_them():
    groove = read_midi(CASES / "midi" / "metre_2_4.mid", grid=Grid(2)).groove
    assert (groove.n_bars, groove.n_hits) == (8, 48)
