"""The decoder: free running against a slow and obvious loop, causality, and its inputs."""

import pytest
import torch
from slow_decoder import generate_slowly

from musicvae_core.models import decoders
from musicvae_core.models.checkpoint import load_checkpoint
from musicvae_core.models.decoders import FlatDecoder, shift_right
from musicvae_core.models.heads import CategoricalHead, GrooveHead
from musicvae_core.music.drums import N_VOICES, OFFSET_SCALE
from musicvae_core.music.grid import COMMON_TIME
from musicvae_core.studio import SHIPPED_CHECKPOINTS

TICKS_PER_STEP = COMMON_TIME.ticks_per_step

B, T, H, Z = 6, 24, 10, 5
TICK = OFFSET_SCALE / TICKS_PER_STEP
"""Width of the widest bin."""


@pytest.fixture(params=["categorical", "groove"])
def head(request):
    torch.manual_seed(0)
    made = CategoricalHead(H) if request.param == "categorical" else GrooveHead(H, 8, 2)
    with torch.no_grad():
        made.to_logits.weight.mul_(20)  # decided choices, so that rounding does not turn them
    return made


def decoder_for(head, n_layers=2, step_size=3):
    torch.manual_seed(1)
    decoder = FlatDecoder(head.n_features, H, n_layers, Z, T, step_size)
    with torch.no_grad():
        for name, parameter in decoder.lstm.named_parameters():
            if name.startswith("weight"):
                parameter.mul_(3)  # so that the previous output matters
    return decoder


def codes(n=B):
    return torch.randn(n, Z, generator=torch.Generator().manual_seed(2))


def noise_of(head, temperature, n=B, seed=3):
    if temperature == 0:
        return None
    return head.draw_noise((T, n), torch.Generator().manual_seed(seed))


@torch.no_grad()
def generate(decoder, head, z, temperature, seed=3):
    return decoder.generate(z, head, temperature, torch.Generator().manual_seed(seed))


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize("step_size", [0, 3])
@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("temperature", [0.0, 0.5, 1.0])
def test_free_running_decoding_equals_the_slow_loop(head, n_layers, step_size, temperature):
    decoder, z = decoder_for(head, n_layers, step_size), codes()
    slow = generate_slowly(decoder, head, z, temperature, noise_of(head, temperature))
    fast = generate(decoder, head, z, temperature)
    assert fast.shape == (B, T, head.n_features)
    assert len(torch.unique(slow[..., :N_VOICES].flatten(0, 1), dim=0)) > 3
    assert torch.equal(fast[..., :N_VOICES], slow[..., :N_VOICES])
    # A value that lies between two bins may be rounded to either.
    torch.testing.assert_close(fast, slow, rtol=0, atol=1.01 * TICK)
    assert ((fast - slow).abs() > 1e-4).float().mean() < 1e-3


def test_the_music_in_integers_is_that_in_float32_to_rounding(request):
    model = load_checkpoint(SHIPPED_CHECKPOINTS / "groove_2bar").model
    z = torch.randn(32, model.config.z_size, generator=torch.Generator().manual_seed(0)) / 2
    made = []
    for precision in ("in_float32", "in_integers"):
        request.getfixturevalue(precision)
        made.append(model.decode(z, 0.0))
    differ = (made[0] - made[1]).abs() > 2 * TICK
    assert 0 < differ.any(dim=-1).float().mean() < 0.02


def test_one_example_alone_equals_one_in_a_batch(head):
    decoder, z = decoder_for(head), codes()
    together = generate(decoder, head, z, 0.0)
    for index in range(B):
        alone = generate(decoder, head, z[index : index + 1], 0.0)
        assert torch.equal(alone[0], together[index])


def test_the_first_grooves_of_a_seed_do_not_depend_on_how_many_follow(head):
    decoder, z = decoder_for(head), codes(7)
    many = generate(decoder, head, z, 1.0)
    few = generate(decoder, head, z[:3], 1.0)
    assert torch.equal(few, many[:3])


@pytest.mark.parametrize(
    ("precision", "sizes"), [("in_float32", [16] * 3), ("in_integers", [16, 16, 8])]
)
def test_many_rows_are_decoded_in_parts_and_as_in_one(head, monkeypatch, request, precision, sizes):
    request.getfixturevalue(precision)
    decoder, z = decoder_for(head), codes(40)
    whole = generate(decoder, head, z, 1.0)
    decoded, run = [], decoder.run
    monkeypatch.setattr(decoder, "run", lambda z, *rest: decoded.append(len(z)) or run(z, *rest))
    monkeypatch.setattr(decoders, "_CPU_ROWS", 16)
    parts = generate(decoder, head, z, 1.0)
    assert decoded == sizes
    assert torch.equal(parts, whole)


def test_seeds_repeat_and_differ(head):
    decoder, z = decoder_for(head), codes()
    first, again, other = (generate(decoder, head, z, 1.0, seed) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_every_example_has_its_own_noise(head):
    drawn = generate(decoder_for(head), head, codes(1).expand(B, -1), 1.0)
    assert len(torch.unique(drawn, dim=0)) == B


def test_free_running_leaves_the_weights_and_z_as_they_were(head):
    decoder, z = decoder_for(head), codes()
    before = [p.clone() for p in (*decoder.parameters(), z)]
    generate(decoder, head, z, 1.0)
    assert all(torch.equal(a, b) for a, b in zip(before, (*decoder.parameters(), z), strict=True))


@pytest.mark.usefixtures("in_float32")
@pytest.mark.parametrize("part", ["lstm", "head"])
def test_changed_weights_take_effect_in_the_next_run(head, part):
    decoder, z = decoder_for(head), codes()
    before = generate(decoder, head, z, 0.0)
    module = decoder.lstm if part == "lstm" else head
    optimiser = torch.optim.SGD(module.parameters(), lr=1.0)
    for parameter in module.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(9))
    optimiser.step()
    after = generate(decoder, head, z, 0.0)
    assert not torch.equal(after, before)
    torch.testing.assert_close(after, generate_slowly(decoder, head, z, 0.0, None))


def test_a_run_may_move_to_another_type_after_the_first():
    torch.manual_seed(0)
    head = CategoricalHead(H)
    decoder, z = decoder_for(head), codes()
    generate(decoder, head, z, 0.0)
    moved = generate(decoder.double(), head.double(), z.double(), 0.0)
    assert moved.dtype == torch.float64


@torch.no_grad()
@pytest.mark.parametrize("step", [0, 1, 11, T - 1])
def test_no_state_depends_on_later_steps(head, step):
    decoder, z = decoder_for(head), codes()
    previous = generate(decoder, head, z, 0.0)
    changed = previous.clone()
    changed[:, step] = 1 - changed[:, step]
    before, after = decoder(z, previous), decoder(z, changed)
    assert before.shape == (B, T, H)
    assert torch.equal(before[:, :step], after[:, :step])
    assert (before[:, step] != after[:, step]).any(dim=-1).all()


@pytest.mark.usefixtures("in_float32")
@torch.no_grad()
def test_fed_its_own_output_it_chooses_the_same_again(head):
    decoder, z = decoder_for(head), codes()
    own = generate(decoder, head, z, 0.0)
    forced = head.sample(decoder(z, shift_right(own)), 0.0, None)
    assert torch.equal(forced[..., :N_VOICES], own[..., :N_VOICES])
    torch.testing.assert_close(forced, own, rtol=0, atol=1e-4)


@torch.no_grad()
def test_z_reaches_every_initial_state(head):
    decoder, z = decoder_for(head), codes()
    hidden, cell = decoder.initial_states(z)
    other_hidden, other_cell = decoder.initial_states(z + 1)
    assert hidden.shape == cell.shape == (2, B, H)
    assert hidden.abs().max() < 1
    assert (hidden != other_hidden).all()
    assert (cell != other_cell).all()


@torch.no_grad()
@pytest.mark.parametrize("step_size", [0, 3])
def test_z_reaches_the_steps_themselves(head, step_size):
    decoder, z = decoder_for(head, step_size=step_size), codes()
    decoder.to_initial.weight.zero_()  # now z is heard at the steps alone
    previous = torch.zeros(B, T, head.n_features)
    assert (decoder(z, previous)[:, 0] != decoder(z + 1, previous)[:, 0]).any(dim=-1).all()


@torch.no_grad()
def test_the_direct_path_gives_each_step_inputs_of_its_own(head):
    decoder, z = decoder_for(head), codes()
    previous = torch.zeros(B, T, head.n_features)
    before = decoder(z, previous)
    decoder.to_steps.bias.view(T, 3)[10] += 1
    after = decoder(z, previous)
    assert torch.equal(after[:, :10], before[:, :10])
    assert (after[:, 10] != before[:, 10]).any(dim=-1).all()


def test_shift_right_starts_with_silence_and_never_shows_the_step_itself():
    features = torch.arange(1.0, 13).view(1, 4, 3)
    expected = torch.cat([torch.zeros(1, 1, 3), features[:, :3]], dim=1)
    assert torch.equal(shift_right(features), expected)
