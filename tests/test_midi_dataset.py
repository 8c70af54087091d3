"""Reading, proved on every performance of the Groove MIDI Dataset."""

import csv
import io
import math
import time
import zipfile
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import mido
import numpy as np
import pytest

from musicvae_core.errors import MidiError
from musicvae_core.music.drums import N_VOICES, VOICE_OF_PITCH
from musicvae_core.music.midi.read import MidiReading, read_midi

ARCHIVE = Path(__file__).resolve().parents[2] / "shared" / "data" / "groove-midionly.zip"
SECONDS_FOR_ALL = 12.0
ONE_PERFORMANCE_SECONDS = 0.006

pytestmark = pytest.mark.skipif(
    not ARCHIVE.exists(), reason=f"the Groove MIDI Dataset is not at {ARCHIVE}"
)


@dataclass(frozen=True)
class Performance:
    row: dict[str, str]
    data: bytes


@pytest.fixture(scope="module")
def performances() -> list[Performance]:
    with zipfile.ZipFile(ARCHIVE) as archive:
        with archive.open("groove/info.csv") as file:
            rows = list(csv.DictReader(io.TextIOWrapper(file)))
        return [Performance(row, archive.read(f"groove/{row['midi_filename']}")) for row in rows]


@pytest.fixture(scope="module")
def readings(performances) -> dict[str, MidiReading | MidiError]:
    """What reading each file gives; every other exception fails the tests."""
    results: dict[str, MidiReading | MidiError] = {}
    start = time.process_time()
    for performance in performances:
        try:
            results[performance.row["id"]] = read_midi(performance.data)
        except MidiError as error:
            results[performance.row["id"]] = error
    assert time.process_time() - start < SECONDS_FOR_ALL
    return results


def test_every_performance_in_4_4_reads_and_no_other(performances, readings):
    metres = Counter(
        (
            performance.row["time_signature"],
            isinstance(readings[performance.row["id"]], MidiReading),
        )
        for performance in performances
    )
    assert metres == {
        ("4-4", True): 1138,
        ("3-4", False): 5,
        ("6-8", False): 5,
        ("5-4", False): 1,
        ("5-8", False): 1,
    }
    for performance in performances:
        if isinstance(error := readings[performance.row["id"]], MidiError):
            assert performance.row["time_signature"].replace("-", "/") in str(error)


def test_tempo_is_the_csvs_and_every_note_finds_a_voice(performances, readings):
    for performance in performances:
        reading = readings[performance.row["id"]]
        if isinstance(reading, MidiReading):
            assert reading.groove.tempo_bpm == pytest.approx(
                float(performance.row["bpm"]), abs=0.01
            )
            assert (reading.tempo_map.is_steady, dict(reading.dropped)) == (True, {})


def test_two_bar_windows_a_bar_apart_are_as_many_as_published(performances, readings):
    windows: Counter[str] = Counter()
    for performance in performances:
        reading = readings[performance.row["id"]]
        if isinstance(reading, MidiReading):
            windows[performance.row["split"]] += reading.groove.n_bars - 1
    assert windows == {"train": 16_536, "validation": 2_055, "test": 2_084}


def test_the_test_split_equals_a_slow_obvious_reading(performances, readings):
    compared = 0
    for performance in performances:
        reading = readings[performance.row["id"]]
        if performance.row["split"] != "test" or not isinstance(reading, MidiReading):
            continue
        hits, velocities, offsets = read_slowly(performance.data)
        np.testing.assert_array_equal(reading.groove.hits, hits)
        np.testing.assert_array_equal(reading.groove.velocities, velocities)
        np.testing.assert_array_equal(reading.groove.offsets, offsets)
        compared += 1
    assert compared == 129


def read_slowly(data: bytes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return hits, velocities and offsets by mido, fractions and plain loops."""
    midi_file = mido.MidiFile(file=io.BytesIO(data))
    ticks_per_bar = 4 * midi_file.ticks_per_beat
    notes = []
    end_tick = 0
    for track in midi_file.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "note_on" and message.velocity > 0 and message.channel == 9:
                notes.append((tick, VOICE_OF_PITCH[message.note], message.velocity))
        end_tick = max(end_tick, tick)
    ends_on_a_bar_line = end_tick % ticks_per_bar == 0
    n_bars = end_tick // ticks_per_bar if ends_on_a_bar_line else 1
    loudest: dict[tuple[int, int], tuple[int, Fraction]] = {}
    for tick, voice, level in sorted(notes):
        position = Fraction(16 * tick, ticks_per_bar)
        step = math.floor(position + Fraction(1, 2))
        offset = position - step
        if ends_on_a_bar_line and tick < end_tick and step == 16 * end_tick // ticks_per_bar:
            step = 0
        if (step, voice) not in loudest or level > loudest[step, voice][0]:
            loudest[step, voice] = (level, offset)
    for step, _ in loudest:
        n_bars = max(n_bars, step // 16 + 1)
    arrays = [np.zeros((16 * n_bars, N_VOICES), dtype) for dtype in (bool, "f4", "f4")]
    for cell, (level, offset) in loudest.items():
        for array, value in zip(arrays, (True, level / 127, float(offset)), strict=True):
            array[cell] = value
    return arrays[0], arrays[1], arrays[2]


def test_a_minute_of_playing_reads_in_six_milliseconds(performances):
    minute = [p for p in performances if 55 < float(p.row["duration"]) < 65]
    times = []
    for performance in minute:
        start = time.process_time()
        read_midi(performance.data)
        times.append(time.process_time() - start)
    assert np.median(times) < ONE_PERFORMANCE_SECONDS
