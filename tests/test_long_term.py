"""The experiment of long pieces: it trains once, measures what it says, and writes it down."""

import json

import numpy as np
import pytest
import torch
from tiny_data import dataset_of, drummed_groove, features_of

from musicvae_core.cli.main import main
from musicvae_core.errors import ConfigError
from musicvae_core.evaluation.experiments import long_term as long_term_module
from musicvae_core.evaluation.experiments.long_term import (
    _PAPER,
    _PRESETS,
    _accuracy_by_bar,
    _draw,
    _table,
    long_term,
    train_or_load,
)
from musicvae_core.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from musicvae_core.models.kinds import build
from musicvae_core.models.presets import preset
from musicvae_core.models.reconstruction import reconstruction_metrics
from musicvae_core.training import fit_prior as fit_prior_module
from musicvae_core.training import train as train_module
from musicvae_core.training.fit_prior import PriorTraining

N_STEPS = 2


@pytest.fixture(autouse=True)
def _tiny_sizes(monkeypatch):
    tiny = {name: f"{preset_name}_tiny" for name, preset_name in _PRESETS.items()}
    monkeypatch.setattr(long_term_module, "_PRESETS", tiny)
    monkeypatch.setattr(long_term_module, "MAX_GENERATED", 6)
    short = PriorTraining(n_steps=N_STEPS, batch_size=8)
    monkeypatch.setattr(fit_prior_module, "prior_training", lambda model: short)
    monkeypatch.setattr(long_term_module, "write_figure", lambda figure, path: path)


@pytest.fixture(scope="module")
def dataset():
    rng = np.random.default_rng(3)
    counts = {"train": 8, "validation": 2, "test": 2}
    return dataset_of({s: [drummed_groove(rng, 17) for _ in range(n)] for s, n in counts.items()})


@pytest.fixture
def steps(monkeypatch):
    """Collect the presets whose training steps are taken."""
    taken = []
    plain = train_module.train_step
    monkeypatch.setattr(
        train_module,
        "train_step",
        lambda run, given: taken.append(run.preset.name) or plain(run, given),
    )
    return taken


def tiny(name):
    torch.manual_seed(0)
    return Checkpoint.new(preset(f"{name}_tiny"))


def test_models_are_trained_only_once(dataset, tmp_path, steps):
    models = train_or_load(dataset, tmp_path, {}, N_STEPS, "cpu")
    names = ("hier", "flat", "one_z")
    assert steps == [f"drums_16bar_{name}_tiny" for name in names for _ in range(N_STEPS)]
    assert [one.config.conductor_size > 0 for one in models.values()] == [False, True, True]
    assert [one.config.n_z_parts for one in models.values()] == [1, 1, 16]
    encoders = [one.model.encoder.state_dict() for one in models.values()]
    for name, weights in encoders[-1].items():
        assert all(torch.equal(one[name], weights) for one in encoders)
    assert all(one.prior is not None for one in models.values())
    steps.clear()
    again = train_or_load(dataset, tmp_path, {}, N_STEPS, "cpu")
    assert steps == []
    for name, one in models.items():
        assert again[name].fingerprint() == one.fingerprint()


def test_given_checkpoints_are_not_trained(dataset, tmp_path, steps):
    save_checkpoint(tiny("drums_16bar_hier"), tmp_path / "mine")
    given = dict.fromkeys(("hierarchical", "hierarchical, one z"), tmp_path / "mine")
    models = train_or_load(dataset, tmp_path / "out", given, N_STEPS, "cpu")
    assert set(steps) == {"drums_16bar_flat_tiny"}
    assert models["hierarchical"].prior is None
    assert list(models) == ["flat", "hierarchical, one z", "hierarchical"]


def test_models_of_other_lengths_are_refused_before_any_is_measured(dataset, tmp_path):
    models = {"flat": tiny("drums_16bar_flat"), "short": tiny("groove_2bar")}
    with pytest.raises(ConfigError, match="flat 16, short 2"):
        long_term(models, dataset, tmp_path)


def test_every_model_has_its_row(dataset, tmp_path):
    models = {"flat": tiny("drums_16bar_flat"), "with feel": tiny("groove_16bar")}
    report = long_term(models, dataset, tmp_path)
    assert json.loads((tmp_path / "long_term.json").read_text()) == report
    assert report["n_windows"] == {"train": 16, "test": 4}
    assert report["lags"] == [1, 2, 4, 8]
    windows = dataset.windows("test", 16)
    for name, checkpoint in models.items():
        row = report["models"][name]
        wanted = reconstruction_metrics(checkpoint.model, windows.features, windows.tempos_bpm)
        assert row["test"]["sampling_accuracy"] == wanted["sampling_accuracy"]
        assert len(row["test"]["by_bar"]) == 16
        assert np.mean(row["test"]["by_bar"]) == pytest.approx(wanted["sampling_accuracy"])
        assert row["prior"] == "normal"
        assert len(row["similarity"]) == 4
    text = (tmp_path / "long_term.md").read_text()
    assert "0.884 and 0.549" in text
    assert "with feel, from N(0, I)" in text


def test_the_accuracy_of_a_bar_is_that_of_its_steps(monkeypatch):
    model = build(preset("drums_16bar_hier_tiny").model).eval()
    features = features_of([drummed_groove(np.random.default_rng(n), 16) for n in range(3)])
    wrong = torch.from_numpy(features[..., :9].copy())
    wrong[:, 2 * 16 : 2 * 16 + 4] = 1 - wrong[:, 2 * 16 : 2 * 16 + 4]  # a beat of bar 3
    wrong[0, 15 * 16 :] = 1 - wrong[0, 15 * 16 :]  # the last bar of the first window
    monkeypatch.setattr(model, "decode", lambda *_: wrong)
    expected = [1.0] * 16
    expected[2], expected[15] = 0.75, pytest.approx(2 / 3)
    assert _accuracy_by_bar(model, features) == expected


REPORT = {
    "n_windows": {"train": 5, "test": 4},
    "lags": [1, 8],
    "real": {"train": [0.9, 0.8], "test": [0.7, 0.6]},
    "models": {
        name: {
            "parameters": 1000,
            "prior": "learned",
            "similarity": [0.5, 0.25],
            "train": {"teacher_forcing_accuracy": 0.9, "sampling_accuracy": 0.8},
            "test": {
                "teacher_forcing_accuracy": 0.7,
                "sampling_accuracy": 0.6,
                "by_bar": [0.6] * 16,
            },
        }
        for name in ("flat", "hierarchical", "ablated")
    },
}


def test_the_table_has_the_paper_beside():
    rows = {line.split(" | ")[0]: line for line in _table(REPORT).splitlines()[2:8]}
    assert rows["| flat"].split(" | ")[2:] == [
        *("0.7000", "0.6000", "0.9000", "0.8000"),
        "0.884 and 0.549 |",
    ]
    assert rows["| hierarchical"].endswith("| 0.928 and 0.879 |")
    assert rows["| ablated"].endswith("| - |")
    assert _PAPER.keys() <= rows.keys() | _PRESETS.keys()


def test_the_figure_has_a_line_for_each_model_and_for_real_music():
    figure = _draw(REPORT)
    lines = {(line.name, line.xaxis): tuple(line.y) for line in figure.data}
    assert len(lines) == 3 * 2 + 2
    assert lines["flat", "x"] == (0.6,) * 16
    assert lines["real, test", "x2"] == (0.7, 0.6)


def test_the_command_trains_measures_and_prints(dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("musicvae_core.data.dataset.load_dataset", lambda _: dataset)
    save_checkpoint(tiny("drums_16bar_hier"), tmp_path / "mine")
    words = ["experiment", "long-term", "--data", "x", "--out", tmp_path / "out", "--steps", 2]
    for option in ("--flat", "--one-z", "--hier"):
        words += [option, tmp_path / "mine"]
    words += ["--also", f"no direct paths={tmp_path / 'mine'}"]
    assert main([str(word) for word in words]) == 0
    assert "| no direct paths |" in capsys.readouterr().out
    assert load_checkpoint(tmp_path / "mine").config.conductor_size


@pytest.mark.parametrize("text", ["path", "=path", "name="])
def test_a_row_without_a_name_or_a_checkpoint_is_refused(text, tmp_path, capsys):
    words = ["experiment", "long-term", "--data", "x", "--out", str(tmp_path), "--also", text]
    assert main(words) == 2
    assert "NAME=CHECKPOINT" in capsys.readouterr().err
