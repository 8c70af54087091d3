"""The groove lab from the command line: real files in, files out that read back as promised."""

import numpy as np
import pretty_midi
import pytest
import torch
from midi_builders import (
    BASS,
    DRUMS,
    HAT_PITCH,
    KICK_PITCH,
    SNARE_PITCH,
    TICKS_PER_BAR,
    drum_file,
    end,
    midi_file,
    name,
    note,
    note_off,
    track,
    without_drum_channel,
)
from tiny_data import random_groove
from tiny_lab import N_BARS, differing, tiny_checkpoint

from musicvae_core.cli.main import main
from musicvae_core.models.checkpoint import save_checkpoint
from musicvae_core.music.drums import CLOSED_HAT, HIGH_TOM, KICK, N_VOICES, SNARE
from musicvae_core.music.grid import COMMON_TIME, TempoMap
from musicvae_core.music.groove import Groove
from musicvae_core.music.midi.read import read_midi
from musicvae_core.music.midi.write import write_midi

STEPS_PER_BAR = COMMON_TIME.steps_per_bar


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lab") / "tiny"
    save_checkpoint(tiny_checkpoint(), folder)
    return folder


@pytest.fixture
def make(tmp_path, checkpoint, capsys):
    """Run a command of the lab on MIDI bytes; return what it read, what it wrote, its output."""

    def run(command, midi, *options):
        source, out = tmp_path / "in.mid", tmp_path / "out.mid"
        source.write_bytes(midi)
        words = [command, source, out, "--checkpoint", checkpoint, *options]
        assert main([str(word) for word in words]) == 0
        before = None if command == "drumify" else read_midi(source).groove
        return before, read_midi(out).groove, capsys.readouterr().out

    return run


def file_of(n_bars, seed=0):
    return write_midi(random_groove(np.random.default_rng(seed), n_bars), loop=True)


@pytest.mark.parametrize("n_bars", [*N_BARS, 64])
def test_humanize_writes_the_same_notes(make, n_bars):
    before, after, out = make("humanize", file_of(n_bars), "--seed", 4)
    assert np.array_equal(after.hits, before.hits)
    assert not np.array_equal(after.velocities, before.velocities)
    bars = "1 bar" if n_bars == 1 else f"{n_bars} bars"
    assert f": {bars}, {before.n_hits} notes" in out


def test_humanizing_by_nothing_writes_the_file_itself(make):
    midi = file_of(5)
    before, after, _ = make("humanize", midi, "--dynamics", 0, "--timing", 0, "--loop")
    assert not differing(before, after).any()


@pytest.mark.parametrize("command", ["humanize", "fill", "continue"])
def test_a_song_of_64_bars_keeps_its_first_beat(make, command):
    song = write_midi(rushed_groove(64), loop=True)
    options = {"fill": ["--voices", "ride"], "continue": ["--bars", "1"]}.get(command, [])
    before, once, _ = make(command, song, *options)
    _, loop, _ = make(command, song, *options, "--loop")
    assert once.hits[0, KICK]
    assert once.offsets[0, KICK] == max(loop.offsets[0, KICK], 0)
    assert np.array_equal(once.hits, loop.hits)
    if command != "humanize":
        assert loop.offsets[0, KICK] == before.offsets[0, KICK] < 0


@pytest.mark.parametrize("command", ["humanize", "drumify", "fill", "continue"])
def test_the_tempos_of_a_song_are_kept(tmp_path, checkpoint, capsys, command):
    source, out = tmp_path / "in.mid", tmp_path / "out.mid"
    tempos = TempoMap(((0.0, 1_000_000), (10.0, 4_000_000), (11.5, 500_000)))
    source.write_bytes(write_midi(rushed_groove(4), tempo_map=tempos))
    options = ["--voices", "ride"] if command == "fill" else []
    words = [command, source, out, "--checkpoint", checkpoint, *options]
    assert main([str(word) for word in words]) == 0
    assert read_midi(out).tempo_map == tempos
    assert "changes of tempo are kept" in capsys.readouterr().out
    if command != "drumify":
        assert seconds_of_kicks(out)[:4] == pytest.approx(seconds_of_kicks(source)[:4], abs=0.5)


def seconds_of_kicks(path):
    """Return when kicks sound, as another reader hears the file's tempos."""
    [drums] = pretty_midi.PrettyMIDI(str(path)).instruments
    return sorted(one.start for one in drums.notes if one.pitch == KICK_PITCH)


def test_a_command_limits_its_threads(make):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        make("humanize", file_of(1))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def rushed_groove(n_bars):
    """Return a kick on every first beat, always a quarter of a step early."""
    hits = np.zeros((n_bars * STEPS_PER_BAR, N_VOICES), bool)
    hits[::STEPS_PER_BAR, KICK] = True
    return Groove.from_hits(hits, offsets=-0.25)


def test_quantised_and_at_its_own_loudness(make):
    before, after, _ = make("humanize", file_of(2), "--quantise", 100, "--dynamics", 0)
    assert not after.offsets.any()
    assert np.array_equal(after.velocities, before.velocities)


@pytest.mark.usefixtures("full_disk")
def test_a_file_that_is_to_be_replaced_is_not_lost(tmp_path, checkpoint):
    source = tmp_path / "in.mid"
    source.write_bytes(file_of(2))
    words = ["humanize", source, source, "--checkpoint", checkpoint]
    assert main([str(word) for word in words]) == 2
    assert source.read_bytes() == file_of(2)
    assert list(tmp_path.iterdir()) == [source]


def test_a_file_takes_the_place_of_the_one_it_was_made_of(tmp_path, checkpoint):
    source = tmp_path / "in.mid"
    source.write_bytes(file_of(2))
    before = read_midi(source).groove
    words = ["humanize", source, source, "--checkpoint", checkpoint]
    assert main([str(word) for word in words]) == 0
    assert np.array_equal(read_midi(source).groove.hits, before.hits)


def test_a_seed_is_repeated(make):
    written = [make("humanize", file_of(3), "--seed", seed)[1] for seed in (7, 7, 8)]
    assert written[0] == written[1] != written[2]


def test_fill_changes_what_is_named(make):
    before, after, _ = make(
        "fill", file_of(6), "--loop", "--voices", "closed hi-hat", "kick", "--bars", "2", "4-5"
    )
    changed = differing(before, after).reshape(6, STEPS_PER_BAR, -1)
    assert set(np.flatnonzero(changed.any(axis=(1, 2)))) <= {1, 3, 4}
    assert set(np.flatnonzero(changed.any(axis=(0, 1)))) <= {KICK, CLOSED_HAT}
    assert changed.any()


@pytest.mark.parametrize("more", [2, 4, 8])
def test_continue_goes_on_from_the_end(make, more):
    before, after, out = make("continue", file_of(2), "--bars", more, "--loop")
    assert after.bars(0, 2) == before
    assert f"{2 + more} bars" in out


def test_transfer_plays_the_notes_of_one_file_like_another(make, tmp_path):
    feel = tmp_path / "feel.mid"
    feel.write_bytes(file_of(2, seed=9))
    before, after, out = make("transfer", file_of(3), "--feel", feel)
    assert np.array_equal(after.hits, before.hits)
    assert "feel.mid" in out
    for option, value in (("--style", "jazz"), ("--drummer", "drummer1")):
        before, after, _ = make("transfer", file_of(3), option, value)
        assert np.array_equal(after.hits, before.hits)


def bass_line():
    notes = [
        part
        for pitch in (28, 31, 33, 35) * 4
        for part in (note(300, pitch, 60 + pitch, BASS), note_off(180, pitch, BASS))
    ]
    return midi_file(track(*notes, end(1)))


def test_a_bass_line_becomes_a_kit_that_follows_it(make, tmp_path):
    _, kit, _ = make("drumify", bass_line())
    struck = kit.hits.any(axis=1)
    onsets = [round((300 + 480 * index) / 120) for index in range(16)]
    assert struck[onsets].all()


@pytest.mark.parametrize(("text", "hit"), [("Beat", KICK), ("Beat (2)", SNARE), ("1", SNARE)])
@pytest.mark.parametrize("command", ["humanize", "fill", "continue", "transfer", "drumify"])
def test_a_track_is_chosen_by_its_name_or_its_number(tmp_path, checkpoint, command, text, hit):
    source, out = tmp_path / "in.mid", tmp_path / "out.mid"
    source.write_bytes(without_drum_channel())
    more = {
        "fill": ["--voices", "ride"],
        "transfer": ["--feel", source, "--feel-track", text],
    }.get(command, [])
    words = [command, source, out, "--checkpoint", checkpoint, "--track", text, *more]
    assert main([str(word) for word in words]) == 0
    made = read_midi(out).groove
    if command == "drumify":
        assert made.hits[0].any()
    else:
        assert np.flatnonzero(made.hits[0, [KICK, SNARE]]).tolist() == [[KICK, SNARE].index(hit)]


@pytest.mark.parametrize("command", ["humanize", "drumify"])
def test_an_unknown_track_is_refused_with_a_list(tmp_path, capsys, command):
    source = tmp_path / "in.mid"
    source.write_bytes(without_drum_channel())
    words = [command, str(source), str(tmp_path / "out.mid"), "--track", "3"]
    assert main(words) == 2
    assert (
        "no track '3' to read as drums. Choose one of: Beat, Beat (2)," in capsys.readouterr().err
    )


def test_hits_before_the_beat_are_kept(make):
    early = drum_file(
        note(TICKS_PER_BAR - 20, KICK_PITCH),
        note(500, SNARE_PITCH),
        note(480, HAT_PITCH),
    )
    before, after, _ = make("fill", early, "--voices", "ride")
    assert before.offsets[before.hits].min() < 0
    assert not differing(before, after)[:, [KICK, SNARE, CLOSED_HAT]].any()


def test_two_hundred_notes_per_bar_are_read(make):
    rng = np.random.default_rng(0)
    pitches = rng.choice([35, 36, 38, 42, 44, 46, 47, 50, 51], 600)
    ticks = np.diff(np.sort(rng.integers(0, 3 * TICKS_PER_BAR, 600)), prepend=0)
    velocities = rng.integers(1, 128, 600)
    crowd = drum_file(
        *(
            note(int(tick), int(pitch), int(velocity), DRUMS)
            for tick, pitch, velocity in zip(ticks, pitches, velocities, strict=True)
        )
    )
    for command in ("humanize", "drumify", "fill", "continue"):
        before, after, _ = make(command, crowd)
        assert after.n_hits > 0
        if command == "humanize":
            assert np.array_equal(after.hits, before.hits)
        if command == "continue":
            assert after.bars(0, before.n_bars) == before


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["humanize", "--style", "polka"], "There is no style 'polka'"),
        (["humanize", "--timing", "300"], "amount of timing is 3"),
        (["fill", "--voices", "gong"], "There is no voice 'gong'"),
        (["fill", "--bars", "two"], "--bars two is no bar"),
        (["fill", "--bars", "²"], "--bars ² is no bar"),
        (["fill", "--bars", "9"], "There is no bar 9"),
        (["fill", "--bars", "1-1000000000000"], "There is no bar 3"),
        (["continue", "--bars", "99"], "99 bars were asked for"),
        (["drumify", "--hits-a-bar", "-1"], "must lie in 0 to 64"),
    ],
)
def test_a_bad_option_ends_in_one_sentence(options, problem, tmp_path, checkpoint, capsys):
    source = tmp_path / "in.mid"
    source.write_bytes(file_of(2))
    command, *rest = options
    words = [command, source, tmp_path / "out.mid", "--checkpoint", checkpoint, *rest]
    assert main([str(word) for word in words]) != 0
    assert problem in capsys.readouterr().err
    assert not (tmp_path / "out.mid").exists()


def drums_on_three_tracks() -> bytes:
    """Return a file of channel 1 with the tracks Kick, Snare and Congas."""
    return midi_file(
        *(
            track(name(text), note(delta, pitch, channel=BASS), end(1))
            for delta, text, pitch in ((480, "Kick", 36), (0, "Snare", 38), (0, "Congas", 63))
        )
    )


def test_several_tracks_are_read_together_by_the_map_that_is_chosen(make, tmp_path):
    mine = tmp_path / "mine.txt"
    mine.write_text("63 = high tom\n")
    for drum_map, voice in (("ezdrummer", CLOSED_HAT), (mine, HIGH_TOM)):
        options = ("--track", "Snare", "2", "--map", drum_map, "--dynamics", 0, "--timing", 0)
        _, after, out = make("humanize", drums_on_three_tracks(), *options)
        assert np.flatnonzero(after.hits[0]).tolist() == [SNARE, voice]
        assert "2 tracks are read together as drums: Snare, Congas." in out


def test_a_map_that_does_not_exist_is_refused_in_a_sentence(tmp_path, capsys):
    words = ["humanize", str(tmp_path / "in.mid"), str(tmp_path / "out.mid"), "--map", "mellotron"]
    assert main(words) == 2
    assert "error: There is no drum map 'mellotron'" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["humanize", "drumify", "fill"])
def test_silent_first_bars_keep_their_place_and_stay_silent(make, command):
    late = Groove.joined([Groove.silent(3), random_groove(np.random.default_rng(0), 2)])
    _, after, out = make(command, write_midi(late))
    assert after.hits[: 3 * STEPS_PER_BAR].sum() == 0
    assert after.hits[3 * STEPS_PER_BAR :].any()
    assert "It starts at bar 4." in out
