"""The attribute experiment: its rows, its files, and what it finds where the truth is known."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from tiny_data import dataset_of, drummed_groove

from musicvae_core.cli.main import main
from musicvae_core.evaluation.experiments import attributes as experiment
from musicvae_core.evaluation.experiments.attributes import _spearman, attribute_experiment, misses
from musicvae_core.latent.attribute_vectors import AttributeVectors
from musicvae_core.latent.fit import fit_vectors
from musicvae_core.latent.steering import Steered
from musicvae_core.models.checkpoint import load_checkpoint


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 25, 900], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 2, 3, 4], [5, 5, 5, 5], 0.0),
        ([1, 2, 2, 3], [1, 2, 2, 3], 1.0),
        ([1, 2, 3, 4, 5], [2, 1, 4, 3, 5], 0.8),
    ],
)
def test_spearman_correlation(first, second, expected):
    assert _spearman(np.array(first, float), np.array(second, float)) == pytest.approx(expected)


@pytest.fixture
def two_sliders():
    """Two sliders over four windows: the first does as told and drags a third of itself along."""
    vectors = AttributeVectors(
        fingerprint="",
        controls=("kick_activity", "swing"),
        labels=(),
        deviations=np.array([2.0, 0.1]),
        lowest=np.array([0.0, -0.2]),
        highest=np.array([8.0, 0.2]),
        plain=np.zeros((2, 3)),
        corrected=np.zeros((2, 3)),
        metric=np.eye(2),
        styles=np.zeros((0, 3)),
    )
    before = np.zeros((8, 2))
    targets, after = np.full((8, 2), np.nan), np.zeros((8, 2))
    targets[0::2, 0] = after[0::2, 0] = [2.0, 4.0, 6.0, 8.0]
    after[0::2, 1] = 0.1 * np.array([0.25, 0.5, 0.75, 1.0])
    targets[1::2, 1] = [-0.2, -0.1, 0.1, 0.2]
    after[1::2, 1] = [0.1, 0.0, -0.1, -0.2]
    nothing = np.zeros((8, 1))
    return vectors, targets, Steered(nothing, nothing, before, after)


def test_rows_say_how_far_each_slider_went_and_what_it_dragged_along(two_sliders):
    vectors, targets, steered = two_sliders
    rows, moved = experiment._slider_rows(vectors, targets, steered)
    kick, swing = rows["kick_activity"], rows["swing"]
    assert kick["spearman"] == pytest.approx(1.0)
    assert kick["error"] == 0.0
    assert kick["moved"] == pytest.approx(2.5)
    assert kick["others"] == kick["worst"] == pytest.approx(0.625 / 2.5)
    assert kick["of"] == kick["systematic_of"] == "swing"
    assert kick["systematic"] == pytest.approx(0.25), "a quarter of each step, of its sign"
    assert swing["spearman"] == pytest.approx(-1.0)
    assert swing["others"] == 0.0
    assert np.array(moved) == pytest.approx(np.array([[2.5, 0.625], [0.0, 1.0]]))


def test_scatter_moves_others_but_goes_with_nothing(two_sliders):
    vectors, targets, steered = two_sliders
    after = steered.after.copy()
    after[0::2, 0] = [4.0, 4.0, -4.0, -4.0]
    after[0::2, 1] = [0.05, -0.05, 0.05, -0.05]
    rows, _ = experiment._slider_rows(vectors, targets, replace(steered, after=after))
    assert rows["kick_activity"]["worst"] == pytest.approx(0.25)
    assert rows["kick_activity"]["systematic"] == pytest.approx(0.0)


def test_an_attribute_that_was_set_too_is_not_one_of_the_others(two_sliders):
    vectors, targets, steered = two_sliders
    targets[0::2, 1] = 0.0
    targets[0, 1] = np.nan
    rows, _ = experiment._slider_rows(vectors, targets, steered)
    assert rows["kick_activity"]["others"] == pytest.approx(0.25 / 2.5)


def test_missed_targets_are_reported(two_sliders):
    vectors, targets, steered = two_sliders
    rows, _ = experiment._slider_rows(vectors, targets, steered)
    [text] = misses({"sliders": rows})
    assert text.startswith("swing: Spearman -1.000")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["groove_2bar", "drums_2bar"])
def test_the_report_and_its_files(checkpoints_dir, tiny_dataset, tmp_path, monkeypatch, name):
    monkeypatch.setattr(experiment, "_draw_matrices", lambda _, __, path: path.write_text("drawn"))
    checkpoint = load_checkpoint(checkpoints_dir / name)
    vectors = fit_vectors(checkpoint, tiny_dataset)
    report = attribute_experiment(checkpoint, vectors, tiny_dataset, tmp_path / "out", n=6)
    assert json.loads((tmp_path / "out" / "attributes.json").read_text()) == report
    assert (tmp_path / "out" / "attributes.svg").is_file()
    size = len(vectors.controls)
    for matrix in ("plain", "corrected", "moved"):
        assert np.shape(report[matrix]) == (size, size)
    for part in ("sliders", "real", "together"):
        assert set(report[part]) == set(vectors.controls)
    assert report["n_windows"] == 6
    assert set(report["realism"]) == {"resting", "steered"}
    assert report["styles"] == {}
    if name == "drums_2bar":  # the faster of the two
        again = attribute_experiment(checkpoint, vectors, tiny_dataset, tmp_path / "again", n=6)
        assert again == report


@pytest.mark.parametrize("styles", [("",), ("funk",), ("funk", "jazz")])
def test_styles_that_music_does_not_have_are_left_out(checkpoints_dir, styles):
    checkpoint = load_checkpoint(checkpoints_dir / "groove_2bar")
    rng = np.random.default_rng(0)
    dataset = dataset_of({"train": [drummed_groove(rng, 8) for _ in range(6)]})
    dataset.labels = [
        replace(label, style=styles[at % len(styles)]) for at, label in enumerate(dataset.labels)
    ]
    windows = dataset.windows("train", 2)
    vectors = SimpleNamespace(
        labels=("funk", "rock", "fill"), styled=lambda codes, amounts: codes + 1.0
    )
    codes = np.zeros((len(windows), checkpoint.config.z_size), np.float32)
    rows = experiment._style_rows(checkpoint, vectors, windows, windows, codes)
    assert list(rows) == (["funk"] if len(styles) == 2 else [])
    assert all(0 <= share <= 1 for row in rows.values() for share in row["after"])


def test_the_commands_measure_and_report_the_sliders(
    checkpoints_dir, midi_folder, tmp_path, own_cache, capsys, monkeypatch
):
    monkeypatch.setattr(experiment, "_draw_matrices", lambda *_: None)
    folder = shutil.copytree(checkpoints_dir / "drums_2bar", tmp_path / "drums_2bar")
    data = ["--data", str(midi_folder)]
    assert main(["attribute-vectors", str(folder), *data]) == 0
    out = ["--out", str(tmp_path / "out"), "--windows", "5", "--split", "train"]
    assert main(["experiment", "attributes", str(folder), *data, *out]) == 0
    assert "Sliders that miss a target" in capsys.readouterr().out
    assert (tmp_path / "out" / "attributes.json").is_file()


def test_the_figure_has_a_cell_for_every_pair(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(experiment, "write_figure", lambda figure, path: drawn.append(figure))
    table = [[2.0, -0.5], [0.1, 1.0]]
    report = {"controls": ["kick_activity", "swing"], "plain": table, "corrected": table}
    report["moved"] = [[2.0, 0.5], [0.1, 1.0]]
    experiment._draw_matrices(report, ["Kick", "Swing"], tmp_path / "x.svg")
    [figure] = drawn
    plain, _, sliders = figure.data
    assert list(plain.x) == ["Kick", "Swing"]
    assert np.array(plain.z) == pytest.approx(np.array(table))
    assert sliders.text[0][1] == "0.2", "a quarter of what the kick itself moved"
