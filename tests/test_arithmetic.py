"""LSTM steps against PyTorch's own, and the precision and blocks of rows of all products."""

import copy

import pytest
import torch
from torch import nn

from musicvae_core.models.arithmetic import (
    LayerState,
    PlanCache,
    Product,
    _arrange_gates,
    _IntegerLinear,
    _is_fast_at_integers,
    in_integers,
    on_whole_blocks,
    product_dtype,
    step_dtype,
)
from musicvae_core.training.run import is_fast_at_bfloat16

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


@torch.no_grad()
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_step_is_that_of_torchs_cell(dtype):
    torch.manual_seed(0)
    cell = nn.LSTMCell(F, H).to(dtype)
    x, hidden, state = (5 * random(B, n, seed=n).to(dtype) for n in (F, H, 7 * H))
    state = state[:, :H]
    expected, expected_state = cell(x, (hidden, state))
    arranged = LayerState(state, unit=1.0)
    weights = [_arrange_gates(one) for one in cell.parameters()]
    sums = x @ weights[0].T + hidden @ weights[1].T + weights[2] + weights[3]
    arranged.gates.copy_(sums)
    hidden = arranged.advance()
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    torch.testing.assert_close(hidden, expected, rtol=0, atol=tolerance)
    torch.testing.assert_close(arranged._doubled / 2, expected_state, rtol=1e-5, atol=tolerance)


@torch.no_grad()
def test_weights_of_a_layer_are_found_by_its_name(lstm):
    x = random(B, F)
    state = LayerState(torch.zeros(B, H), unit=1.0)
    input_weight, _, bias = LayerState.weights(lstm, "l0_reverse")
    state.gates.copy_(x @ input_weight.T + bias)
    hidden = state.advance()
    expected = lstm(x.unsqueeze(1))[0][:, 0, H:]
    torch.testing.assert_close(hidden, expected, rtol=0, atol=1e-6)


def test_a_plan_is_kept_until_the_weights_change_and_is_not_copied():
    weight, plans, made = nn.Parameter(torch.ones(2)), PlanCache(), []

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


@pytest.mark.parametrize("abilities", [{}, {"avx512_bf16": True}, {"amx_bf16": True}])
def test_a_processor_trains_in_bfloat16_only_where_it_has_instructions(abilities, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
    assert is_fast_at_bfloat16(torch.device("cpu")) == bool(abilities)
    assert product_dtype(torch.device("cpu")) == torch.float32


@torch.no_grad()
@pytest.mark.parametrize("n", [1, 15, 16, 17, 70])
def test_a_block_is_filled_up_and_what_fills_it_is_not_returned(n):
    sizes = []

    def double(x, y):
        sizes.append((len(x), len(y)))
        return 2 * x, y + 1

    x, y = random(n, 3), torch.zeros(n, dtype=torch.bool)
    doubled, other = on_whole_blocks(double, x, y)
    assert sizes == [(-(-n // 16) * 16,) * 2]
    assert torch.equal(doubled, 2 * x)
    assert other.tolist() == [1] * n


@pytest.mark.parametrize(("rows_each", "padded"), [(1, 16), (4, 4), (16, 1), (6, 8)])
def test_examples_of_many_rows_need_less_to_fill_a_block(rows_each, padded):
    with torch.no_grad():
        given = on_whole_blocks(
            lambda x: x.new_full((len(x),), len(x)), random(1, F), rows_each=rows_each
        )
    assert given.tolist() == [padded]
    assert on_whole_blocks(len, torch.zeros(3)) == 3  # gradients are wanted


@pytest.mark.parametrize(
    ("abilities", "dtype"), [({}, torch.float32), ({"avx512_vnni": True}, torch.int8)]
)
def test_steps_are_in_integers_only_where_the_processor_has_instructions(
    abilities, dtype, monkeypatch
):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: abilities)
    _is_fast_at_integers.cache_clear()
    assert step_dtype(torch.device("cpu")) == dtype
    _is_fast_at_integers.cache_clear()


def test_a_product_of_integers_is_that_of_the_rounded_numbers():
    weight, inputs, bias = random(48, 70), random(5, 70, seed=1).tanh(), random(5, 48, seed=2)
    product = Product.of(weight, torch.int8)
    level = weight.abs().amax(dim=1, keepdim=True) / 127
    rounded = (weight / level).round() * level
    expected = (inputs * 127).round() / 127 @ rounded.T
    torch.testing.assert_close(product(inputs), expected, rtol=0, atol=1e-4)
    stored = torch.empty(5, 70, dtype=torch.int8)
    product.store(stored, inputs * product.unit)
    sums = product.sums(stored, torch.empty(5, 48), bias)
    torch.testing.assert_close(sums, expected + bias, rtol=0, atol=1e-4)
    assert (product(inputs) - inputs @ weight.T).abs().max() < 0.2


@torch.no_grad()
def test_rows_of_an_integer_layer_are_scaled_on_their_own():
    torch.manual_seed(0)
    layer, rows = nn.Linear(F, H), random(6, F) * 10.0 ** torch.arange(-3, 3).unsqueeze(1)
    made, exact = _IntegerLinear(layer)(rows), layer(rows)
    size = (exact - layer.bias).abs().amax(dim=-1, keepdim=True)
    assert ((made - exact).abs() < 0.03 * size).all()
    assert torch.equal(_IntegerLinear(layer)(rows[2:3]), made[2:3])
    assert torch.equal(_IntegerLinear(layer)(torch.zeros(1, F)), layer.bias.unsqueeze(0))


@pytest.mark.parametrize("n_inputs", [1, 2, 9])
@pytest.mark.parametrize("n", [1, 8])
@torch.no_grad()
def test_a_module_in_integers_is_near_the_one_it_copies(n, n_inputs):
    torch.manual_seed(0)
    module, x = (
        nn.Sequential(nn.Linear(n_inputs, H), nn.SiLU(), nn.Linear(H, F)),
        random(n, n_inputs),
    )
    before = copy.deepcopy(module.state_dict())
    torch.testing.assert_close(in_integers(module)(x), module(x), rtol=0, atol=0.03)
    assert all(torch.equal(module.state_dict()[name], old) for name, old in before.items())
