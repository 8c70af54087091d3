"""On a CUDA device: the music of a CPU, whole runs of training, a million loops a second."""

import numpy as np
import pytest
import torch
from tiny_data import dataset_of, drummed_groove

from musicvae_core.cli.bench import bench
from musicvae_core.latent.codes import sample_codes
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.models.compiled import compile_model
from musicvae_core.models.lab import GrooveLab
from musicvae_core.models.presets import override, preset
from musicvae_core.music.drums import N_VOICES
from musicvae_core.studio import SHIPPED_CHECKPOINTS
from musicvae_core.training import train as train_module
from musicvae_core.training.train import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]

N_CODES = 64
MODELS = ["drums_2bar", "groove_2bar", "drums_16bar_hier", "groove_16bar"]
RUN = ["n_steps=20", "validate_every=10", "batch_size=8"]


def dataset_of_bars(n_bars):
    """Return six train performances of so many bars, and two to validate."""
    rng = np.random.default_rng(0)
    return dataset_of(
        {
            split: [drummed_groove(rng, n_bars) for _ in range(n)]
            for split, n in {"train": 6, "validation": 2}.items()
        }
    )


def played_on(device, model, z, temperature, seed=0):
    """Return hits (N, T, 9) that a model plays of codes on a device."""
    generator = torch.Generator(device).manual_seed(seed)
    with torch.inference_mode():
        drawn = model.to(device).decode(z.to(device), temperature, generator)
    return (drawn[..., :N_VOICES] > 0.5).cpu()


@pytest.mark.parametrize("name", MODELS)
def test_cuda_decodes_and_encodes_as_a_cpu_does(name):
    checkpoint = load_checkpoint(SHIPPED_CHECKPOINTS / name)
    prior = "normal" if checkpoint.prior is None else "learned"
    z = torch.from_numpy(sample_codes(checkpoint, N_CODES, prior, seed=0))
    model = checkpoint.model
    on_cpu = played_on("cpu", model, z, 0.0)
    features = torch.zeros(*on_cpu.shape[:2], model.n_features)
    features[..., :N_VOICES] = on_cpu.float()
    with torch.inference_mode():
        heard, _ = model.encode(features)
    on_cuda = played_on("cuda", model, z, 0.0)
    with torch.inference_mode():
        heard_on_cuda, _ = model.encode(features.cuda())
    assert (on_cpu == on_cuda).all(-1).float().mean() > 0.98
    assert torch.cosine_similarity(heard, heard_on_cuda.cpu()).min() > 0.99


def test_a_seed_repeats_on_cuda():
    model = load_checkpoint(SHIPPED_CHECKPOINTS / "groove_2bar").model
    z = torch.randn(N_CODES, model.config.z_size, generator=torch.Generator().manual_seed(1))
    first, again, other = (played_on("cuda", model, z, 1.0, seed) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", MODELS)
def test_a_compiled_model_plays_the_same_music(name):
    model = load_checkpoint(SHIPPED_CHECKPOINTS / name).model.cuda()
    z = torch.randn(N_CODES, model.config.z_size, generator=torch.Generator().manual_seed(1))
    expected = played_on("cuda", model, z, 0.0)
    compile_model(model)
    for _ in range(2):  # the graph is made, and then used again
        assert (played_on("cuda", model, z, 0.0) == expected).all(-1).float().mean() > 0.98
    assert not torch.equal(played_on("cuda", model, -z, 0.0), expected)
    first, again, other = (played_on("cuda", model, z, 1.0, seed) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_compiled_training_on_cuda_is_that_of_the_model(tmp_path):
    chosen, dataset = override(preset("groove_2bar_tiny"), RUN), dataset_of_bars(20)
    plain, compiled = (
        train(chosen, dataset, tmp_path / str(how), device="cuda", compiled=how)
        for how in (False, True)
    )
    assert compiled["validation/loss"] == pytest.approx(plain["validation/loss"], rel=0.05)


@pytest.mark.parametrize("name", ["drums_2bar_tiny", "groove_2bar_tiny", "drums_16bar_hier_tiny"])
def test_a_run_on_cuda_resumes_exactly(name, monkeypatch, tmp_path):
    chosen, dataset = override(preset(name), RUN), dataset_of_bars(20)
    whole = train(chosen, dataset, tmp_path / "whole", device="cuda")
    plain = train_module.train_step

    def stopping(run, features):
        if run.step == 13:
            raise KeyboardInterrupt
        return plain(run, features)

    monkeypatch.setattr(train_module, "train_step", stopping)
    train(chosen, dataset, tmp_path / "parts", device="cuda")
    monkeypatch.undo()
    parts = train(chosen, dataset, tmp_path / "parts", resume=True, device="cuda")
    assert parts["step"] == whole["step"] == 20
    assert parts["validation/loss"] == pytest.approx(whole["validation/loss"], rel=0.05)
    brought_back = load_checkpoint(tmp_path / "parts" / "last")
    assert {one.device.type for one in brought_back.model.parameters()} == {"cpu"}


def test_the_lab_trains_on_cuda(tmp_path):
    chosen = override(preset("groove_lab_tiny"), RUN)
    measured = train(chosen, dataset_of_bars(8), tmp_path, device="cuda")
    assert np.isfinite(measured["validation/loss"])
    assert load_checkpoint(tmp_path / "last", GrooveLab).config.n_bars == 4


@pytest.mark.slow
def test_a_million_loops_a_second():
    report = bench(SHIPPED_CHECKPOINTS / "drums_2bar", None, "cuda")
    assert report["decoder_loops_per_second_batch_16384"] >= 1_000_000
