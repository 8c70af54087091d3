"""Attributes of melodies, on tunes small enough to count by hand."""

import numpy as np
import pytest

from musicvae_core.music.line import Line, Note
from musicvae_core.music.line_attributes import line_attributes


def line(*notes, n_bars=1):
    return Line.from_notes([Note(*note, 0.8) for note in notes], n_bars)


def test_intervals_range_and_key_of_a_small_tune():
    found = line_attributes(line((0, 2, 60), (2, 2, 60), (4, 4, 62), (8, 2, 66), (12, 4, 61)))
    assert found["note_density"] == 5
    assert found["rest"] == 2 / 16
    assert found["mean_pitch"] == pytest.approx(61.8)
    assert (found["range"], found["different_pitches"]) == (6, 4)
    assert found["average_interval"] == (0 + 2 + 4 + 5) / 4
    shares = [found[name] for name in ("repeats", "steps", "skips", "leaps")]
    assert shares == [0.25] * 4
    assert found["largest_interval"] == 5
    assert found["rising"] == 0.5
    assert found["turns"] == 0.5
    assert found["first_to_last"] == 1
    assert found["c_diatonic"] == pytest.approx(3 / 5)
    assert found["key_fit"] == pytest.approx(4 / 5)
    assert found["pitch_class_entropy"] == pytest.approx(
        -(0.4 * np.log2(0.4) + 3 * 0.2 * np.log2(0.2))
    )


def test_rhythm_of_a_small_tune():
    found = line_attributes(
        line((0, 2, 60), (2, 1, 60), (3, 2, 62), (5, 5, 60), (10, 1, 65), (12, 4, 65))
    )
    # 3 follows 2; 5 has none on 4. 2 follows 0; 10 has none on 8 nor 9.
    assert found["sixteenth_syncopation"] == 1 / 6
    assert found["eighth_syncopation"] == 1 / 6
    assert found["on_the_beat"] == 2 / 6
    assert found["average_length"] == 15 / 6
    assert found["sixteenths"] == 2 / 6
    assert found["longest_note"] == 5
    assert found["kinds_of_lengths"] == 4


def test_form_compares_bars_at_every_lag():
    first, second = [(0, 8, 60), (8, 8, 64)], [(0, 4, 60), (4, 12, 64)]
    bars = [first, second, first, second]
    notes = [(16 * i + step, n, pitch) for i, bar in enumerate(bars) for step, n, pitch in bar]
    found = line_attributes(line(*notes, n_bars=4))
    assert found["rhythm_alike_1"] == pytest.approx(1 / 3)
    assert found["melody_alike_1"] == pytest.approx(12 / 16)
    assert found["rhythm_alike_2"] == found["melody_alike_2"] == 1
    assert "rhythm_alike_4" not in found


def test_a_silent_line_is_nothing_but_rest():
    found = line_attributes(line(n_bars=2))
    assert found["rest"] == found["rhythm_alike_1"] == found["melody_alike_1"] == 1
    others = {name: value for name, value in found.items() if "alike" not in name}
    assert sum(others.values()) == 1


def test_transposing_changes_the_pitch_and_c_diatonic_alone():
    tune = line((0, 4, 60), (4, 4, 64), (8, 8, 67))
    before, after = line_attributes(tune), line_attributes(tune.transposed(1))
    changed = {name for name in before if before[name] != pytest.approx(after[name])}
    assert changed == {"mean_pitch", "c_diatonic"}
