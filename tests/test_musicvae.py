"""The whole model: every preset at tiny width, the posterior, and one batch memorised."""

import numpy as np
import pytest
import torch
from tiny_data import drummed_groove, features_of, random_groove

from musicvae_core.models.config import ModelConfig, TrainConfig
from musicvae_core.models.kinds import build
from musicvae_core.models.musicvae import elbo_losses, make_batch
from musicvae_core.models.presets import PRESETS
from musicvae_core.music.drums import N_VOICES, OFFSET_SCALE
from musicvae_core.music.grid import COMMON_TIME, VELOCITY_LEVELS
from musicvae_core.music.line import LINE_CLASSES
from musicvae_core.music.piece import TRIO_CLASSES

TICKS_PER_STEP = COMMON_TIME.ticks_per_step

B = 5


def n_parts(config):
    return len(TRIO_CLASSES) if config.head == "trio" else 1


@pytest.fixture(
    params=[name for name, preset in PRESETS.items() if isinstance(preset.model, ModelConfig)]
)
def narrow(request):
    """Every preset's model with nothing wider than 3."""
    full = PRESETS[request.param].model
    sizes = ["encoder_size", "decoder_size", "feel_size", "bar_size"]
    sizes += [name for name in ("encoder_bar_size", "conductor_size") if getattr(full, name)]
    z_size = 2 * full.n_bars * n_parts(full) if full.n_bars > 2 else 3
    config = full.replaced(**dict.fromkeys(sizes, 3), z_size=z_size)
    torch.manual_seed(0)
    return build(config)


def windows(n, n_bars, make=random_groove):
    rng = np.random.default_rng(0)
    return torch.from_numpy(features_of([make(rng, n_bars) for _ in range(n)]))


def windows_for(model):
    """Return B random windows of what the model plays."""
    alphabets = {"line": [LINE_CLASSES], "trio": TRIO_CLASSES.values()}.get(model.config.head)
    if alphabets is None:
        return windows(B, model.config.n_bars)
    rng = np.random.default_rng(0)
    size = (B, model.config.n_steps)
    tables = [alphabet.table for alphabet in alphabets]
    parts = [table[rng.integers(0, len(table), size)] for table in tables]
    return torch.from_numpy(np.concatenate(parts, axis=-1))


def losses_of(model, features, step=0, beta=1.0):
    config = TrainConfig(word_dropout=0.0)
    batch = make_batch(model, features.numpy(), config, step)
    return elbo_losses(model(batch), batch.kl_weights, beta=beta, free_bits=0.0, feel_weight=1.0)


def test_shapes_of_every_preset(narrow):
    n_steps = narrow.config.n_steps
    features = windows_for(narrow)
    mu, sigma = narrow.encode(features)
    assert mu.shape == sigma.shape == (B, narrow.config.z_size)
    assert (sigma > 0).all()
    n_features = {"groove": 27, "categorical": 9, "line": 90, "trio": 90 + 90 + 9}
    assert narrow.n_features == n_features[narrow.config.head]
    assert narrow.decode(mu).shape == (B, n_steps, narrow.n_features)
    states = narrow.decode_forced(mu, features[..., : narrow.n_features])
    assert states.shape == (B, n_steps, 3 * n_parts(narrow.config))


def test_every_parameter_of_every_preset_learns(narrow):
    features = windows_for(narrow)[..., : narrow.n_features]
    losses_of(narrow, features)["loss/total"].backward()
    for name, parameter in narrow.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        # Without direct paths, a conductor hears nothing but its initial states, as in the paper.
        is_whole = narrow.config.direct_paths == "encoder"
        hears_nothing = name == "decoder.conductor.weight_ih_l0" and is_whole
        assert (parameter.grad.abs().sum() > 0) != hears_nothing, name


@torch.no_grad()
def test_a_model_without_feel_ignores_feel():
    torch.manual_seed(0)
    model = build(PRESETS["drums_2bar_tiny"].model)
    features = windows(B, 2)
    softer = features.clone()
    softer[..., N_VOICES:] *= 0.5
    assert torch.equal(model.encode(features)[0], model.encode(softer)[0])
    assert torch.equal(model.encode(features)[0], model.encode(features[..., :N_VOICES])[0])


@torch.no_grad()
def test_the_encoder_depends_on_both_ends_in_order():
    torch.manual_seed(0)
    model = build(PRESETS["groove_2bar_tiny"].model)
    features = windows(1, 2)
    mu, _ = model.encode(features)
    for step in (0, -1):
        changed = features.clone()
        changed[:, step] = 1 - changed[:, step]
        assert not torch.allclose(model.encode(changed)[0], mu)
    assert not torch.allclose(model.encode(features.flip(1))[0], mu)


def test_z_is_drawn_around_mu_as_wide_as_sigma_and_passes_gradients(monkeypatch):
    model = build(PRESETS["drums_2bar_tiny"].model)
    mu, sigma = (torch.full((B, 8), value, requires_grad=True) for value in (1.0, 3.0))
    monkeypatch.setattr(model, "encode", lambda _: (mu, sigma))
    plain, drawn = model.decode_forced, []
    monkeypatch.setattr(model, "decode_forced", lambda z, x: drawn.append(z) or plain(z, x))
    batch = make_batch(model, windows(B, 2).numpy(), TrainConfig(), 0)
    model(batch)
    torch.testing.assert_close(drawn[0], 1.0 + 3.0 * batch.z_noise)
    drawn[0].sum().backward()
    assert torch.equal(mu.grad, torch.ones(B, 8))
    torch.testing.assert_close(sigma.grad, batch.z_noise)


def reconstructs(model, features):
    """Whether a model decodes the codes of some features into them, with feel within a little."""
    with torch.inference_mode():
        decoded = model.decode(model.encode(features)[0], temperature=0.0)
    hits = features[..., :N_VOICES]
    is_exact = torch.equal(decoded[..., :N_VOICES], hits)
    if not (is_exact and model.config.has_feel):
        return is_exact
    _, velocities, offsets = (decoded - features).abs().split(N_VOICES, dim=-1)
    is_as_loud = velocities[hits > 0].mean() < 4 / VELOCITY_LEVELS
    return is_as_loud and offsets[hits > 0].mean() / OFFSET_SCALE < 3 / TICKS_PER_STEP


@pytest.mark.parametrize("head", ["categorical", "groove"])
def test_one_batch_is_memorised(head):
    torch.manual_seed(0)
    sizes = {"encoder_size": 64, "decoder_size": 128, "decoder_layers": 1, "z_size": 16}
    model = build(ModelConfig(head=head, n_bars=1, feel_size=64, **sizes))
    features = windows(4, 1, drummed_groove)[..., : model.n_features]
    assert len(torch.unique(features[..., :N_VOICES], dim=0)) == 4
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for step in range(500):
        loss = losses_of(model, features, step, beta=0.0)["loss/total"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 50 == 49 and reconstructs(model, features):
            return
    pytest.fail("after 500 steps it does not know them")
