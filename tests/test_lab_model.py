"""The groove lab's model: what is known stays, likelihoods add up, and it can be trained."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny_data import features_of, random_groove
from tiny_lab import tiny_checkpoint

from musicvae_core.errors import ConfigError
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.models.conditioning import (
    UNKNOWN,
    Conditioning,
    Controls,
    condition_features,
    taps_of,
)
from musicvae_core.models.config import TrainConfig
from musicvae_core.models.lab import GrooveLab, LabHead, MeansHead, known_of
from musicvae_core.models.lab_tasks import _make_batch, controls_of_windows, draw_batch, hide
from musicvae_core.models.musicvae import elbo_losses
from musicvae_core.models.presets import preset
from musicvae_core.music.drums import KICK, N_VOICES, SNARE
from musicvae_core.training.run import Run
from musicvae_core.training.train import fabric_on, train, train_step

N = 24
TINY = preset("groove_lab_tiny")


@pytest.fixture(scope="module")
def grooves():
    rng = np.random.default_rng(0)
    return features_of([random_groove(rng, 4) for _ in range(N)])


@pytest.fixture(scope="module")
def model():
    return tiny_checkpoint().model


def tempo_only(n=N):
    unknown = np.full(n, UNKNOWN)
    return Controls(np.full(n, 120, np.float32), np.full(n, np.nan, np.float32), unknown, unknown)


def score(model, given, seed=0):
    """Return the terms of the loss, (N,) nats each, with all inputs heard."""
    batch = _make_batch(model, given, tempo_only(), TrainConfig(word_dropout=0.0), seed)
    return model(batch)


def test_known_parts_cost_nothing(model, grooves):
    terms = score(model, Conditioning.everything(grooves))
    for name in ("hits", "velocities", "offsets"):
        assert torch.allclose(terms[name], torch.zeros(N), atol=1e-4), name
    terms = score(model, Conditioning.notes(grooves))
    assert torch.allclose(terms["hits"], torch.zeros(N), atol=1e-4)
    assert (terms["velocities"] > 0).all()


def test_the_choices_left_open_add_up_to_one():
    torch.manual_seed(0)
    head = LabHead(8, 8, 2)
    state = torch.randn(1, 8)
    hits = torch.tensor([1.0, 0, 1, 0, 0, 0, 0, 0, 0])
    cells = torch.zeros(1, 27, dtype=torch.bool)
    cells[:, 2:N_VOICES] = True  # the kick and the snare are open
    total = 0.0
    for kick in (0.0, 1.0):
        for snare in (0.0, 1.0):
            truth = torch.cat([torch.tensor([kick, snare]), hits[2:], torch.zeros(18)])[None]
            known = known_with(truth, cells)
            total += head.log_prob_of_rest(state, known)["hits"].exp().item()
    assert total == pytest.approx(1, abs=1e-5)


def known_with(truth, cells, tapped=False):
    template = known_of(Conditioning.nothing(np.zeros((1, 1, 27), np.float32)))
    return template._replace(
        features=truth, cells=cells, tapped=torch.full(truth.shape[:-1], tapped)
    )


def test_forbidden_are_exactly_those_that_contradict():
    head = LabHead(8, 8, 2)
    truth, cells = torch.zeros(27), torch.zeros(27, dtype=torch.bool)
    truth[KICK] = 1
    cells[[KICK, SNARE]] = True
    allowed = head.table[~head.forbidden(known_with(truth, cells))]
    assert len(allowed) == 2**7
    assert allowed[:, KICK].all()
    assert not allowed[:, SNARE].any()
    open_cells = torch.zeros(27, dtype=torch.bool)
    tapped = head.table[~head.forbidden(known_with(truth, open_cells, True))]
    assert len(tapped) == 2**9 - 1
    assert tapped.any(dim=1).all()


def test_the_prior_and_the_context_never_see_what_is_hidden(model, grooves):
    given = hide(grooves, np.random.default_rng(1))
    known = np.concatenate([given.hits, given.velocities, given.offsets], axis=-1)
    other = np.random.default_rng(2).permutation(grooves)
    mixed = dataclasses.replace(given, features=np.where(known, grooves, other).astype(np.float32))
    read = []
    for one in (given, mixed):
        condition = condition_features(one, tempo_only(), 18, 10)
        read.append(model.read(torch.from_numpy(condition)))
    for ours, theirs in zip(*read, strict=True):
        assert torch.equal(ours, theirs)


def test_decoding_never_looks_ahead(model, grooves):
    z = torch.zeros(N, model.config.z_size)
    context = torch.zeros(N, 64, model.config.context_size)
    later = torch.from_numpy(grooves).clone()
    later[:, 40:] = 1 - later[:, 40:]
    states = [model.decode_forced(z, one, context) for one in (torch.from_numpy(grooves), later)]
    assert torch.equal(states[0][:, :40], states[1][:, :40])
    assert not torch.equal(states[0][:, 40:], states[1][:, 40:])


@pytest.mark.parametrize("feel", ["mixture", "mean"])
def test_every_term_has_a_gradient(grooves, feel):
    config = TINY.model.replaced(feel=feel)
    run = Run(dataclasses.replace(TINY, model=config), fabric_on())
    assert isinstance(run.model.head, MeansHead) == (feel == "mean")
    given = hide(grooves, np.random.default_rng(3))
    config = TrainConfig(beta_of_feel=0.5, word_dropout=0.1)
    batch = _make_batch(run.model, given, tempo_only(), config, seed=0)
    losses = elbo_losses(
        run.model(batch), batch.kl_weights, beta=1.0, free_bits=0.0, feel_weight=1.0
    )
    losses["loss/total"].backward()
    for name, parameter in run.model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


def test_taps_change_the_context(model, grooves):
    taps = taps_of(grooves)
    nothing = Conditioning.nothing(grooves)
    tapped = dataclasses.replace(nothing, taps=taps)
    contexts = [
        model.read(torch.from_numpy(condition_features(given, tempo_only(), 18, 10)))[0]
        for given in (nothing, tapped)
    ]
    assert not torch.equal(*contexts)


def test_a_mean_head_draws_the_same_with_any_seed(grooves):
    torch.manual_seed(0)
    config = TINY.model.replaced(feel="mean")
    run = Run(dataclasses.replace(TINY, model=config), fabric_on())
    model, given = run.averaged, Conditioning.notes(grooves)
    context, mu, _ = model.read(torch.from_numpy(condition_features(given, tempo_only(), 18, 10)))
    drawn = [
        model.complete(mu, context, known_of(given), generator=torch.Generator().manual_seed(seed))
        for seed in (1, 2)
    ]
    assert torch.equal(*drawn)


def test_the_controls_of_windows_are_style_drummer_and_density(tiny_dataset):
    windows = tiny_dataset.windows("train", 4)
    controls = controls_of_windows(windows, TINY.model)
    assert set(controls.styles) == {TINY.model.style_names.index("funk")}
    assert set(controls.drummers) == {TINY.model.drummer_names.index("drummer1")}
    hits = windows.features[..., :N_VOICES].sum(axis=(1, 2)) / 64
    np.testing.assert_allclose(controls.densities, hits, rtol=1e-5)


def lab_step(run, windows):
    return train_step(run, draw_batch(run.model, windows, run.config, run.step))


def test_training_learns(tiny_dataset):
    config = TINY.train.replaced(n_steps=150, warmup_steps=5, learning_rate=1e-2, batch_size=16)
    run = Run(dataclasses.replace(TINY, train=config), fabric_on())
    windows = tiny_dataset.windows("train", 4)
    losses = [float(lab_step(run, windows)["loss/total"]) for _ in range(150)]
    assert np.mean(losses[-15:]) < 0.85 * np.mean(losses[:15])


def test_a_resumed_run_equals_an_uninterrupted_one(tiny_dataset, tmp_path):
    windows = tiny_dataset.windows("train", 4)
    run = Run(TINY, fabric_on())
    for _ in range(4):
        lab_step(run, windows)
    run.save(tmp_path / "training.pt")
    resumed = Run(TINY, fabric_on())
    resumed.restore(tmp_path / "training.pt")
    for one in (run, resumed):
        lab_step(one, windows)
    for ours, theirs in zip(run.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_a_run_leaves_a_lab_and_another_begins_with_it(tiny_dataset, tmp_path):
    metrics = train(TINY, tiny_dataset, tmp_path / "one", device="cpu")
    assert np.isfinite(metrics["validation/loss"])
    first = load_checkpoint(tmp_path / "one" / "last", GrooveLab)
    none = dataclasses.replace(TINY, train=TINY.train.replaced(learning_rate=1e-9))
    start = tmp_path / "one" / "last"
    train(none, tiny_dataset, tmp_path / "two", start=start, device="cpu")
    second = load_checkpoint(tmp_path / "two" / "last", GrooveLab)
    weights = zip(first.model.parameters(), second.model.parameters(), strict=True)
    assert all(torch.allclose(ours, theirs, atol=1e-5) for ours, theirs in weights)
    wider = dataclasses.replace(TINY, model=TINY.model.replaced(z_size=5))
    with pytest.raises(ConfigError, match="other dimensions"):
        train(wider, tiny_dataset, tmp_path / "three", start=start, device="cpu")
