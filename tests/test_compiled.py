"""Compiled models: the same music and the same training as uncompiled ones, to rounding."""

import copy
import shutil

import numpy as np
import pytest
import torch
from tiny_data import drummed_groove
from tiny_lab import cells_of, differing, tiny_checkpoint, tiny_lab

from musicvae_core.cli import bench as bench_module
from musicvae_core.cli.bench import speed_table
from musicvae_core.errors import ConfigError
from musicvae_core.lab.options import Sampling
from musicvae_core.lab.tools import Lab
from musicvae_core.models import compiled as compiled_module
from musicvae_core.models.compiled import compile_model
from musicvae_core.models.kinds import build
from musicvae_core.models.musicvae import make_batch
from musicvae_core.models.presets import override, preset
from musicvae_core.music.drums import KICK
from musicvae_core.training.run import Run
from musicvae_core.training.train import fabric_on, train_step

KINDS = ["groove_2bar_tiny", "drums_16bar_hier_tiny", "melody_2bar_tiny", "trio_16bar_tiny"]
needs_a_compiler = pytest.mark.skipif(
    not shutil.which("g++") and not shutil.which("clang++"), reason="there is no C++ compiler here"
)


def decoded(model, temperature, n=3):
    z = torch.randn(n, model.config.z_size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        return model.decode(z, temperature, torch.Generator().manual_seed(1))


def assert_alike(one, other):
    """A step whose likeliest classes are nearly even may fall either way, and those after it."""
    assert one.shape == other.shape
    assert torch.isclose(one, other, atol=1e-4).float().mean() > 0.99


@pytest.fixture
def steps_in_plain(monkeypatch):
    """Take the plain steps without compiling them."""
    monkeypatch.setattr(compiled_module, "_compiled_step", lambda _: compiled_module._take_step)


@pytest.mark.usefixtures("steps_in_plain")
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("name", [*KINDS, "groove_16bar_tiny"])
def test_the_plain_steps_make_the_same_as_the_fast_ones(name, temperature):
    torch.manual_seed(0)
    model = build(preset(name).model).eval()
    plain = build(preset(name).model).eval()
    compile_model(plain, "eager")
    for _ in range(2):
        plain.load_state_dict(model.state_dict())  # what was made of other weights is not kept
        assert_alike(decoded(plain, temperature), decoded(model, temperature))
        with torch.no_grad():
            for weights in model.parameters():
                weights.mul_(1.5)


def test_a_compiled_lab_keeps_what_is_held():
    groove, how = drummed_groove(np.random.default_rng(0), 4), {"voices": [KICK], "bars": [1]}
    expected = tiny_lab().fill_in(groove, **how, sampling=Sampling(seed=3))
    fresh = copy.deepcopy(tiny_checkpoint())
    compile_model(fresh.model, "eager")
    made = Lab(fresh).fill_in(groove, **how, sampling=Sampling(seed=3))
    assert differing(made, expected).mean() < 0.01
    assert not differing(made, groove)[~cells_of(groove, **how)].any()


def losses_of(name, **how):
    """Return the losses of three steps, compiled or not."""
    chosen = override(preset(name), ["sampling_rate=20", "dropout=0.1"])
    run = Run(chosen, fabric_on(), **how)
    shape = (8, chosen.model.n_steps, run.model.n_features)
    features = (np.random.default_rng(0).random(shape) < 0.13).astype(np.float32)
    batches = (make_batch(run.model, features, run.config, step) for step in range(3))
    return [float(train_step(run, batch)["loss/total"]) for batch in batches]


@pytest.mark.slow
@needs_a_compiler
def test_compiled_training_and_decoding_are_those_of_the_model():
    compiled = losses_of("drums_2bar_tiny", compiled=True)
    assert compiled == pytest.approx(losses_of("drums_2bar_tiny"), rel=1e-3)
    model = build(preset("drums_2bar_tiny").model).eval()
    expected = decoded(model, 1.0)
    compile_model(model)
    assert_alike(decoded(model, 1.0), expected)


def test_without_a_compiler_the_message_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(ConfigError, match=r"C\+\+ compiler.*--compile"):
        compile_model(build(preset("drums_2bar_tiny").model))


@pytest.mark.parametrize("name", ["drums_2bar", "groove_2bar"])
def test_the_table_has_a_row_for_every_batch(name, checkpoints_dir, monkeypatch):
    monkeypatch.setattr(bench_module, "_SECONDS", 0.0)
    monkeypatch.setattr(bench_module, "_BATCHES", (1, 8))
    monkeypatch.setattr(bench_module, "_TRAIN_BATCHES", (8,))
    monkeypatch.setattr(bench_module, "_COPIED_BYTES", 2**16)
    monkeypatch.setattr(bench_module, "compile_model", lambda _: None)
    monkeypatch.setattr("musicvae_core.training.run.compile_model", lambda _: None)
    lines = speed_table(checkpoints_dir / name, "cpu").splitlines()
    assert lines[0].startswith(f"{name}, cpu, memory ")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[4:]]
    assert [row[:2] for row in rows] == [["loops", "1"], ["loops", "8"], ["trained on", "8"]]
    for row in rows[:2]:
        plain, fast, limit = (float(cell.replace(",", "")) for cell in row[2:5])
        assert float(row[5].rstrip("%")) == pytest.approx(100 * max(plain, fast) / limit, abs=0.2)


def test_a_loop_of_a_large_batch_moves_less_than_one_alone():
    model = build(preset("groove_2bar_tiny").model)
    alone, shared = (bench_module._bytes_per_loop(model, n, torch.device("cpu")) for n in (1, 64))
    weights = sum(
        one.numel() for part in (model.decoder.lstm, model.head) for one in part.parameters()
    )
    assert alone - shared == pytest.approx(4 * 32 * weights * (1 - 1 / 64))
