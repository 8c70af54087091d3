"""The whole model: every preset at tiny width, the posterior, and one batch learned by heart."""

import dataclasses

import numpy as np
import pytest
import torch
from tiny_data import drummed_groove, features_of, random_groove

from musicvae_core.codec import OFFSET_SCALE
from musicvae_core.config import ModelConfig
from musicvae_core.losses import elbo_losses, kl_nats
from musicvae_core.models.musicvae import MusicVAE, shift_right
from musicvae_core.presets import PRESETS
from musicvae_core.vocabulary import N_VOICES, TICKS_PER_STEP, VELOCITY_LEVELS

B = 5


@pytest.fixture(params=PRESETS)
def narrow(request):
    """Every preset's model with nothing wider than 3."""
    full = PRESETS[request.param].model
    sizes = ["encoder_size", "decoder_size", "feel_size", "bar_size"]
    sizes += [name for name in ("encoder_bar_size", "conductor_size") if getattr(full, name)]
    z_size = 2 * full.n_bars if full.n_bars > 2 else 3
    config = dataclasses.replace(full, **dict.fromkeys(sizes, 3), z_size=z_size)
    torch.manual_seed(0)
    return MusicVAE(config)


def windows(n, n_bars, make=random_groove):
    rng = np.random.default_rng(0)
    return torch.from_numpy(features_of([make(rng, n_bars) for _ in range(n)]))


def losses_of(model, features, generator, beta=1.0):
    mu, sigma = model.encode(features)
    z = model.reparameterise(mu, sigma, generator)
    states = model.decode_forced(z, shift_right(features))
    return elbo_losses(
        model.head.log_prob(states, features),
        kl_nats(mu, sigma),
        beta=beta,
        free_bits=0.0,
        feel_weight=1.0,
    )


def test_shapes_of_every_preset(narrow):
    n_steps = narrow.config.n_steps
    features = windows(B, narrow.config.n_bars)
    mu, sigma = narrow.encode(features)
    assert mu.shape == sigma.shape == (B, narrow.config.z_size)
    assert (sigma > 0).all()
    assert narrow.n_features == (27 if narrow.config.has_feel else 9)
    assert narrow.decode(mu).shape == (B, n_steps, narrow.n_features)
    states = narrow.decode_forced(mu, features[..., : narrow.n_features])
    assert states.shape == (B, n_steps, 3)


def test_every_parameter_of_every_preset_learns(narrow):
    features = windows(B, narrow.config.n_bars)[..., : narrow.n_features]
    losses_of(narrow, features, torch.Generator().manual_seed(1))["loss/total"].backward()
    for name, parameter in narrow.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.abs().sum() > 0, name


@torch.no_grad()
def test_a_model_without_feel_hears_no_feel():
    torch.manual_seed(0)
    model = MusicVAE(PRESETS["drums_2bar_tiny"].model)
    features = windows(B, 2)
    softer = features.clone()
    softer[..., N_VOICES:] *= 0.5
    assert torch.equal(model.encode(features)[0], model.encode(softer)[0])
    assert torch.equal(model.encode(features)[0], model.encode(features[..., :N_VOICES])[0])


@torch.no_grad()
def test_the_encoder_hears_both_ends_in_order():
    torch.manual_seed(0)
    model = MusicVAE(PRESETS["groove_2bar_tiny"].model)
    features = windows(1, 2)
    mu, _ = model.encode(features)
    for step in (0, -1):
        changed = features.clone()
        changed[:, step] = 1 - changed[:, step]
        assert not torch.allclose(model.encode(changed)[0], mu)
    assert not torch.allclose(model.encode(features.flip(1))[0], mu)


def test_the_posterior_is_drawn_around_mu_as_wide_as_sigma():
    model = MusicVAE(PRESETS["drums_2bar_tiny"].model)
    mu, sigma = torch.tensor([[1.0, -2.0]]), torch.tensor([[0.1, 3.0]])
    z = model.reparameterise(
        mu.expand(20_000, -1), sigma.expand(20_000, -1), torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(z.mean(dim=0), mu[0], rtol=0, atol=0.1)
    torch.testing.assert_close(z.std(dim=0), sigma[0], rtol=0.05, atol=0)
    again = model.reparameterise(mu, sigma, torch.Generator().manual_seed(0))
    assert torch.equal(again, model.reparameterise(mu, sigma, torch.Generator().manual_seed(0)))


def test_gradients_flow_through_the_draw():
    model = MusicVAE(PRESETS["drums_2bar_tiny"].model)
    mu, sigma = (torch.ones(1, 8, requires_grad=True) for _ in range(2))
    z = model.reparameterise(mu, sigma, torch.Generator().manual_seed(0))
    z.sum().backward()
    assert torch.equal(mu.grad, torch.ones(1, 8))
    torch.testing.assert_close(sigma.grad, (z - mu).detach())


@pytest.mark.parametrize("head", ["categorical", "groove"])
def test_one_batch_is_learned_by_heart(head):
    torch.manual_seed(0)
    sizes = {"encoder_size": 64, "decoder_size": 128, "decoder_layers": 1, "z_size": 16}
    model = MusicVAE(ModelConfig(head, n_bars=1, feel_size=64, **sizes))
    features = windows(4, 1, drummed_groove)[..., : model.n_features]
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    generator = torch.Generator().manual_seed(1)
    for _ in range(500):
        loss = losses_of(model, features, generator, beta=0.0)["loss/total"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.inference_mode():
        decoded = model.decode(model.encode(features)[0], temperature=0.0)
    hits = features[..., :N_VOICES]
    assert len(torch.unique(hits, dim=0)) == 4
    assert torch.equal(decoded[..., :N_VOICES], hits)
    if model.config.has_feel:
        _, velocities, offsets = (decoded - features).abs().split(N_VOICES, dim=-1)
        assert velocities[hits > 0].mean() < 4 / VELOCITY_LEVELS
        assert offsets[hits > 0].mean() / OFFSET_SCALE < 3 / TICKS_PER_STEP


def test_encoding_in_half_precision_is_close_and_training_keeps_its_own(monkeypatch):
    model = MusicVAE(PRESETS["drums_2bar_tiny"].model).eval()
    features = (torch.rand(16, 32, 9, generator=torch.Generator().manual_seed(0)) < 0.2).float()
    choose = "musicvae_core.models.musicvae.product_dtype"
    monkeypatch.setattr(choose, lambda *_: torch.float32)
    exact = model.encode(features)[0]
    monkeypatch.setattr(choose, lambda *_: torch.bfloat16)
    assert torch.equal(model.encode(features)[0], exact)  # gradients are wanted: left alone
    with torch.inference_mode():
        half = model.encode(features)[0]
    assert half.dtype == torch.float32
    assert not torch.equal(half, exact)
    torch.testing.assert_close(half, exact.detach(), rtol=0, atol=0.02)
