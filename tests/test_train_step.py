"""One step of training: what it learns from, what the decoder hears, what is kept of it."""

import dataclasses

import numpy as np
import pytest
import torch

from musicvae_core.errors import NonFiniteLossError
from musicvae_core.models.musicvae import MusicVAE, shift_right
from musicvae_core.presets import override, preset
from musicvae_core.training import train as train_module
from musicvae_core.training.loop import pick_device
from musicvae_core.training.run import Run
from musicvae_core.training.train import train_step

BASE = override(preset("groove_2bar_tiny"), ["batch_size=8"])


def test_training_lowers_the_loss(tiny_dataset, tmp_path):
    chosen = override(BASE, ["n_steps=60", "validate_every=30", "learning_rate=1e-2"])
    run = Run(chosen, pick_device("cpu"))
    features = tiny_dataset.windows("train", 2).features
    losses = [float(train_step(run, features)["loss/total"]) for _ in range(60)]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_a_step_without_a_finite_loss_leaves_the_weights_alone(tiny_dataset):
    run = Run(BASE, pick_device("cpu"))
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    features = np.full_like(tiny_dataset.windows("train", 2).features, np.nan)
    with pytest.raises(NonFiniteLossError):
        train_step(run, features)
    after = run.model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert run.step == 0


@pytest.fixture
def heard(monkeypatch):
    """Record what the decoder is fed, pass by pass."""
    plain, inputs = MusicVAE.decode_forced, []

    def listening(self, z, previous):
        inputs.append(previous.detach().float().clone())
        return plain(self, z, previous)

    monkeypatch.setattr(MusicVAE, "decode_forced", listening)
    return inputs


def one_step(dataset, *changes):
    """Take the first step of a run that alters nothing but by these changes; return its truth."""
    plain = ["augmentation=0", "word_dropout=0", "batch_size=64"]
    run = Run(override(BASE, [*plain, *changes]), pick_device("cpu"))
    features = np.tile(dataset.windows("train", 2).features[:1], (64, 1, 1))
    train_step(run, features)
    return run, shift_right(torch.from_numpy(features))


def test_teacher_forcing_feeds_the_truth(tiny_dataset, heard):
    _, truth = one_step(tiny_dataset)
    assert len(heard) == 1
    torch.testing.assert_close(heard[0], truth)


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_word_dropout_blanks_whole_steps(tiny_dataset, heard, share):
    _, truth = one_step(tiny_dataset, f"word_dropout={share}")
    blank = (heard[0] == 0).all(dim=-1)
    torch.testing.assert_close(heard[0], truth * ~blank.unsqueeze(-1))
    sounding = truth.any(dim=-1)
    assert float(blank[sounding].float().mean()) == pytest.approx(share, abs=0.05)


def test_scheduled_sampling_feeds_the_models_own_choices(tiny_dataset, heard, monkeypatch):
    run, truth = one_step(tiny_dataset)
    marked = torch.zeros(27).index_fill(0, torch.tensor([8]), 1.0)

    def sample(_, states, *__):
        return marked.expand(*states.shape[:2], -1)

    monkeypatch.setattr(type(run.model.head), "sample", sample)
    heard.clear()
    one_step(tiny_dataset, "sampling_rate=1")  # at step 0 half of the inputs
    first, second = heard
    own = (second == marked).all(dim=-1)
    torch.testing.assert_close(first, truth)
    torch.testing.assert_close(second[~own], truth[~own])
    assert not second[:, 0].any()
    assert float(own[:, 1:].float().mean()) == pytest.approx(0.5, abs=0.05)


def test_every_epoch_sees_every_window_once(tiny_dataset, monkeypatch):
    chosen = override(BASE, ["augmentation=0", "batch_size=8"])
    features = tiny_dataset.windows("train", 2).features[:20]
    numbered = features.copy()
    numbered[:, 0, -1] = np.arange(20) / 100
    seen = []
    monkeypatch.setattr(
        train_module, "augment", lambda batch, *_: seen.extend(batch[:, 0, -1]) or batch
    )
    run = Run(chosen, pick_device("cpu"))
    for _ in range(5):
        train_step(run, numbered)
    epochs = (np.array(seen) * 100).round().astype(int).reshape(2, 20)
    assert [sorted(epoch) for epoch in epochs.tolist()] == [list(range(20))] * 2
    assert epochs[0].tolist() != epochs[1].tolist()


def test_weights_that_are_kept_are_averages(tiny_dataset):
    chosen = dataclasses.replace(BASE, train=dataclasses.replace(BASE.train, average_decay=0.5))
    run = Run(chosen, pick_device("cpu"))
    features = tiny_dataset.windows("train", 2).features
    expected = None
    for _ in range(4):
        train_step(run, features)
        now = run.model.encoder.to_mu.weight.detach().clone()
        expected = now if expected is None else 0.5 * expected + 0.5 * now
    kept = run.checkpoint({}).model.encoder.to_mu.weight
    torch.testing.assert_close(kept, expected)
    assert not torch.equal(kept, now)


def test_every_step_draws_noise_of_its_own(tiny_dataset, monkeypatch):
    plain, noises = MusicVAE.reparameterise, []

    def listening(self, mu, sigma, generator):
        z = plain(self, mu, sigma, generator)
        noises.append(((z - mu) / sigma).detach())
        return z

    monkeypatch.setattr(MusicVAE, "reparameterise", listening)
    features = tiny_dataset.windows("train", 2).features
    for seed in (0, 1):
        run = Run(override(BASE, [f"seed={seed}"]), pick_device("cpu"))
        for _ in range(2):
            train_step(run, features)
    pairs = [(a, b) for i, a in enumerate(noises) for b in noises[:i]]
    assert len(pairs) == 6
    assert not any(torch.allclose(a, b, atol=0.1) for a, b in pairs)
