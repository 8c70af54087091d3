"""The style probe: on styles that can be told apart, on styles that cannot, and by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tiny_data

from musicvae_core.cli.main import main
from musicvae_core.evaluation.experiments import choices
from musicvae_core.evaluation.experiments.choices import probe_style
from musicvae_core.latent.fit import build_atlas
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.music.drums import CLOSED_HAT, RIDE

N_PERFORMANCES = {"train": 8, "validation": 4, "test": 4}


def labelled(style_of):
    """Beats on the hi-hat, and on the ride in every other performance; styles by `style_of`."""
    rng = np.random.default_rng(4)
    splits = {}
    for split, n in N_PERFORMANCES.items():
        splits[split] = [tiny_data.drummed_groove(rng, 8) for _ in range(n)]
        for groove in splits[split][1::2]:
            for array in (groove.hits, groove.velocities, groove.offsets):
                array.flags.writeable = True
                array[:, [CLOSED_HAT, RIDE]] = array[:, [RIDE, CLOSED_HAT]]
    dataset = tiny_data.dataset_of(splits)
    dataset.labels = [
        replace(label, style=style_of(index)) for index, label in enumerate(dataset.labels)
    ]
    return dataset


@pytest.fixture(scope="module")
def checkpoint(checkpoints_dir):
    return load_checkpoint(checkpoints_dir / "groove_2bar")


def test_styles_that_can_be_told_apart_are_found(checkpoint):
    dataset = labelled(lambda index: ("funk", "jazz")[index % 2])
    report = probe_style(checkpoint, dataset, build_atlas(checkpoint, dataset))
    assert (report["n_windows"], report["n_performances"], report["n_styles"]) == (28, 4, 2)
    half = {"accuracy": 0.5, "balanced": 0.5, "by_performance": 0.5}
    assert report["majority"] == half | {"style": "funk"}
    for name in ("linear", "map", "space"):
        assert report[name]["accuracy"] > 0.9
        assert report[name]["by_performance"] == 1.0


def test_styles_that_are_only_names_are_not_found(checkpoint):
    styles = np.random.default_rng(0).permuted(["funk", "jazz"] * 8)
    dataset = labelled(lambda index: str(styles[index]))
    report = probe_style(checkpoint, dataset, build_atlas(checkpoint, dataset))
    assert all(report[name]["by_performance"] < 1.0 for name in ("linear", "map", "space"))


def test_the_report_is_what_one_counts_by_hand():
    names = np.array(["a", "b"])
    scores = np.array([[0.9, 0.1], [0.4, 0.6], [0.4, 0.6], [0.2, 0.8]])
    test = choices._Labelled(
        np.zeros((4, 2), np.float32), np.array(["a", "a", "a", "b"]), np.array([0, 0, 1, 2])
    )
    assert choices._report(names, scores, test) == {
        "accuracy": 0.5,
        "balanced": pytest.approx((1 / 3 + 1) / 2),
        "by_performance": pytest.approx(2 / 3),  # the first two windows together say "a"
    }


@pytest.fixture
def folder(checkpoints_dir, tmp_path):
    """A checkpoint of the test's own."""
    made = tmp_path / "groove_2bar"
    made.mkdir()
    for name in ("model.safetensors", "config.json"):
        (made / name).write_bytes((checkpoints_dir / "groove_2bar" / name).read_bytes())
    return made


def with_styles(midi_folder, target):
    """Copy MIDI files beside an info.csv that gives each a split and a style."""
    lines = ["midi_filename,split,drummer,style,beat_type,time_signature"]
    target.mkdir()
    for index, path in enumerate(sorted(midi_folder.glob("*.mid"))):
        split = ("train", "train", "train", "validation", "test")[index % 5]
        lines.append(f"{path.name},{split},drummer1,{('funk', 'jazz')[index % 2]},beat,4-4")
        (target / path.name).write_bytes(path.read_bytes())
    (target / "info.csv").write_text("\n".join(lines))
    return target


def test_the_commands_leave_an_atlas_and_a_report_beside_the_weights(
    folder, tmp_path, midi_folder, own_cache, capsys
):
    data = ["--data", str(with_styles(midi_folder, tmp_path / "data"))]
    assert main(["experiment", "style", str(folder), *data]) == 2
    assert "There is no atlas" in capsys.readouterr().err
    assert main(["atlas", str(folder), *data, "--windows", "30"]) == 0
    assert "36 windows of 12 performances" in capsys.readouterr().out
    assert main(["experiment", "style", str(folder), *data]) == 0
    assert json.loads((folder / "style.json").read_text())["n_performances"] == 4


def test_music_without_styles_is_refused_in_a_sentence(folder, midi_folder, own_cache, capsys):
    data = ["--data", str(midi_folder)]
    assert main(["atlas", str(folder), *data]) == 0
    assert main(["experiment", "style", str(folder), *data]) == 2
    assert "two styles" in capsys.readouterr().err
