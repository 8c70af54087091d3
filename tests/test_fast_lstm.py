"""LSTMs arranged for speed, against PyTorch's own."""

import copy

import pytest
import torch
from torch import nn

from musicvae_core.models import fast_lstm
from musicvae_core.models.encoder import BidirectionalEncoder
from musicvae_core.models.fast_lstm import (
    Arranged,
    BothWays,
    LayerState,
    Product,
    can_run_both_ways,
    fits_int8,
    layer_weights,
)

B, T, F, H = 70, 12, 9, 32


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def lstm():
    torch.manual_seed(0)
    made = nn.LSTM(F, H, bidirectional=True, batch_first=True)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.mul_(3)  # so that gates open and shut
    return made


@pytest.fixture
def quantised():
    if not torch.cpu.get_capabilities().get("avx512_vnni", False):
        pytest.skip("this processor has no int8 products")


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_step_is_that_of_torchs_cell(dtype):
    torch.manual_seed(0)
    cell = nn.LSTMCell(F, H).to(dtype)
    x, hidden, state = (5 * random(B, n, seed=n).to(dtype) for n in (F, H, 7 * H))
    state = state[:, :H]
    expected, expected_state = cell(x, (hidden, state))
    arranged = LayerState(state)
    weights = [fast_lstm.arrange_gates(one) for one in cell.parameters()]
    sums = x @ weights[0].T + hidden @ weights[1].T + weights[2] + weights[3]
    arranged.advance(sums, hidden)
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(hidden, expected, rtol=0, atol=tolerance)
    torch.testing.assert_close(arranged._doubled / 2, expected_state, rtol=1e-5, atol=tolerance)


@torch.no_grad()
def test_weights_of_a_layer_are_found_by_its_name(lstm):
    x = random(B, F)
    state, hidden = LayerState(torch.zeros(B, H)), torch.empty(B, H)
    input_weight, _, bias = layer_weights(lstm, "l0_reverse")
    state.advance(x @ input_weight.T + bias, hidden)
    expected = lstm(x.unsqueeze(1))[0][:, 0, H:]
    torch.testing.assert_close(hidden, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int8])
def test_products_are_near_in_every_type(dtype):
    weight, x = random(48, 64), random(1, 64, seed=1)
    weight[5] = 0
    weight[6] *= 1000
    product = Product.of(weight, dtype)
    given = product(x.to(product.input_dtype)).float()
    exact = x @ weight.T
    size = (x.abs() @ weight.abs().T).clamp(min=1e-6)
    assert ((given - exact).abs() / size).max() < {torch.float32: 1e-6}.get(dtype, 0.01)
    assert given[0, 5] == 0


@pytest.mark.parametrize(("shape", "fits"), [((16, 32), True), ((10, 32), False), ((16, 9), False)])
def test_weights_in_broken_blocks_do_not_fit_the_int8_kernel(shape, fits):
    assert fits_int8(torch.zeros(shape)) == fits


def test_a_plan_is_kept_until_the_weights_change_and_is_not_copied():
    weight, plans, made = nn.Parameter(torch.ones(2)), Arranged(), []

    def plan(key="a", holder=plans, of=weight):
        return holder.get(key, [of], lambda: made.append(key) or float(of.detach().sum()))

    assert [plan(), plan(), plan("b"), plan()] == [2.0] * 4
    assert made == ["a", "b"]
    with torch.no_grad():
        weight.mul_(2)
    assert plan() == 4.0
    own = copy.deepcopy({"weight": weight, "plans": plans})
    with torch.no_grad():
        own["weight"].fill_(5)
    assert plan(holder=own["plans"], of=own["weight"]) == 10.0
    assert plan() == 4.0


@pytest.mark.usefixtures("quantised")
@torch.no_grad()
@pytest.mark.parametrize("wants_outputs", [False, True])
def test_both_ways_is_torchs_bidirectional_lstm(lstm, wants_outputs):
    features = random(B, T, F, seed=3).clamp(-1, 1)
    expected, (last, _) = lstm(features)
    states, outputs = BothWays.of(lstm).run(features, wants_outputs)
    assert states.shape == last.shape == (2, B, H)
    torch.testing.assert_close(states, last, rtol=0, atol=0.05)
    assert (outputs is not None) == wants_outputs
    if wants_outputs:
        assert outputs.shape == expected.shape
        torch.testing.assert_close(outputs.float(), expected, rtol=0, atol=0.05)
        assert not torch.allclose(outputs.float().flip(1), expected, rtol=0, atol=0.05)


@pytest.mark.usefixtures("quantised")
@torch.no_grad()
def test_what_is_not_a_number_stays_so(lstm):
    lstm.weight_hh_l0[3, 3] = torch.nan
    states, _ = BothWays.of(lstm).run(random(B, T, F), False)
    assert states[0].isnan().any()
    assert not states[1].isnan().any()


@pytest.mark.usefixtures("quantised")
def test_int8_is_for_many_under_autocast_without_gradients(lstm):
    features = random(B, T, F)
    with torch.no_grad():
        assert not can_run_both_ways(lstm, features)  # nobody said that rounding is welcome
    with torch.autocast("cpu", torch.bfloat16):
        assert not can_run_both_ways(lstm, features)  # gradients are wanted
        with torch.no_grad():
            assert can_run_both_ways(lstm, features)
            assert not can_run_both_ways(lstm, features[:8])
            assert not can_run_both_ways(nn.LSTM(F, H, num_layers=2, bidirectional=True), features)


@pytest.mark.usefixtures("quantised")
@pytest.mark.parametrize("step_size", [0, 4])
def test_many_windows_encode_as_few_do(step_size):
    torch.manual_seed(0)
    encoder = BidirectionalEncoder(F, H, 1, 6, T, step_size)
    features = (random(B, T, F) > 1).float()
    with torch.inference_mode():
        exact = encoder(features)
        with torch.autocast("cpu", torch.bfloat16):
            many = encoder(features)
    for rounded, wanted in zip(many, exact, strict=True):
        assert not torch.equal(rounded, wanted)
        torch.testing.assert_close(rounded, wanted, rtol=0, atol=0.02)
