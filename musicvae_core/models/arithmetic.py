"""Arithmetic shared by all models: precision, whole blocks of rows, and step-by-step LSTMs.

The same z and seed give the same music, alone or in any batch: a device computes each kind of
product in one precision, floats in whole blocks of rows, and sums of integers are exact.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

_BLOCK = 16
"""Products are computed in blocks of this many rows; fewer rows are summed in another order.
Most processors would do with 8; Sapphire Rapids needs 16."""

_Plan = TypeVar("_Plan")
_ModuleT = TypeVar("_ModuleT", bound=nn.Module)


def product_dtype(device: torch.device) -> torch.dtype:
    """Return the precision of a trained model's matrix products on a device, for any batch.

    float32 on a CPU. There, bfloat16 is faster on processors with instructions for it, but rounds
    more coarsely; on other processors a product took 180 times as long.
    """
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def step_dtype(device: torch.device) -> torch.dtype:
    """Return the precision of the products within free-running decoding, for any batch.

    On a CPU with instructions for them, 8-bit integers: a product takes a quarter of the time of
    one in float32, for any number of rows, and its sums are exact.
    """
    return torch.int8 if device.type == "cpu" and _is_fast_at_integers() else product_dtype(device)


@cache
def _is_fast_at_integers() -> bool:
    return bool(torch.cpu.get_capabilities().get("avx512_vnni"))


def on_whole_blocks(function: Callable[..., Any], *rows: Tensor, rows_each: int = 1) -> Any:
    """Apply a function to examples, padded to whole blocks of rows.

    An example's result is then the same alone or in any batch, bit for bit on every processor
    tested. Nothing is padded while gradients are enabled.

    Parameters
    ----------
    function
        Maps tensors (B, ...) to a tensor or a tuple of tensors, each (B, ...), example by example.
    rows
        Tensors (B, ...).
    rows_each
        How many rows of the function's products belong to one example.
    """
    n = len(rows[0])
    missing = -n % (_BLOCK // math.gcd(_BLOCK, rows_each))
    if not missing or torch.is_grad_enabled():
        return function(*rows)
    made = function(*(torch.cat([one, one.new_zeros(missing, *one.shape[1:])]) for one in rows))
    return made[:n] if isinstance(made, Tensor) else tuple(one[:n] for one in made)


def _arrange_gates(weight: Tensor) -> Tensor:
    """Reorder the rows of the gates for `LayerState`: i, f, g, o become i, f, o and 2 g."""
    enter, forget, candidate, out = weight.chunk(4)
    return torch.cat([enter, forget, out, 2 * candidate])


class LayerState:
    """The cell state of an LSTM layer, with its working memory.

    tanh(x) is computed as 2 sigmoid(2x) - 1, because torch's sigmoid is ten times as fast as its
    tanh on a CPU. So the candidate's weights are doubled (`_arrange_gates`), a single sigmoid
    computes all gates, and the cell state is stored doubled as well.

    Parameters
    ----------
    cell
        (B, H) float32, the initial cell state.
    unit
        What the hidden state is multiplied by; see `Product`.
    """

    @staticmethod
    def weights(lstm: nn.LSTM, suffix: str) -> tuple[Tensor, Tensor, Tensor]:
        """Return a layer's reordered weights: of its input, of its own state, and the bias.

        `suffix` is the layer's in PyTorch's names: `l0`, `l0_reverse`, `l1`, …
        """
        input_weight, own, input_bias, own_bias = (
            _arrange_gates(getattr(lstm, f"{name}_{suffix}"))
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        return input_weight, own, input_bias + own_bias

    def __init__(self, cell: Tensor, unit: float) -> None:
        n_examples, size = cell.shape
        self.gates = cell.new_empty(n_examples, 4 * size)
        self._enter, self._forget, self._out, self._candidate = self.gates.chunk(4, dim=-1)
        self._doubled = 2 * cell
        self._squashed = torch.empty_like(cell)
        self._hidden = torch.empty_like(cell)
        self._unit = unit

    def advance(self) -> Tensor:
        """Take one step from the pre-activations in `gates`; return the hidden state (B, H)."""
        self.gates.sigmoid_()
        # cell = forget * cell + enter * (2 * candidate - 1), with everything doubled
        self._doubled.mul_(self._forget).addcmul_(self._enter, self._candidate, value=4)
        self._doubled.sub_(self._enter, alpha=2)
        torch.sigmoid(self._doubled, out=self._squashed)
        torch.mul(self._out, -self._unit, out=self._hidden)
        return self._hidden.addcmul_(self._out, self._squashed, value=2 * self._unit)


class PlanCache(Generic[_Plan]):
    """A cache of plans built from a module's weights, cleared when the weights change."""

    def __init__(self) -> None:
        self._plans: dict[Hashable, _Plan] = {}
        self._version: tuple[tuple[int, int], ...] = ()

    def get(self, key: Hashable, parameters: Iterable[Tensor], make: Callable[[], _Plan]) -> _Plan:
        """Return the plan for this key; rebuild it if the parameters have changed."""
        version = tuple((one.data_ptr(), one._version) for one in parameters)
        if version != self._version:
            self._plans, self._version = {}, version
        plans = self._plans
        if key not in plans:
            plans[key] = make()
        return plans[key]

    def __deepcopy__(self, memo: object) -> PlanCache[_Plan]:
        """Return an empty cache: a copied module builds plans from its own weights."""
        return PlanCache()


_LEVELS = 127
"""8-bit integers from minus this to this are used."""


@dataclass(frozen=True)
class Product:
    """A product with fixed weights, of inputs in [-1, 1].

    In 8-bit integers an input is stored as the nearest of 127 levels on either side of zero, and
    so is a weight, relative to the largest in its row. The sums are exact.

    `torch._int_mm` is private, but torch's public layers in integers scale their inputs by the
    largest of the whole batch, so that a groove would depend on those decoded with it.

    Parameters
    ----------
    weight
        (N, K), of the dtype of the inputs.
    scale
        (N,) float32, what a sum of integers is multiplied by; None for floats.
    """

    weight: Tensor
    scale: Tensor | None = None

    @classmethod
    def of(cls, weight: Tensor, dtype: torch.dtype) -> Product:
        """Return the product with a float32 weight (N, K), computed in `dtype`."""
        if dtype != torch.int8:
            return cls(weight.to(dtype))
        level = weight.abs().amax(dim=1).clamp(min=torch.finfo(torch.float32).tiny) / _LEVELS
        return cls((weight / level.unsqueeze(1)).round().to(dtype), level / _LEVELS)

    @property
    def unit(self) -> float:
        """What inputs are multiplied by before they are stored."""
        return 1.0 if self.scale is None else float(_LEVELS)

    def __call__(self, inputs: Tensor) -> Tensor:
        """Return the sums (B, N) float32 of inputs (B, K) in [-1, 1]."""
        if self.scale is None:
            return functional.linear(inputs.to(self.weight.dtype), self.weight).float()
        stored = (inputs * self.unit).round_().to(torch.int8)
        return torch._int_mm(stored, self.weight.t()).float().mul_(self.scale)

    def store(self, target: Tensor, values: Tensor) -> None:
        """Write multiples of `unit` (B, K) to part of an input; `values` may be overwritten."""
        target.copy_(values if self.scale is None else values.round_())

    def sums(self, inputs: Tensor, out: Tensor, bias: Tensor) -> Tensor:
        """Write the sums of stored inputs (B, K) and a bias to `out`, (B, N) float32."""
        if self.scale is None:
            return out.copy_(functional.linear(inputs, self.weight)).add_(bias)
        # One operation would round differently in the last few columns of a batch.
        return out.copy_(torch._int_mm(inputs, self.weight.t())).mul_(self.scale).add_(bias)


class _IntegerLinear(nn.Module):
    """A linear layer in 8-bit integers; each row of the input has its own scale.

    Parameters
    ----------
    layer
        The layer whose weights to use.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.product, self.bias = Product.of(layer.weight.data, torch.int8), layer.bias.data

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., K) to (..., N), float32."""
        rows = x.reshape(-1, x.shape[-1])
        peaks = rows.abs().amax(dim=1, keepdim=True).clamp_(min=torch.finfo(x.dtype).tiny)
        sums = self.product(rows / peaks).mul_(peaks).add_(self.bias)
        return sums.view(*x.shape[:-1], -1)


def in_integers(module: _ModuleT) -> _ModuleT:
    """Return a copy of a module whose linear layers compute in 8-bit integers."""
    copied = copy.deepcopy(module)
    for parent in list(copied.modules()):
        for name, layer in parent.named_children():
            # With a single input, torch 2.13 adds up memory that is not part of the product.
            if isinstance(layer, nn.Linear) and layer.in_features > 1:
                setattr(parent, name, _IntegerLinear(layer))
    return copied


class Sampler(Protocol):
    """Draws the steps of a sequence: a head with a temperature and the noise drawn for it."""

    @property
    def head(self) -> nn.Module:
        """The head whose `projection` of a decoder state `draw` takes."""

    def steps(self, n_steps: int) -> Sequence[Sampler]:
        """Return one sampler per step."""

    def draw(self, projected: Tensor) -> Tensor:
        """Draw one step from projected states: (B, P) to (B, F) features."""


@dataclass(frozen=True)
class StepPlan:
    """The weights of a decoder and a head, arranged for free-running decoding.

    In free-running decoding each step has to wait for the previous sample, so speed matters. The
    weights are arranged once; each step then does the same arithmetic as `nn.LSTM` with a single
    matrix product per layer.

    The previous output and the states of all layers are adjacent in one tensor. A layer reads its
    own state and the values just before it; the head reads the last state. So each needs one
    product with a slice of that tensor, and nothing is concatenated.

    Parameters
    ----------
    from_z, z_bias
        (2 * layers * H + 4H, Z) and (2 * layers * H + 4H,): from z to the initial states before
        the tanh, and to z's contribution to the first layer's gates at every step.
    from_step
        (4H, S): from a step's own input to its contribution to the first layer's gates.
    products
        Of each layer (4H, inputs + H), and of the head (P, H).
    biases
        The biases that go with them, without the first layer's.
    n_features, size
        F and H.
    """

    from_z: Tensor
    z_bias: Tensor
    from_step: Tensor
    products: list[Product]
    biases: list[Tensor]
    n_features: int
    size: int

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        to_initial: nn.Linear,
        lstm: nn.LSTM,
        head: Any,
        n_features: int,
        dtype: torch.dtype,
    ) -> StepPlan:
        """Arrange the weights; matrix products within the steps use `dtype`."""
        layers = [LayerState.weights(lstm, f"l{layer}") for layer in range(lstm.num_layers)]
        head_weight, head_bias = head.projection()
        widths = (n_features, to_initial.in_features)
        previous, from_z, from_step = layers[0][0].tensor_split((widths[0], sum(widths)), dim=1)
        inputs = [previous, *(below for below, _, _ in layers[1:])]
        pairs = zip(inputs, (own for _, own, _ in layers), strict=True)
        weights = [*(torch.cat(pair, dim=1) for pair in pairs), head_weight]
        return cls(
            from_z=torch.cat([to_initial.weight, from_z]),
            z_bias=torch.cat([to_initial.bias, layers[0][2]]),
            from_step=from_step,
            products=[Product.of(weight, dtype) for weight in weights],
            biases=[*(bias for _, _, bias in layers[1:]), head_bias],
            n_features=n_features,
            size=lstm.hidden_size,
        )

    @torch.no_grad()
    def run(
        self,
        z: Tensor,
        step_inputs: Tensor | None,
        n_steps: int,
        sampler: Sampler,
    ) -> Tensor:
        """Run the steps.

        Parameters
        ----------
        z
            (B, Z).
        step_inputs
            (B, T, S), each step's own input; None for none.
        n_steps
            T.
        sampler
            Draws the steps of the whole sequence.

        Returns
        -------
        (B, T, F) float32 features.
        """
        initial, first_biases = self.begin(z, step_inputs, n_steps)
        joined, hidden, layers = self._start(initial)
        inputs = self._inputs(joined)
        previous = joined[:, : self.n_features]
        *products, to_head = self.products
        *biases, head_bias = self.biases
        projected = z.new_empty(len(z), len(head_bias))
        outputs = []
        for first_bias, step in zip(first_biases, sampler.steps(n_steps), strict=True):
            for state, product, read, bias, own in zip(
                layers, products, inputs, (first_bias, *biases), hidden, strict=False
            ):
                product.sums(read, state.gates, bias)
                product.store(own, state.advance())
            to_head.sums(inputs[-1], projected, head_bias)
            outputs.append(step.draw(projected))
            to_head.store(previous, outputs[-1] * to_head.unit)
        return torch.stack(outputs, dim=1)  # (B, T, F)

    def begin(
        self, z: Tensor, step_inputs: Tensor | None, n_steps: int
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return what z and the steps' own inputs contribute.

        Parameters
        ----------
        z, step_inputs, n_steps
            As in `run`.

        Returns
        -------
        The initial states before the tanh, (B, 2 * layers * H), and for each step the bias of
        the first layer's gates, (B, 4H).
        """
        from_z = on_whole_blocks(lambda z: functional.linear(z, self.from_z, self.z_bias), z)
        initial, bias = from_z.tensor_split((from_z.shape[1] - 4 * self.size,), dim=1)
        if step_inputs is None:
            return initial, (bias,) * n_steps
        by_step = on_whole_blocks(
            lambda inputs: functional.linear(inputs, self.from_step),
            step_inputs.transpose(0, 1).flatten(0, 1),
        )
        return initial, by_step.view(n_steps, *bias.shape).add_(bias).unbind(0)

    def _start(self, initial: Tensor) -> tuple[Tensor, list[Tensor], list[LayerState]]:
        """Concatenate zeros and the initial hidden states.

        Parameters
        ----------
        initial
            (B, 2 * layers * H), the initial states before the tanh.

        Returns
        -------
        The tensor (B, F + layers * H), each layer's slice of it, and the layers' cells.
        """
        squashed = torch.sigmoid(2 * initial).mul_(2).sub_(1)  # tanh, see `LayerState`
        hidden, cells = squashed.chunk(2, dim=-1)  # each (B, layers * H)
        product, n_features = self.products[0], self.n_features
        joined = product.weight.new_zeros(len(initial), n_features + hidden.shape[1])
        product.store(joined[:, n_features:], hidden * product.unit)
        parts = torch.split(joined[:, n_features:], self.size, dim=-1)
        layers = [LayerState(cell, product.unit) for cell in torch.split(cells, self.size, dim=-1)]
        return joined, list(parts), layers

    def _inputs(self, joined: Tensor) -> list[Tensor]:
        """Return the slice of the tensor that each layer, and the head, reads."""
        ends = range(self.n_features + self.size, joined.shape[1] + 1, self.size)
        starts = [0, *(end - 2 * self.size for end in ends[1:]), ends[-1] - self.size]
        return [joined[:, a:b] for a, b in zip(starts, [*ends, ends[-1]], strict=True)]
