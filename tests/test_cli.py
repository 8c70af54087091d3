"""The command line: each command on tiny data, and bad values that end in one sentence."""

import json
import os
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
import torch
from midi_builders import without_drum_channel
from tiny_data import drummed_groove

from musicvae_core.evaluation import metrics as evaluate_module
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.music.line import Line, Note
from musicvae_core.music.line_midi import read_line
from musicvae_core.music.midi.read import read_midi
from musicvae_core.music.midi.write import write_line, write_midi
from musicvae_core.studio import Studio
from musicvae_core.training import fit_prior as fit_prior_module

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def midi_file(tmp_path):
    path = tmp_path / "in.mid"
    path.write_bytes(write_midi(drummed_groove(np.random.default_rng(0), 1, 120.0)))
    return path


def seconds_of(path):
    with wave.open(str(path)) as file:
        return file.getnframes() / file.getframerate()


def test_data_prints_what_is_in_the_folder(run, midi_folder):
    code, out, _ = run("data", "--data", midi_folder)
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith(f"{midi_folder}: 20 performances read, 0.0")
    for line in (
        "split: train 16, validation 2, test 2",
        "style: unknown 20",
        "metre: 4-4 20",
        "skipped: none",
        "windows of 2 bars: 48 / 6 / 6",
        "windows of 4 bars: 16 / 2 / 2",
        "windows of 16 bars: 0 / 0 / 0",
    ):
        assert sorted(line.split()) in [sorted(other.split()) for other in lines], line


def test_data_counts_what_it_skips(run, tmp_path, midi_file):
    (tmp_path / "broken.mid").write_bytes(b"no MIDI")
    _, out, _ = run("data", "--data", tmp_path)
    assert "skipped: 1" in out.splitlines()
    assert "  1 file: This is not a MIDI file." in out


@pytest.fixture
def melodies(tmp_path):
    """Return a folder of forty melodies of four bars."""
    folder = tmp_path / "melodies"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(40):
        notes = [Note(step, 2, int(rng.integers(60, 73)), 0.8) for step in range(0, 64, 2)]
        (folder / f"{index:02d}.mid").write_bytes(write_line(Line.from_notes(notes, 4)))
    return folder


def test_data_prints_what_is_in_a_folder_of_melodies(run, melodies):
    code, out, _ = run("data", "--data", melodies, "--melody")
    assert code == 0
    assert out.splitlines() == [
        f"{melodies}: 40 melodies read, 0.09 hours",
        "split: train 32, validation 4, test 4",
        "collection: melodies 40",
        "skipped: none",
        "notes dropped: none",
        "windows of 2 bars: 96 / 12 / 12",
        "windows of 4 bars: 32 / 4 / 4",
        "windows of 16 bars: 0 / 0 / 0",
    ]


def test_a_melody_model_trains_from_the_command_line(run, melodies, tmp_path):
    train = ("train", "--preset", "melody_2bar_tiny", "--data", melodies, "--device", "cpu")
    changes = ("--set", "n_steps=4", "validate_every=2")
    code, out, _ = run(*train, "--out", tmp_path / "run", *changes)
    assert code == 0
    assert json.loads(out)["validation/sampling_accuracy"] >= 0
    best = tmp_path / "run" / "best"
    assert load_checkpoint(best).config.head == "line"
    sample = ("sample", best, "-n", 2, "--out", tmp_path / "out", "--prior", "normal")
    code, out, _ = run(*sample, "--bars", 4, "--tempo", 90, "--program", 40, "--wav")
    assert (code, out) == (0, f"2 samples in {tmp_path / 'out'}\n")
    reading = read_line(tmp_path / "out" / "best_seed0_00.mid")
    assert (reading.line.program, round(reading.line.tempo_bpm)) == (40, 90)
    assert seconds_of(tmp_path / "out" / "best_seed0_00.wav") == pytest.approx(16 * 60 / 90)
    assert run(*sample, "--kit", "Standard")[::2] == (
        2,
        "error: The model best plays melodies: give --program, not --kit.\n",
    )
    code, out, _ = run("evaluate", best, "--data", melodies, "--json")
    assert code == 0
    assert json.loads(out)["collections"].keys() == {"melodies"}
    fit = ("fit-prior", best, "--data", melodies, "--out", tmp_path / "fitted", "--variants", 1)
    fit = (*fit, "--steps", 2)
    assert run(*fit)[0] == 0
    fitted = load_checkpoint(tmp_path / "fitted").prior
    assert fitted is not None
    fit = (*fit[:5], tmp_path / "again", *fit[6:], "--store", tmp_path / "windows")
    assert run(*fit)[0] == 0
    assert len(list((tmp_path / "windows").glob("*.npy"))) == 1
    again = load_checkpoint(tmp_path / "again").prior
    for one, other in zip(fitted.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)
    notes = ("fit-prior", tmp_path / "again", "--data", melodies, "--notes", "--steps", 2)
    assert run(*notes, "--out", tmp_path / "notes")[0] == 0
    assert run(*notes, "--out", tmp_path / "more", "--continue")[::2] == (
        2,
        "error: melody_2bar_tiny has no prior to continue; leave out --continue.\n",
    )
    assert run(*notes, "--out", tmp_path / "more", "--variants", 1)[0] == 2
    both = load_checkpoint(tmp_path / "notes")
    assert both.prior is not None
    assert both.notes is not None
    assert run(*sample[:1], tmp_path / "notes", *sample[2:6])[0] == 0


def test_render_plays_the_melody_of_a_file(run, tmp_path):
    path, wav = tmp_path / "tune.mid", tmp_path / "tune.wav"
    path.write_bytes(write_line(Line.from_notes([Note(0, 8, 60, 0.8)], 2), "Flute"))
    code, out, _ = run("render", path, wav, "--melody", "--tempo", 60, "--program", 73)
    assert (code, out) == (0, "1 of 1 notes of Flute read.\n")
    assert seconds_of(wav) == pytest.approx(4.0)
    assert run("render", path, wav, "--melody", "--track", "Oboe")[::2] == (
        2,
        "error: The file has no track 'Oboe'. Choose one of: Flute.\n",
    )
    assert run("render", path, wav, "--melody", "--kit", "Jazz")[0] == 2
    assert run("render", path, wav, "--program", 73)[0] == 2


def test_train_then_sample_as_a_newcomer_would(run, midi_folder, tmp_path):
    train = ("train", "--preset", "drums_2bar_tiny", "--data", midi_folder, "--device", "cpu")
    changes = ("--set", "n_steps=4", "validate_every=2")
    code, out, _ = run(*train, "--out", tmp_path / "run", *changes)
    assert code == 0
    assert json.loads(out)["step"] == 4
    assert load_checkpoint(tmp_path / "run" / "best").train.n_steps == 4
    assert run(*train, "--out", tmp_path / "run", *changes, "--resume")[0] == 0
    sample = ("sample", tmp_path / "run" / "best", "-n", 2, "--prior", "normal")
    assert run(*sample, "--out", tmp_path / "out")[0] == 0
    assert len(list((tmp_path / "out").glob("*.mid"))) == 2


def test_resuming_with_other_settings_is_one_sentence(run, midi_folder, tmp_path):
    train = ("train", "--preset", "drums_2bar_tiny", "--data", midi_folder, "--out", tmp_path)
    assert run(*train, "--set", "n_steps=2", "validate_every=2")[0] == 0
    code, _, err = run(*train, "--resume", "--set", "n_steps=3")
    assert code == 2
    assert "other settings" in err.splitlines()[-1]


def test_fit_prior_writes_a_checkpoint_with_one(
    run, midi_folder, checkpoints_dir, tmp_path, monkeypatch
):
    short = fit_prior_module.PriorTraining(n_steps=3, batch_size=8)
    monkeypatch.setattr(fit_prior_module, "prior_training", lambda model: short)
    command = ("fit-prior", checkpoints_dir / "groove_2bar", "--data", midi_folder)
    assert run(*command, "--out", tmp_path / "fitted")[0] == 0
    assert load_checkpoint(tmp_path / "fitted").prior is not None
    assert run("sample", tmp_path / "fitted", "-n", 1, "--out", tmp_path / "out")[0] == 0
    again = ("fit-prior", tmp_path / "fitted", "--data", midi_folder, "--continue")
    assert run(*again, "--out", tmp_path / "again")[0] == 0
    first, second = (load_checkpoint(tmp_path / name).prior for name in ("fitted", "again"))
    assert torch.equal(first.into.weight.sign(), second.into.weight.sign())
    assert not torch.equal(first.into.weight, second.into.weight)
    code, _, err = run(*command, "--continue", "--out", tmp_path / "none")
    assert (code, "has no prior to continue" in err) == (2, True)
    code, _, err = run(*command, "--notes", "--out", tmp_path / "none")
    assert (code, "no model of notes to fit" in err) == (2, True)


def test_sample_writes_what_the_studio_draws(run, checkpoints_dir, tmp_path):
    options = ("-n", 3, "--seed", 5, "--temperature", 0.5, "--tempo", 96, "--bars", 4)
    code, out, _ = run("sample", checkpoints_dir / "a_flow", *options, "--out", tmp_path / "out")
    assert (code, out) == (0, f"3 samples in {tmp_path / 'out'}\n")
    files = sorted((tmp_path / "out").iterdir())
    assert [path.name for path in files] == [f"a_flow_seed5_{i:02d}.mid" for i in range(3)]
    takes = Studio(checkpoints_dir).sample("a_flow", 3, temperature=0.5, tempo_bpm=96, seed=5)
    for path, take in zip(files, takes, strict=True):
        read = read_midi(path).groove
        assert read.n_bars == 4
        assert read.tempo_bpm == pytest.approx(96)
        assert np.array_equal(read.hits, take.groove.repeated(4).hits)


def test_a_checkpoint_with_a_dot_in_its_name_has_a_file_for_each_groove(
    run, checkpoints_dir, tmp_path
):
    mine = shutil.copytree(checkpoints_dir / "a_flow", tmp_path / "mine.v2")
    assert run("sample", mine, "-n", 2, "--out", tmp_path / "out")[0] == 0
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["mine-v2_seed0_00.mid", "mine-v2_seed0_01.mid"]


@pytest.mark.usefixtures("sound")
def test_sample_writes_sound_beside_each_file(run, checkpoints_dir, tmp_path):
    options = ("-n", 2, "--wav", "--tempo", 240, "--kit", Studio(checkpoints_dir).kits()[0])
    assert run("sample", checkpoints_dir / "a_flow", *options, "--out", tmp_path)[0] == 0
    waves = sorted(tmp_path.glob("*.wav"))
    assert len(waves) == len(list(tmp_path.glob("*.mid"))) == 2
    assert seconds_of(waves[0]) == pytest.approx(2.0, abs=0.001)  # eight beats at 240 bpm


@pytest.mark.usefixtures("sound")
@pytest.mark.parametrize(
    ("options", "message"),
    [(("--kit", "Nope"), "No kit is called 'Nope'"), (("--bars", 1000), "the limit is 6")],
)
def test_a_sound_that_cannot_be_made_is_refused_before_a_file_is_written(
    run, checkpoints_dir, tmp_path, options, message
):
    out = tmp_path / "out"
    code, _, err = run("sample", checkpoints_dir / "a_flow", "--wav", *options, "--out", out)
    assert (code, message in err) == (2, True)
    assert not list(out.iterdir())


@pytest.mark.usefixtures("sound")
def test_render_writes_a_loop_and_says_what_was_read(run, midi_file, tmp_path):
    code, out, _ = run("render", midi_file, tmp_path / "out.wav")
    assert code == 0
    assert out.strip() == read_midi(midi_file).summary
    assert seconds_of(tmp_path / "out.wav") == pytest.approx(2.0, abs=0.001)
    assert run("render", midi_file, tmp_path / "fast.wav", "--tempo", 240)[0] == 0
    assert seconds_of(tmp_path / "fast.wav") == pytest.approx(1.0, abs=0.001)


@pytest.mark.usefixtures("sound")
def test_render_reads_a_track_as_drums(run, tmp_path):
    (tmp_path / "in.mid").write_bytes(without_drum_channel())
    command = ("render", tmp_path / "in.mid", tmp_path / "out.wav")
    assert "2 tracks are read together as drums: Beat, Beat (2)." in run(*command)[1]
    for text in ("Beat (2)", "1"):
        code, out, _ = run(*command, "--track", text)
        assert (code, out.startswith("1 of 3 notes read")) == (0, True)


def test_evaluate_prints_one_json_object(run, checkpoints_dir, midi_folder, monkeypatch):
    monkeypatch.setattr(evaluate_module, "judge_auc", lambda *_: 0.5)
    command = ("evaluate", checkpoints_dir / "groove_2bar", "--data", midi_folder, "--limit", 4)
    code, out, _ = run(*command, "--json")
    assert (code, out.count("\n")) == (0, 1)
    metrics = json.loads(out)
    assert (metrics["n_examples"], metrics["split"]) == (4, "test")
    assert json.loads(run(*command)[1]) == metrics
    assert json.loads(run(*command, "--split", "train")[1])["split"] == "train"


BAD = {
    "no data": "data --data {tmp}/nowhere",
    "no MIDI": "data --data {empty}",
    "no preset": "train --preset drums --data {midi} --out {tmp}/out",
    "no field": "train --preset drums_2bar_tiny --data {midi} --out {tmp}/out --set z=3",
    "no number": "train --preset drums_2bar_tiny --data {midi} --out {tmp}/out --set beta=much",
    "out of range": "train --preset drums_2bar_tiny --data {midi} --out {tmp}/out --set z_size=0",
    "great seed": "train --preset drums_2bar_tiny --data {midi} --out {tmp}/out "
    "--set seed=4294967296",
    "too few": "train --preset drums_2bar_tiny --data {midi} --out {tmp}/out --set batch_size=999",
    "out is a file": "train --preset drums_2bar_tiny --data {midi} --out {file}",
    "no checkpoint": "sample {tmp}/nowhere --out {tmp}/out",
    "no learned prior": "sample {models}/groove_2bar --out {tmp}/out",
    "none": "sample {models}/a_flow -n 0 --out {tmp}/out",
    "too many": "sample {models}/a_flow -n 5000 --out {tmp}/out",
    "too hot": "sample {models}/a_flow --temperature 3 --out {tmp}/out",
    "no temperature": "sample {models}/a_flow --temperature nan --out {tmp}/out",
    "too slow": "sample {models}/a_flow --tempo 5 --out {tmp}/out",
    "negative seed": "sample {models}/a_flow --seed -1 --out {tmp}/out",
    "no bars": "sample {models}/a_flow --bars 0 --out {tmp}/out",
    "negative bars": "sample {models}/a_flow --bars -2 --out {tmp}/out",
    "no room": "sample {models}/a_flow --out {file}",
    "no file": "render {tmp}/nowhere.mid {tmp}/out.wav",
    "no MIDI file": "render {file} {tmp}/out.wav",
    "no tempo": "render {song} {tmp}/out.wav --tempo 0",
    "no kit": "render {song} {tmp}/out.wav --kit marimba",
    "no font": "render {song} {tmp}/out.wav --soundfont {tmp}/no.sf2",
    "no folder": "render {song} {tmp}/nowhere/out.wav",
    "nothing to evaluate": "evaluate {tmp}/nowhere --data {midi}",
    "no limit": "evaluate {models}/groove_2bar --data {midi} --limit 0",
    "negative evaluation seed": "evaluate {models}/groove_2bar --data {midi} --limit 2 --seed -1",
}


@pytest.mark.parametrize("command", BAD.values(), ids=BAD.keys())
def test_a_bad_value_ends_in_one_sentence(
    run, command, tmp_path, midi_folder, checkpoints_dir, midi_file
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("in the way")
    places = {
        "tmp": tmp_path,
        "empty": tmp_path / "empty",
        "file": tmp_path / "file",
        "midi": midi_folder,
        "models": checkpoints_dir,
        "song": midi_file,
    }
    code, _, err = run(*command.format(**places).split())
    assert code == 2
    assert err.splitlines()[-1].startswith("error: ")
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.glob("out.*"))


@pytest.mark.parametrize(
    "command",
    [
        "fit-prior x --data x",
        "experiment ablation --preset drums_2bar_tiny --data x",
        "experiment trade-off x --data x",
        "experiment long-term --data x",
        "experiment interpolation x --data x",
        "experiment attributes x --data x",
        "experiment feel x --data x",
        "sample x",
        "interpolate x x x",
    ],
)
def test_a_folder_is_refused_before_the_work_that_would_fill_it(run, tmp_path, command):
    (tmp_path / "file").write_text("in the way")
    code, _, err = run(*command.split(), "--out", tmp_path / "file")
    assert (code, "a file is in the way" in err) == (2, True)


@pytest.mark.usefixtures("full_disk")
def test_samples_on_a_full_disk_leave_no_partial_file(run, checkpoints_dir, tmp_path):
    code, _, err = run("sample", checkpoints_dir / "a_flow", "--out", tmp_path / "out")
    assert (code, "No space left" in err) == (2, True)
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.usefixtures("sound", "full_disk")
def test_a_sound_on_a_full_disk_leaves_the_old_file(run, midi_file, tmp_path):
    (tmp_path / "out.wav").write_text("old")
    assert run("render", midi_file, tmp_path / "out.wav")[0] == 2
    assert (tmp_path / "out.wav").read_text() == "old"


OUT_OF_RANGE = [
    ("sample x --out x --bars 0", "1 to 1000"),
    ("sample x --out x --bars 1000000000000", "1 to 1000"),
    ("fit-prior x --data x --out x --steps 0", "1 to 10000000"),
    ("fit-prior x --data x --out x --steps -3", "1 to 10000000"),
    ("fit-prior x --data x --out x --batch-size 0", "1 to 65536"),
    ("fit-prior x --data x --out x --batch-size -3", "1 to 65536"),
    ("fit-prior x --data x --out x --seed 99999999999999999999", "0 to 4294967295"),
    ("atlas x --data x --seed -1", "0 to 4294967295"),
    ("atlas x --data x --windows 0", "1 to 1000000"),
    ("evaluate x --data x --seed 4294967296", "0 to 4294967295"),
    ("evaluate x --data x --limit -5", "1 to 1000000"),
    ("interpolate x x x --out x --seed -1", "0 to 4294967295"),
    ("interpolate x x x --out x --bars 1001", "1 to 1000"),
    ("experiment interpolation x --data x --out x --pairs -1", "1 to 100000"),
    ("experiment interpolation x --data x --out x --seed -1", "0 to 4294967295"),
    ("experiment attributes x --data x --out x --windows 0", "1 to 1000000"),
    ("experiment feel x --data x --out x --windows -1", "1 to 1000000"),
    ("experiment long-term --data x --out x --steps 0", "1 to 10000000"),
    ("experiment trade-off x --data x --out x --prior-steps -3", "1 to 10000000"),
    ("experiment feel x --data x --out x --seed one", "a whole number"),
]


@pytest.mark.parametrize(("command", "limits"), OUT_OF_RANGE)
def test_a_number_out_of_range_is_refused_before_anything_is_read(run, command, limits):
    *_, option, text = command.split()
    value = repr(text) if text.isalpha() else text
    assert run(*command.split()) == (2, "", f"error: {option} is {value}; it must be {limits}.\n")


@pytest.mark.parametrize("arguments", [[], ["dance"], ["data"], ["sample"]])
def test_a_command_that_does_not_exist_ends_with_the_usage(run, arguments):
    code, _, err = run(*arguments)
    assert code == 2
    assert err.startswith("usage: python -m musicvae_core")


def test_help_names_every_command(run):
    code, out, _ = run("--help")
    assert code == 0
    for command in ("data", "train", "fit-prior", "evaluate", "sample", "render", "bench"):
        assert f"    {command} " in out


def test_the_package_runs_as_a_module_and_needs_no_torch_to_refuse(tmp_path):
    program = "import runpy, sys; sys.argv[1:] = ['render', 'no.mid', 'out.wav']\n" + (
        "try: runpy.run_module('musicvae_core', run_name='__main__')\n"
        "except SystemExit as stop: print(stop.code, 'torch' in sys.modules)"
    )
    root = Path(__file__).parent.parent
    under_ci = {**os.environ, "CI": "true"}  # pyfluidsynth prints there when it is imported
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=root, env=under_ci, capture_output=True, text=True
    )
    assert done.stdout.split() == ["2", "False"]
    assert done.stderr.startswith("error: ")
