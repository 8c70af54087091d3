"""The hierarchy: bars decode at once as they would one by one, and z alone joins them."""

import numpy as np
import pytest
import torch
from slow_decoder import generate_slowly
from tiny_data import drummed_groove, features_of

from musicvae_core.errors import ConfigError
from musicvae_core.models.checkpoint import Checkpoint
from musicvae_core.models.config import ModelConfig
from musicvae_core.models.decoders import ConductorDecoder, shift_right
from musicvae_core.models.encoder import HierarchicalEncoder
from musicvae_core.models.heads import CategoricalHead, GrooveHead
from musicvae_core.models.kinds import build
from musicvae_core.models.presets import preset
from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.grid import COMMON_TIME
from musicvae_core.training.run import Run
from musicvae_core.training.train import fabric_on

STEPS_PER_BAR = COMMON_TIME.steps_per_bar

B, U, H, Z, BAR = 3, 5, 10, 10, 6


@pytest.fixture(params=["categorical", "groove"])
def head(request):
    torch.manual_seed(0)
    made = CategoricalHead(H) if request.param == "categorical" else GrooveHead(H, 8, 2)
    with torch.no_grad():
        made.to_logits.weight.mul_(20)  # decided choices, so that rounding does not turn them
    return made


def conductor_for(head, bar_paths=True):
    torch.manual_seed(1)
    decoder = ConductorDecoder(
        *(head.n_features, H, 2, Z, U, 9, BAR),
        steps_per_bar=STEPS_PER_BAR,
        step_size=3,
        bar_paths=bar_paths,
    )
    with torch.no_grad():
        for name, parameter in decoder.bottom.lstm.named_parameters():
            if name.startswith("weight"):
                parameter.mul_(3)  # so that the previous output matters
    return decoder


def codes():
    return torch.randn(B, Z, generator=torch.Generator().manual_seed(2))


def hits_of(head):
    torch.manual_seed(4)
    hits = (torch.rand(B, U * STEPS_PER_BAR, 9) < 0.2).float()
    return torch.cat([hits] * (head.n_features // 9), dim=-1)


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize("temperature", [0.0, 1.0])
@torch.no_grad()
def test_all_bars_at_once_are_the_bars_one_by_one(head, temperature):
    decoder, z = conductor_for(head), codes()
    fast = decoder.generate(z, head, temperature, torch.Generator().manual_seed(3))
    noise = head.draw_noise((STEPS_PER_BAR, B * U), torch.Generator().manual_seed(3))
    embeddings = decoder.embeddings(z)
    for example in range(B):
        for bar in range(U):
            row = example * U + bar
            own = noise.select_rows(torch.tensor([row]))
            slow = generate_slowly(
                decoder.bottom,
                head,
                embeddings[example : example + 1, bar],
                temperature,
                own if temperature else None,
            )
            steps = slice(bar * STEPS_PER_BAR, (bar + 1) * STEPS_PER_BAR)
            assert torch.equal(fast[example, steps], slow[0])
    assert len(fast[:, :STEPS_PER_BAR].unique(dim=0)) > 1


@torch.no_grad()
def test_under_teacher_forcing_a_bar_does_not_depend_on_the_bars_before(head):
    decoder, z, features = conductor_for(head), codes(), hits_of(head)
    states = decoder(z, shift_right(features))
    changed = features.clone()
    changed[:, 3 * STEPS_PER_BAR : 4 * STEPS_PER_BAR] = 1 - changed[:, :STEPS_PER_BAR]
    others = decoder(z, shift_right(changed))
    differs = (states != others).any(dim=-1).any(dim=0).view(U, STEPS_PER_BAR)
    assert differs.any(dim=1).tolist() == [False, False, False, True, False]
    assert not differs[3, 0]


@pytest.mark.usefixtures("in_float32")
@torch.no_grad()
def test_fed_its_own_output_it_chooses_the_same_again(head):
    decoder, z = conductor_for(head), codes()
    free = decoder.generate(z, head, 0.0)
    again = head.sample(decoder(z, shift_right(free)), 0.0, None)
    assert torch.allclose(free, again, atol=1e-5)


@torch.no_grad()
def test_a_bar_follows_its_own_embedding_alone(head):
    decoder, z = conductor_for(head), codes()
    embeddings = decoder.embeddings(z)
    moved = embeddings.clone()
    moved[:, 2] += 5 * torch.randn(B, BAR, generator=torch.Generator().manual_seed(6))

    def decode(of):
        return decoder.generate_bars(of, head, 1.0, torch.Generator().manual_seed(5))

    differs = (decode(embeddings) != decode(moved)).view(B, U, -1).any(dim=-1).any(dim=0)
    assert differs.tolist() == [False, False, True, False, False]


def test_a_bar_depends_on_all_of_z_through_the_conductor_and_on_its_own_part_directly(head):
    decoder, z = conductor_for(head), codes().requires_grad_()
    for bar in range(U):
        (whole,) = torch.autograd.grad(decoder.embeddings(z)[:, bar].sum(), z)
        assert (whole.abs().sum(dim=0) > 0).all()
    with torch.no_grad():
        decoder.to_initial.weight.zero_()
        decoder.conductor.weight_hh_l0.zero_()
    parts = Z // U
    for bar in range(U):
        (own,) = torch.autograd.grad(decoder.embeddings(z)[:, bar].sum(), z)
        heard = (own.abs().sum(dim=0) > 0).view(U, parts).all(dim=1)
        assert heard[bar]
        assert not heard[bar + 1 :].any()


def test_without_direct_paths_all_goes_through_the_conductor(head):
    decoder, z = conductor_for(head, bar_paths=False), codes().requires_grad_()
    for bar in range(U):
        (whole,) = torch.autograd.grad(decoder.embeddings(z)[:, bar].sum(), z)
        assert (whole.abs().sum(dim=0) > 0).all()
    with torch.no_grad():
        decoder.to_initial.weight.zero_()
        assert torch.allclose(*decoder.embeddings(z)[:2], atol=1e-6)


@torch.no_grad()
def test_the_encoder_depends_on_every_step_and_the_order_of_bars():
    torch.manual_seed(0)
    sizes = (9, 8, 1, Z, U, BAR, 5)
    encoder = HierarchicalEncoder(*sizes, steps_per_bar=STEPS_PER_BAR, step_size=2)
    features = hits_of(CategoricalHead(H))
    mu, sigma = encoder(features)
    assert mu.shape == sigma.shape == (B, Z)
    assert (sigma > 0).all()
    for step in (0, 17, U * STEPS_PER_BAR - 1):
        changed = features.clone()
        changed[:, step] = 1 - changed[:, step]
        assert not torch.allclose(mu, encoder(changed)[0])
    turned = features.roll(STEPS_PER_BAR, dims=1)
    assert not torch.allclose(mu, encoder(turned)[0])


def decoded_again(model, features):
    with torch.no_grad():
        return model.decode(model.encode(features)[0], temperature=0.0)


def test_a_small_hierarchy_memorises_one_batch():
    torch.manual_seed(0)
    config = ModelConfig(
        head="categorical",
        n_bars=2,
        encoder_size=64,
        encoder_bar_size=16,
        decoder_size=128,
        decoder_layers=1,
        z_size=24,
        step_size=8,
        conductor_size=24,
        bar_size=24,
    )
    model = build(config)
    rng = np.random.default_rng(0)
    grooves = [drummed_groove(rng, config.n_bars) for _ in range(4)]
    target = torch.from_numpy(features_of(grooves))[..., :N_VOICES]
    assert len(torch.unique(target.view(-1, STEPS_PER_BAR, N_VOICES), dim=0)) == 8
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for step in range(400):
        mu, _ = model.encode(target)
        states = model.decode_forced(mu, shift_right(target))
        loss = (
            -model.head.log_prob(states, target)["hits"].mean() + 0.01 * (mu**2).sum(dim=1).mean()
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % 50 == 49 and torch.equal(decoded_again(model, target), target):
            return
    pytest.fail("after 400 steps it does not know them")


def test_an_encoder_starts_from_one_of_the_same_sizes_only():
    torch.manual_seed(0)
    trained, flat = (build(preset(f"drums_16bar_{name}_tiny").model) for name in ("hier", "flat"))
    flat.initialise_part("encoder", trained)
    features = torch.rand(2, 256, 9)
    with torch.no_grad():
        assert torch.equal(flat.encode(features)[0], trained.encode(features)[0])
    with pytest.raises(ConfigError, match="encoder cannot start from one of other sizes"):
        flat.initialise_part("encoder", build(preset("drums_2bar_tiny").model))


def test_a_lab_starts_from_no_parts():
    run = Run(preset("groove_lab_tiny"), fabric_on())
    with pytest.raises(ConfigError, match="groove_lab_tiny cannot start from parts of others"):
        run.start_parts({"encoder": Checkpoint.new(preset("drums_2bar_tiny"))})
