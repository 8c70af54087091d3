"""Measuring models of melodies: exactness by collection, copies in any key, the judge."""

import numpy as np
import pytest
import torch
from test_lines_data import archive

from musicvae_core.data.lines import load_lines
from musicvae_core.evaluation.metrics import (
    _attributes,
    _copied_share,
    _distinct_share,
    evaluate_lines,
)
from musicvae_core.evaluation.realism import judge_tables
from musicvae_core.models.checkpoint import Checkpoint, load_checkpoint
from musicvae_core.models.presets import preset
from musicvae_core.models.reconstruction import reconstruction_metrics
from musicvae_core.music.line import (
    FIRST_PITCH_CLASS,
    LINE_CLASSES,
    Line,
    Note,
    line_to_classes,
)
from musicvae_core.music.line_attributes import line_attributes
from musicvae_core.studio import SHIPPED_CHECKPOINTS, Studio


def walk(rng, n_bars=4, step=4, largest=2):
    """Return a melody that walks up and down, a note every few steps."""
    pitches = 66 + np.cumsum(rng.integers(-largest, largest + 1, 16 * n_bars // step))
    notes = [Note(step * i, step, int(pitch), 0.8) for i, pitch in enumerate(pitches.clip(40, 90))]
    return Line.from_notes(notes, n_bars)


@pytest.fixture
def dataset(tmp_path):
    rng = np.random.default_rng(0)
    splits = ["train"] * 30 + ["test"] * 6
    rows = [(f"{i}.mid", f"set {i % 2}", split, walk(rng)) for i, split in enumerate(splits)]
    return load_lines(archive(tmp_path / "melody_walks.zip", rows))


def test_evaluate_reports_exactness_by_collection_and_realism(dataset):
    torch.manual_seed(0)
    checkpoint = Checkpoint.new(preset("melody_2bar_tiny"))
    checkpoint.model.eval()
    report = evaluate_lines(checkpoint, dataset, "test", seed=1)
    assert report["n_examples"] == 18
    accuracies = report["collections"]
    assert set(accuracies) == {"set 0", "set 1"}
    assert report["sampling_accuracy"] == pytest.approx(np.mean(list(accuracies.values())))
    prior = report["prior"]
    assert prior["name"] == "normal"
    assert prior["auc"] > 0.95  # an untrained model is told from walks at once
    assert 0.3 < prior["auc_floor"] < 0.7
    assert set(prior["features"]) >= {"note_density", "average_interval", "c_diatonic"}
    again = evaluate_lines(checkpoint, dataset, "test", limit=5, seed=1)
    assert again["n_examples"] == 5
    assert again["prior"] == prior


def test_the_judge_tells_leaps_from_steps_and_not_steps_from_steps():
    rng = np.random.default_rng(0)

    def table(largest):
        lines = [walk(rng, 2, largest=largest) for _ in range(120)]
        columns = _attributes(np.array([line_to_classes(line) for line in lines]))
        return np.stack(list(columns.values()), axis=1)

    tunes = np.repeat(np.arange(60), 2)
    assert judge_tables(table(9), table(2), tunes).auc() > 0.9
    assert judge_tables(table(2), table(2), tunes).auc() < 0.65


def test_copies_are_found_in_any_key_and_repeats_are_not_distinct():
    rng = np.random.default_rng(0)
    source = np.array([line_to_classes(walk(rng, 2)) for _ in range(4)], np.uint8)
    moved = np.where(source >= FIRST_PITCH_CLASS, source + 5, source)
    other = source.copy()
    other[:, 0] += 1
    assert _copied_share(moved, source) == 1
    assert _copied_share(np.concatenate([moved[:1], other[:1]]), source) == 0.5
    assert _distinct_share(source) == 1
    assert _distinct_share(source[[0, 0, 1, 2]]) == 0.5


def test_the_shipped_model_gives_back_folk_like_tunes_and_stays_near_a_key():
    checkpoint = load_checkpoint(SHIPPED_CHECKPOINTS / "melody_2bar")
    scale = np.array([60, 62, 64, 65, 67, 69, 71, 72, 74, 76])
    rng = np.random.default_rng(0)

    def tune():
        at = (4 + np.cumsum(rng.integers(-2, 3, 16))).clip(0, 9)
        notes = [Note(2 * i, 2, int(pitch), 0.8) for i, pitch in enumerate(scale[at])]
        return line_to_classes(Line.from_notes(notes, 2))

    classes = np.array([tune() for _ in range(64)])
    features = LINE_CLASSES.table[classes]
    measured = reconstruction_metrics(checkpoint.model, features, np.full(64, 120.0))
    assert measured["sampling_accuracy"] > 0.95
    samples = [take.groove for take in Studio().sample("melody_2bar", 64, seed=3)]
    fits = [line_attributes(line)["key_fit"] for line in samples]
    assert np.mean(fits) > 0.85
    assert len(set(samples)) == 64
