"""One step of training: what it learns from, the inputs of the decoder, what is kept of it."""

import dataclasses

import numpy as np
import pytest
import torch

from musicvae_core.errors import TrainingError
from musicvae_core.models.decoders import shift_right
from musicvae_core.models.musicvae import MusicVAE, make_batch
from musicvae_core.models.presets import override, preset
from musicvae_core.training.run import Run
from musicvae_core.training.train import fabric_on, train_step

BASE = override(preset("groove_2bar_tiny"), ["batch_size=8"])


def step_on(run, features):
    return train_step(run, make_batch(run.model, features, run.config, run.step))


def test_training_lowers_the_loss(tiny_dataset, tmp_path):
    chosen = override(BASE, ["n_steps=60", "validate_every=30", "learning_rate=1e-2"])
    run = Run(chosen, fabric_on())
    features = tiny_dataset.windows("train", 2).features
    losses = [float(step_on(run, features)["loss/total"]) for _ in range(60)]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


def test_a_step_without_a_finite_loss_leaves_the_weights_alone(tiny_dataset):
    run = Run(BASE, fabric_on())
    before = {name: tensor.clone() for name, tensor in run.model.state_dict().items()}
    features = np.full_like(tiny_dataset.windows("train", 2).features, np.nan)
    with pytest.raises(TrainingError):
        step_on(run, features)
    after = run.model.state_dict()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert run.step == 0


@pytest.fixture
def inputs(monkeypatch):
    """Record what the decoder is fed, pass by pass."""
    plain, inputs = MusicVAE.decode_forced, []

    def recording(self, z, previous):
        inputs.append(previous.detach().float().clone())
        return plain(self, z, previous)

    monkeypatch.setattr(MusicVAE, "decode_forced", recording)
    return inputs


def one_step(dataset, *changes):
    """Take the first step of a run that alters nothing but by these changes; return its truth."""
    plain = ["augmentation=0", "word_dropout=0", "batch_size=64"]
    run = Run(override(BASE, [*plain, *changes]), fabric_on())
    features = np.tile(dataset.windows("train", 2).features[:1], (64, 1, 1))
    step_on(run, features)
    return run, shift_right(torch.from_numpy(features))


def test_teacher_forcing_feeds_the_truth(tiny_dataset, inputs):
    _, truth = one_step(tiny_dataset)
    assert len(inputs) == 1
    torch.testing.assert_close(inputs[0], truth)


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_word_dropout_blanks_whole_steps(tiny_dataset, inputs, share):
    _, truth = one_step(tiny_dataset, f"word_dropout={share}")
    blank = (inputs[0] == 0).all(dim=-1)
    torch.testing.assert_close(inputs[0], truth * ~blank.unsqueeze(-1))
    sounding = truth.any(dim=-1)
    assert float(blank[sounding].float().mean()) == pytest.approx(share, abs=0.05)


def test_scheduled_sampling_feeds_the_models_own_choices(tiny_dataset, inputs, monkeypatch):
    run, truth = one_step(tiny_dataset)
    marked = torch.zeros(27).index_fill(0, torch.tensor([8]), 1.0)

    def sample(_, states, *__):
        return marked.expand(*states.shape[:2], -1)

    monkeypatch.setattr(type(run.model.head), "sample", sample)
    inputs.clear()
    one_step(tiny_dataset, "sampling_rate=1")  # at step 0 half of the inputs
    first, second = inputs
    own = (second == marked).all(dim=-1)
    torch.testing.assert_close(first, truth)
    torch.testing.assert_close(second[~own], truth[~own])
    assert not second[:, 0].any()
    assert float(own[:, 1:].float().mean()) == pytest.approx(0.5, abs=0.05)


def test_every_epoch_sees_every_window_once(tiny_dataset):
    windows = tiny_dataset.windows("train", 2).take(np.arange(20))
    windows.features[:, 0, -1] = np.arange(20) / 100
    batches = [windows.batch(step, 8, augmentation=0.0, seed=0) for step in range(5)]
    seen = np.concatenate(batches)[:, 0, -1]
    epochs = (seen * 100).round().astype(int).reshape(2, 20)
    assert [sorted(epoch) for epoch in epochs.tolist()] == [list(range(20))] * 2
    assert epochs[0].tolist() != epochs[1].tolist()


def test_weights_that_are_kept_are_averages(tiny_dataset):
    chosen = dataclasses.replace(BASE, train=BASE.train.replaced(average_decay=0.5))
    run = Run(chosen, fabric_on())
    features = tiny_dataset.windows("train", 2).features
    expected = None
    for _ in range(4):
        step_on(run, features)
        now = run.model.encoder.to_mu.weight.detach().clone()
        expected = now if expected is None else 0.5 * expected + 0.5 * now
    kept = run.checkpoint({}).model.encoder.to_mu.weight
    torch.testing.assert_close(kept, expected)
    assert not torch.equal(kept, now)


def test_every_step_draws_noise_of_its_own(tiny_dataset):
    features = tiny_dataset.windows("train", 2).features
    model = Run(BASE, fabric_on()).model
    noises = [
        make_batch(model, features, override(BASE, [f"seed={seed}"]).train, step).z_noise
        for seed in (0, 1)
        for step in (0, 1)
    ]
    pairs = [(a, b) for i, a in enumerate(noises) for b in noises[:i]]
    assert len(pairs) == 6
    assert not any(torch.allclose(a, b, atol=0.1) for a, b in pairs)


def test_dropout_belongs_to_the_step_and_not_to_the_global_generator(tiny_dataset):
    features = tiny_dataset.windows("train", 2).features
    chosen = override(BASE, ["dropout=0.25"])
    model = Run(chosen, fabric_on()).model
    batches = []
    for global_seed in (0, 1):
        torch.manual_seed(global_seed)
        batches.append(make_batch(model, features, chosen.train, 3).dropout)
    assert torch.equal(*batches)
    assert float((batches[0] == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(batches[0].mean()) == pytest.approx(1, abs=0.01)
