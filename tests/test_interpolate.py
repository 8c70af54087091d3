"""The command `interpolate`: what it writes, how it treats lengths, and what it refuses."""

import wave

import numpy as np
import pytest
from midi_builders import without_drum_channel
from tiny_data import drummed_groove

from musicvae_core.cli.main import main
from musicvae_core.music.drums import SNARE
from musicvae_core.music.groove import Groove
from musicvae_core.music.midi.read import read_midi
from musicvae_core.music.midi.write import write_midi
from musicvae_core.studio import Studio


@pytest.fixture
def files(tmp_path):
    """Files of one, two, two and five bars."""
    paths = []
    for at, n_bars in enumerate((1, 2, 2, 5)):
        groove = drummed_groove(np.random.default_rng(at), n_bars, 90.0 + at)
        paths.append(tmp_path / f"{at}.mid")
        paths[-1].write_bytes(write_midi(groove))
    return paths


@pytest.fixture
def interpolate(checkpoints_dir, tmp_path, capsys):
    """Run the command into a folder; return its exit code, the folder, and what it printed."""

    def run(*arguments):
        out = tmp_path / "out"
        words = ["interpolate", checkpoints_dir / "groove_2bar", *arguments, "--out", out]
        code = main([str(word) for word in words])
        printed = capsys.readouterr()
        return code, out, printed.out + printed.err

    return run


def grooves_in(folder):
    return {path.stem: read_midi(path.read_bytes()).groove for path in folder.glob("*.mid")}


def test_two_files_make_a_path_and_a_piece(interpolate, files, checkpoints_dir):
    code, out, printed = interpolate(files[1], files[2], "--steps", 5, "--exact-ends")
    found = grooves_in(out)
    assert code == 0
    assert sorted(found) == ["00", "01", "02", "03", "04", "morph"]
    ends = [read_midi(path).groove for path in files[1:3]]
    morph = Studio(checkpoints_dir).morph("groove_2bar", ends, 5, exact_ends=True)
    written = write_midi(morph.grooves[2].at_tempo(found["02"].tempo_bpm))
    np.testing.assert_array_equal(found["02"].hits, read_midi(written).groove.hits)
    assert found["00"].tempo_bpm == pytest.approx(91, abs=0.01)
    np.testing.assert_array_equal(found["04"].hits, ends[1].hits)
    assert found["morph"].n_bars == 10
    np.testing.assert_array_equal(found["morph"].bars(8, 2).hits, ends[1].hits)
    assert "F1 of hits" in printed


def test_four_files_make_a_pad(interpolate, files):
    code, out, _ = interpolate(*files, "--bars", 1, "--tempo", 100, "--curve", "lerp")
    assert code == 0
    found = grooves_in(out)
    assert len(found) == 26
    assert found["morph"].n_bars == 25
    assert found["morph"].tempo_bpm == pytest.approx(100)


def test_lengths_are_made_to_fit_and_said(interpolate, files):
    code, out, printed = interpolate(
        files[0], files[3], "--from-bar", 3, "--steps", 3, "--exact-ends"
    )
    assert code == 0
    assert "repeated from 1 to 2 bars" in printed
    assert "2 of 5 bars are used, from bar 3 on" in printed
    found, short, long = grooves_in(out), read_midi(files[0]).groove, read_midi(files[3]).groove
    np.testing.assert_array_equal(found["00"].hits, np.tile(short.hits, (2, 1)))
    np.testing.assert_array_equal(found["02"].hits, long.hits[32:64])


def test_a_track_stands_in_for_drums_where_there_are_none(interpolate, files, tmp_path):
    melody = tmp_path / "melody.mid"
    melody.write_bytes(without_drum_channel())
    for text in ("Beat (2)", "1"):
        options = ("--steps", 3, "--exact-ends", "--track", text)
        code, out, _ = interpolate(files[1], melody, *options)
        assert code == 0
        found = grooves_in(out)
        np.testing.assert_array_equal(found["00"].hits, read_midi(files[1]).groove.hits)
        assert np.argwhere(found["02"].hits).tolist() == [[0, SNARE], [16, SNARE]]
    code, _, printed = interpolate(files[1], melody, "--track", "Flute")
    assert code == 2
    assert "melody.mid: The file has no track 'Flute'" in printed
    together = "2 tracks are read together as drums: Beat, Beat (2)"
    assert together in interpolate(files[1], melody, "--steps", 3)[2]
    several = interpolate(files[1], melody, "--steps", 3, "--track", "Beat", "1")
    assert together in several[2]


def test_silent_first_bars_are_passed_over_and_silence_is_no_success(interpolate, files, tmp_path):
    late = tmp_path / "late.mid"
    beat = read_midi(files[1]).groove
    late.write_bytes(write_midi(Groove.joined([Groove.silent(8), beat])))
    code, out, printed = interpolate(files[1], late, "--steps", 3, "--exact-ends")
    assert code == 0
    assert "It starts at bar 9." in printed
    np.testing.assert_array_equal(grooves_in(out)["02"].hits, beat.hits)
    printed = interpolate(files[1], late, "--steps", 3, "--from-bar", 1)[2]
    assert "silent, so nothing can come back right" in printed
    assert printed.count("come back right, F1 of hits") == 1


@pytest.mark.usefixtures("sound")
def test_a_piece_too_long_to_render_is_written_without_sound(interpolate, files):
    code, out, printed = interpolate(
        *files[1:3], "--steps", 3, "--wav", "--tempo", 120, "--bars", 64
    )
    assert code == 0
    assert "morph.wav is left out. It lasts 6.4 minutes" in printed
    steps = {f"{step:02d}.{kind}" for step in range(3) for kind in ("mid", "wav")}
    assert {path.name for path in out.iterdir()} == steps | {"morph.mid"}


@pytest.mark.usefixtures("sound")
def test_an_unknown_kit_is_refused_before_a_file_is_written(interpolate, files):
    code, out, printed = interpolate(files[1], files[2], "--wav", "--kit", "Nope")
    assert (code, "No kit is called 'Nope'" in printed) == (2, True)
    assert not list(out.iterdir())


@pytest.mark.usefixtures("sound")
def test_sound_is_written_beside(interpolate, files):
    code, out, _ = interpolate(files[1], files[2], "--steps", 3, "--wav", "--tempo", 240)
    assert code == 0
    seconds = {}
    for path in out.glob("*.wav"):
        with wave.open(str(path)) as file:
            seconds[path.stem] = file.getnframes() / file.getframerate()
    assert seconds == pytest.approx({"00": 2, "01": 2, "02": 2, "morph": 6}, abs=0.001)


@pytest.mark.usefixtures("full_disk")
def test_a_morph_on_a_full_disk_leaves_no_partial_file(interpolate, files):
    code, out, printed = interpolate(files[1], files[2])
    assert (code, "No space left" in printed) == (2, True)
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    ("numbers", "options", "message"),
    [
        ((1, 2), ("--steps", 2), "3 to 33"),
        ((1, 2, 3), (), "between 3 grooves"),
        ((1, 3), ("--from-bar", 5), "must be 1 to 4"),
        ((1, 2), ("--bars", 0), "--bars is 0; it must be 1 to 1000"),
        ((1, 2), ("--bars", 10**12), "--bars is 1000000000000; it must be 1 to 1000"),
        ((1, 2), ("--seed", 10**20), "it must be 0 to 4294967295"),
        ((1, 2), ("--temperature", 3), "temperature is 3"),
        ((1, 2), ("--tempo", 9), "20 to 400"),
        ((1, 2), ("--tempo", 0), "20 to 400"),
        ((1, 9), (), "cannot be read"),
    ],
)
def test_a_bad_value_ends_in_one_sentence(interpolate, files, tmp_path, numbers, options, message):
    code, _, printed = interpolate(*(tmp_path / f"{number}.mid" for number in numbers), *options)
    assert code == 2
    assert message in printed.splitlines()[-1]
