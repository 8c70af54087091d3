"""The noise of the lab's z: its distribution for each kind of task, and how that is fitted."""

import dataclasses

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from tiny_data import dataset_of, drummed_groove
from tiny_lab import tiny_checkpoint
from torch.distributions import MultivariateNormal, Normal

from musicvae_core.cli.main import main
from musicvae_core.errors import TooFewExamplesError
from musicvae_core.lab.completion import complete, nats_of_rest
from musicvae_core.lab.options import Sampling
from musicvae_core.models.checkpoint import WEIGHTS_FILE, load_checkpoint, save_checkpoint
from musicvae_core.models.conditioning import Conditioning, taps_of, tempo_only
from musicvae_core.models.config import LabConfig
from musicvae_core.models.lab import GrooveLab
from musicvae_core.models.presets import preset
from musicvae_core.models.prior import CodeNoise
from musicvae_core.training import fit_prior as fit_prior_module
from musicvae_core.training.fit_prior import _GaussianTraining, _residuals, fit_prior
from musicvae_core.training.run import Run
from musicvae_core.training.train import fabric_on

N, Z = 300, 4


@pytest.fixture(scope="module")
def windows():
    rng = np.random.default_rng(0)
    grooves = {"train": [drummed_groove(rng, 4) for _ in range(N)]}
    return dataset_of(grooves).windows("train", 4)


@pytest.fixture(scope="module")
def fitted(windows):
    return fit_prior(tiny_checkpoint(), windows)


def test_each_example_has_one_kind_of_hidden_part(windows):
    one = windows.features[:1]
    notes, nothing = Conditioning.notes(one), Conditioning.nothing(one)
    first = np.arange(one.shape[1])[None] < 16
    tapped = dataclasses.replace(nothing, taps=taps_of(one))
    kinds = [notes, notes.revealing(first), tapped.revealing(first), tapped, nothing]
    assert [int(given.kinds()[0]) for given in kinds] == list(range(Conditioning.N_KINDS))
    loud = dataclasses.replace(notes, velocities=np.ones_like(notes.hits))
    assert loud.kinds() == 1
    assert Conditioning.everything(one).kinds() == 1


def test_noise_that_is_not_fitted_is_left_alone():
    noise, kinds = torch.randn(6, Z), torch.tensor([0, 1, 2, 3, 4, 0])
    code_noise = CodeNoise(Z)
    assert torch.equal(code_noise(noise, kinds), noise)
    expected = Normal(0.0, 1.0).log_prob(noise).sum(dim=-1)
    assert torch.allclose(code_noise.log_prob(noise, kinds), expected, atol=1e-5)


def test_noise_has_the_distribution_that_was_set():
    torch.manual_seed(0)
    mean, mixing = torch.randn(Z), torch.randn(Z, Z)
    covariance = mixing @ mixing.T
    code_noise = CodeNoise(Z)
    code_noise.set_distribution(2, mean, covariance)
    drawn = code_noise(torch.randn(40_000, Z), torch.full((40_000,), 2))
    assert torch.allclose(drawn.mean(dim=0), mean, atol=0.05)
    assert torch.allclose(torch.cov(drawn.T), covariance, atol=0.15)
    law = MultivariateNormal(mean, covariance)
    found = code_noise.log_prob(drawn[:9], torch.full((9,), 2))
    assert torch.allclose(found, law.log_prob(drawn[:9]), atol=1e-2)
    assert torch.equal(code_noise(drawn[:1], torch.tensor([1])), drawn[:1])


def test_the_fit_has_the_moments_of_the_posteriors(windows, fitted):
    with torch.inference_mode():
        mu, sigma = _residuals(
            tiny_checkpoint().model,
            Conditioning.notes(windows.features),
            tempo_only(windows.tempos_bpm),
        )
    torch.manual_seed(0)
    codes = mu + sigma * torch.randn(200, *mu.shape)
    codes = codes.reshape(-1, Z)
    noise, kinds = torch.randn(40_000, Z), torch.zeros(40_000, dtype=torch.int64)
    drawn = fitted.model.code_noise(noise, kinds)
    assert torch.allclose(drawn.mean(dim=0), codes.mean(dim=0), atol=0.05)
    assert torch.allclose(torch.cov(drawn.T), torch.cov(codes.T), atol=0.05)


def test_a_fitted_prior_makes_what_is_hidden_likelier_and_keeps_the_weights(windows, fitted):
    given, controls = Conditioning.notes(windows.features), tempo_only(windows.tempos_bpm)
    before, after = (
        nats_of_rest(
            one.model, given, controls, torch.Generator().manual_seed(0), ("velocities",), 4
        ).mean()
        for one in (tiny_checkpoint(), fitted)
    )
    assert after < before - 0.01
    weights = zip(tiny_checkpoint().model.parameters(), fitted.model.parameters(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in weights)


def test_playing_uses_the_fitted_noise(windows, fitted):
    given, controls = Conditioning.notes(windows.features), tempo_only(windows.tempos_bpm)
    played = [
        complete(one.model, given, controls, Sampling()) for one in (tiny_checkpoint(), fitted)
    ]
    assert not np.array_equal(*played)
    assert np.array_equal(complete(fitted.model, given, controls, Sampling()), played[1])


def test_too_few_windows_are_refused(windows):
    with pytest.raises(TooFewExamplesError, match="too few to fit a prior of 4 dimensions"):
        fit_prior(tiny_checkpoint(), windows.take(np.arange(3)))


def test_a_lab_keeps_its_noise_in_its_file_and_older_files_have_none(fitted, tmp_path):
    save_checkpoint(fitted, tmp_path / "fitted", bits=16)
    loaded = load_checkpoint(tmp_path / "fitted", GrooveLab).model.code_noise
    assert torch.allclose(loaded.roots, fitted.model.code_noise.roots, atol=1e-2)
    path = tmp_path / "fitted" / WEIGHTS_FILE
    with safe_open(path, framework="pt") as stored:
        header = stored.metadata()
    tensors = load_file(path)
    older = {name: one for name, one in tensors.items() if not name.startswith("code_noise")}
    save_file(older, path, header)
    unfitted = load_checkpoint(tmp_path / "fitted", GrooveLab).model.code_noise
    assert torch.equal(unfitted.roots, CodeNoise(Z).roots)
    assert not torch.allclose(loaded.roots, unfitted.roots, atol=1e-2)


def test_a_run_begins_without_the_noise(fitted):
    run = Run(preset("groove_lab_tiny"), fabric_on())
    run.start_from(fitted)
    assert torch.equal(run.model.code_noise.roots, CodeNoise(Z).roots)
    assert torch.equal(run.model.to_prior.weight, fitted.model.to_prior.weight)


def test_the_command_fits_the_prior_of_a_lab(midi_folder, tmp_path, capsys, monkeypatch):
    often = _GaussianTraining(n_hidings=12)
    monkeypatch.setattr(fit_prior_module, "prior_training", lambda config: often)
    small, own = tmp_path / "small", tmp_path / "own"
    save_checkpoint(tiny_checkpoint(), small)
    command = ["fit-prior", str(small), "--data", str(midi_folder), "--out", str(own)]
    assert main([*command, "--steps", "3"]) != 0
    assert "leave out --steps" in capsys.readouterr().err
    assert main(command) == 0
    roots = load_checkpoint(own, GrooveLab).model.code_noise.roots
    assert not torch.allclose(roots, CodeNoise(Z).roots, atol=1e-2)


def test_the_tiny_preset_has_the_size_that_is_assumed():
    assert preset("groove_lab_tiny").model.z_size == Z
    assert LabConfig().z_size > Z
