"""The noise of the lab's z: what kind of task it is for, its law, and how that is fitted."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny_data import dataset_of, drummed_groove
from tiny_lab import tiny_checkpoint
from torch.distributions import MultivariateNormal, Normal

from musicvae_core.commands.cli import main
from musicvae_core.config import LabConfig
from musicvae_core.errors import TooFewExamplesError
from musicvae_core.kept import N_KINDS, Kept, taps_of, untold
from musicvae_core.lab.checkpoint import load_lab_checkpoint, save_lab_checkpoint
from musicvae_core.lab.completion import complete
from musicvae_core.lab.likelihood import nats_of_rest, residuals
from musicvae_core.lab.options import Chance
from musicvae_core.models.code_noise import CodeNoise
from musicvae_core.presets import LAB_PRESETS
from musicvae_core.training import fit_lab_prior as fit_lab_prior_module
from musicvae_core.training.fit_lab_prior import fit_lab_prior
from musicvae_core.training.train_lab import LabRun

N, Z = 300, 4


@pytest.fixture(scope="module")
def windows():
    rng = np.random.default_rng(0)
    grooves = {"train": [drummed_groove(rng, 4) for _ in range(N)]}
    return dataset_of(grooves).windows("train", 4)


@pytest.fixture(scope="module")
def fitted(windows):
    return fit_lab_prior(tiny_checkpoint(), windows)


def test_what_is_hidden_is_of_one_kind(windows):
    one = windows.features[:1]
    notes, nothing = Kept.notes(one), Kept.nothing(one)
    first = np.arange(one.shape[1])[None] < 16
    tapped = dataclasses.replace(nothing, taps=taps_of(one))
    kinds = [notes, notes.revealing(first), tapped.revealing(first), tapped, nothing]
    assert [int(kept.kinds()[0]) for kept in kinds] == list(range(N_KINDS))
    loud = dataclasses.replace(notes, velocities=np.ones_like(notes.hits))
    assert loud.kinds() == 1
    assert Kept.everything(one).kinds() == 1


def test_noise_that_is_not_fitted_is_left_alone():
    noise, kinds = torch.randn(6, Z), torch.tensor([0, 1, 2, 3, 4, 0])
    code_noise = CodeNoise(Z)
    assert torch.equal(code_noise(noise, kinds), noise)
    expected = Normal(0.0, 1.0).log_prob(noise).sum(dim=-1)
    assert torch.allclose(code_noise.log_prob(noise, kinds), expected, atol=1e-5)


def test_noise_has_the_law_that_was_set():
    torch.manual_seed(0)
    mean, mixing = torch.randn(Z), torch.randn(Z, Z)
    covariance = mixing @ mixing.T
    code_noise = CodeNoise(Z)
    code_noise.set_law(2, mean, covariance)
    drawn = code_noise(torch.randn(40_000, Z), torch.full((40_000,), 2))
    assert torch.allclose(drawn.mean(dim=0), mean, atol=0.05)
    assert torch.allclose(torch.cov(drawn.T), covariance, atol=0.15)
    law = MultivariateNormal(mean, covariance)
    found = code_noise.log_prob(drawn[:9], torch.full((9,), 2))
    assert torch.allclose(found, law.log_prob(drawn[:9]), atol=1e-2)
    assert torch.equal(code_noise(drawn[:1], torch.tensor([1])), drawn[:1])
    code_noise.forget()
    assert torch.equal(code_noise(drawn, torch.full((40_000,), 2)), drawn)


def test_the_fit_has_the_moments_of_the_posteriors(windows, fitted):
    with torch.inference_mode():
        mu, sigma = residuals(
            tiny_checkpoint().model, Kept.notes(windows.features), untold(windows.tempos_bpm)
        )
    torch.manual_seed(0)
    codes = mu + sigma * torch.randn(200, *mu.shape)
    codes = codes.reshape(-1, Z)
    noise, kinds = torch.randn(40_000, Z), torch.zeros(40_000, dtype=torch.int64)
    drawn = fitted.model.code_noise(noise, kinds)
    assert torch.allclose(drawn.mean(dim=0), codes.mean(dim=0), atol=0.05)
    assert torch.allclose(torch.cov(drawn.T), torch.cov(codes.T), atol=0.05)


def test_a_fitted_prior_makes_what_is_hidden_likelier_and_keeps_the_weights(windows, fitted):
    kept, controls = Kept.notes(windows.features), untold(windows.tempos_bpm)
    before, after = (
        nats_of_rest(
            one.model, kept, controls, torch.Generator().manual_seed(0), ("velocities",), 4
        ).mean()
        for one in (tiny_checkpoint(), fitted)
    )
    assert after < before - 0.01
    weights = zip(tiny_checkpoint().model.parameters(), fitted.model.parameters(), strict=True)
    assert all(torch.equal(ours, theirs) for ours, theirs in weights)


def test_what_is_played_hears_the_fitted_noise(windows, fitted):
    kept, controls = Kept.notes(windows.features), untold(windows.tempos_bpm)
    played = [complete(one, kept, controls, Chance()) for one in (tiny_checkpoint(), fitted)]
    assert not np.array_equal(*played)
    assert np.array_equal(complete(fitted, kept, controls, Chance()), played[1])


def test_too_few_windows_are_refused(windows):
    with pytest.raises(TooFewExamplesError, match="too few to fit a prior of 4 dimensions"):
        fit_lab_prior(tiny_checkpoint(), windows.take(np.arange(3)))


def test_a_lab_keeps_its_noise_in_its_file_and_older_files_have_none(fitted, tmp_path):
    save_lab_checkpoint(fitted, tmp_path / "fitted", bits=16)
    loaded = load_lab_checkpoint(tmp_path / "fitted").model.code_noise
    assert torch.allclose(loaded.roots, fitted.model.code_noise.roots, atol=1e-2)
    old = tiny_checkpoint().model.state_dict()
    assert not torch.allclose(loaded.roots, old["code_noise.roots"], atol=1e-2)
    without = {name: one for name, one in old.items() if not name.startswith("code_noise")}
    save_old(fitted, without, tmp_path / "old")
    assert torch.equal(
        load_lab_checkpoint(tmp_path / "old").model.code_noise.roots, old["code_noise.roots"]
    )


def save_old(checkpoint, tensors, folder):
    from musicvae_core.checkpoint import write_files

    write_files(checkpoint, "lab", folder, tensors, {}, bits=32)


def test_a_run_begins_without_the_noise(fitted):
    run = LabRun(LAB_PRESETS["groove_lab_tiny"], torch.device("cpu"))
    run.start_from(fitted)
    assert torch.equal(run.model.code_noise.roots, CodeNoise(Z).roots)
    assert torch.equal(run.model.to_prior.weight, fitted.model.to_prior.weight)


def test_the_command_fits_the_prior_of_a_lab(midi_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(fit_lab_prior_module, "_N_HIDINGS", 12)
    small, own = tmp_path / "small", tmp_path / "own"
    save_lab_checkpoint(tiny_checkpoint(), small)
    command = ["fit-prior", str(small), "--data", str(midi_folder), "--out", str(own)]
    assert main([*command, "--steps", "3"]) != 0
    assert "leave out --steps" in capsys.readouterr().err
    assert main(command) == 0
    roots = load_lab_checkpoint(own).model.code_noise.roots
    assert not torch.allclose(roots, CodeNoise(Z).roots, atol=1e-2)


def test_the_tiny_preset_has_the_size_that_is_assumed():
    assert LAB_PRESETS["groove_lab_tiny"].model.z_size == Z
    assert LabConfig().z_size > Z
