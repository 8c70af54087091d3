"""The arithmetic of LSTMs that run step by step and need no gradients, arranged for speed.

It computes what `nn.LSTM` does. Products are made in the type that the device is fastest at;
everything else of a step stays in float32 and is written over what was there before, since at
these sizes finding memory takes as long as the arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

_INT8_LEVELS = 127
_INT8_BLOCK = 16
_LEAST_SCALE = 1e-9
_INPUT_SCALE = 0.5

Plan = TypeVar("Plan")


def arrange_gates(weight: Tensor) -> Tensor:
    """Arrange rows of gates for `LayerState`: i, f, g, o become i, f, o and 2 g."""
    enter, forget, candidate, out = weight.chunk(4)
    return torch.cat([enter, forget, out, 2 * candidate])


def layer_weights(lstm: nn.LSTM, suffix: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return the arranged weights of a layer: of its input, of its own state, and the bias.

    Parameters
    ----------
    lstm
        Whose layer.
    suffix
        As in PyTorch's names: `l0`, `l0_reverse`, `l1`, …
    """
    input_weight, own, input_bias, own_bias = (
        arrange_gates(getattr(lstm, f"{name}_{suffix}"))
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    return input_weight, own, input_bias + own_bias


class LayerState:
    """The cell state of an LSTM layer, and room to work in.

    tanh(x) is computed as 2 sigmoid(2x) - 1, for torch's sigmoid is ten times as fast as its
    tanh on a CPU. So the candidate's weights are doubled (`arrange_gates`), one sigmoid serves
    all gates, and the cell state is kept doubled as well.

    Parameters
    ----------
    cell
        (B, H) float32, the initial cell state.
    """

    def __init__(self, cell: Tensor) -> None:
        n_examples, size = cell.shape
        self.gates = cell.new_empty(n_examples, 4 * size)
        self._enter, self._forget, self._out, self._candidate = self.gates.chunk(4, dim=-1)
        self._doubled = 2 * cell
        self._squashed = torch.empty_like(cell)

    def advance(self, sums: Tensor, hidden: Tensor) -> None:
        """Take one step.

        Parameters
        ----------
        sums
            (B, 4H) what the gates hear in all; it may stand in `gates`.
        hidden
            (B, H), where to write the next hidden state.
        """
        torch.sigmoid(sums, out=self.gates)
        # cell = forget * cell + enter * (2 * candidate - 1), all of it twice
        self._doubled.mul_(self._forget).addcmul_(self._enter, self._candidate, value=4)
        self._doubled.sub_(self._enter, alpha=2)
        torch.sigmoid(self._doubled, out=self._squashed)
        torch.addcmul(self._out.neg(), self._out, self._squashed, value=2, out=hidden)


def quantise_rows(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round every row of a weight (N, K) to its own 255 levels.

    Returns
    -------
    (N, K) int8 levels, and (N,) float32 the size of one level of each row; that is exact in
    bfloat16.
    """
    scales = (weight.abs().amax(dim=1) / _INT8_LEVELS).clamp(min=_LEAST_SCALE)
    scales = scales.bfloat16().float()
    levels = (weight / scales.unsqueeze(1)).round().clamp(-_INT8_LEVELS, _INT8_LEVELS)
    return levels.to(torch.int8), scales


@dataclass(frozen=True)
class Product:
    """x @ weight.T for one weight and many x.

    Parameters
    ----------
    weight
        (N, K) in the type to multiply in, or int8.
    scales
        (N,) bfloat16, the size of one level of each row of an int8 weight.
    """

    weight: Tensor
    scales: Tensor | None = None

    @classmethod
    def of(cls, weight: Tensor, dtype: torch.dtype) -> Product:
        """Arrange a float weight (N, K); int8 rounds every row to its own 255 levels."""
        if dtype != torch.int8:
            return cls(weight.to(dtype))
        levels, scales = quantise_rows(weight)
        return cls(levels, scales.bfloat16())

    @property
    def input_dtype(self) -> torch.dtype:
        """The type that x must have."""
        return self.weight.dtype if self.scales is None else torch.bfloat16

    def __call__(self, x: Tensor) -> Tensor:
        """Return (B, N) of x (B, K)."""
        if self.scales is None:
            return functional.linear(x, self.weight)
        return torch._weight_int8pack_mm(x, self.weight, self.scales)


def fits_int8(weight: Tensor) -> bool:
    """Say whether torch's int8 kernel takes a weight: it reads whole blocks, unchecked."""
    return all(length % _INT8_BLOCK == 0 for length in weight.shape)


class Arranged(Generic[Plan]):
    """Plans made of a module's weights, kept until these change."""

    def __init__(self) -> None:
        self._plans: dict[Hashable, Plan] = {}
        self._version: tuple[tuple[int, int], ...] = ()

    def get(self, key: Hashable, parameters: Iterable[Tensor], make: Callable[[], Plan]) -> Plan:
        """Return the plan of this key, made anew when the parameters have changed."""
        version = tuple((one.data_ptr(), one._version) for one in parameters)
        if version != self._version:
            self._plans, self._version = {}, version
        plans = self._plans
        if key not in plans:
            plans[key] = make()
        return plans[key]

    def __deepcopy__(self, memo: object) -> Arranged[Plan]:
        """Return none: a copy of a module makes plans of its own weights."""
        return Arranged()


@dataclass(frozen=True)
class _QuantisedProduct:
    """x @ weight.T + bias in int8, for large batches.

    Weights are rounded by rows, once; x is rounded every time to some 255 levels between its
    least and its greatest number.
    """

    packed: Tensor
    scales: Tensor
    zeros: Tensor
    bias: Tensor

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor) -> _QuantisedProduct:
        levels, scales = quantise_rows(weight)
        packed = torch.ops.onednn.qlinear_prepack(levels, None)
        return cls(packed, scales, torch.zeros(len(weight), dtype=torch.int32), bias)

    def __call__(self, x: Tensor) -> Tensor:
        least, greatest = (float(end) for end in x.aminmax())
        if not math.isfinite(greatest - least):
            return x.new_full((len(x), len(self.scales)), math.nan)
        least, greatest = min(least, 0.0), max(greatest, 0.0)
        scale = max((greatest - least) / (2 * _INT8_LEVELS), _LEAST_SCALE)
        zero = round(-least / scale)
        # 0.5 more, for what becomes an integer is cut, not rounded
        levels = torch.add(torch.tensor(zero + 0.5), x, alpha=1 / scale).to(torch.uint8)
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            *(levels, scale, zero, self.packed, self.scales, self.zeros, self.bias),
            *(1.0, 0, torch.float32, "none", [], ""),
        )
        return product


@dataclass(frozen=True)
class _Direction:
    """A layer that runs one way: inputs and states stand side by side for one int8 product.

    Inputs are halved for it, since they reach to 1 where most states do not reach to 0.5.
    """

    product: _QuantisedProduct
    n_padded: int
    size: int

    @classmethod
    def of(cls, lstm: nn.LSTM, suffix: str) -> _Direction:
        input_weight, own, bias = layer_weights(lstm, suffix)
        padded = functional.pad(input_weight / _INPUT_SCALE, (0, -lstm.input_size % _INT8_BLOCK))
        product = _QuantisedProduct.of(torch.cat([padded, own], dim=1), bias)
        return cls(product, padded.shape[1], lstm.hidden_size)

    def run(self, features: Tensor, order: Iterable[int], outputs: Tensor | None) -> Tensor:
        """Run over the steps of features (B, T, F) in some order and return the last state.

        outputs (B, T, H), where it is given, takes the state after every step.
        """
        n_examples, _, n_features = features.shape
        side_by_side = features.new_zeros(n_examples, self.n_padded + self.size)
        heard, hidden = side_by_side[:, :n_features], side_by_side[:, self.n_padded :]
        state = LayerState(torch.zeros_like(hidden))
        for step in order:
            torch.mul(features[:, step], _INPUT_SCALE, out=heard)
            state.advance(self.product(side_by_side), hidden)
            if outputs is not None:
                outputs[:, step] = hidden
        return hidden


_MIN_QUANTISED_BATCH = 64
"""Below it a batch is encoded in a few milliseconds whichever way."""


@dataclass(frozen=True)
class BothWays:
    """A bidirectional LSTM of one layer, for large batches on a processor with VNNI."""

    directions: tuple[_Direction, _Direction]

    @classmethod
    @torch.no_grad()
    def of(cls, lstm: nn.LSTM) -> BothWays:
        """Arrange the weights."""
        return cls((_Direction.of(lstm, "l0"), _Direction.of(lstm, "l0_reverse")))

    def run(self, features: Tensor, wants_outputs: bool) -> tuple[Tensor, Tensor | None]:
        """Return the last states (2, B, H), and the outputs (B, T, 2H) where they are wanted.

        Parameters
        ----------
        features
            (B, T, F) float32.
        wants_outputs
            Whether to keep the state of every step, in bfloat16.
        """
        n_examples, n_steps, _ = features.shape
        forward, backward = self.directions
        parts: tuple[Tensor | None, ...] = (None, None)
        outputs = None
        if wants_outputs:
            shape = (n_examples, n_steps, 2 * forward.size)
            outputs = features.new_empty(shape, dtype=torch.bfloat16)
            parts = torch.split(outputs, forward.size, dim=-1)
        last = forward.run(features, range(n_steps), parts[0])
        first = backward.run(features, range(n_steps)[::-1], parts[1])
        return torch.stack([last, first]), outputs


def can_run_both_ways(lstm: nn.LSTM, features: Tensor) -> bool:
    """Say whether `BothWays` may stand in for an LSTM, and pays.

    It may where the caller has asked for products in few bits by autocast, and wants no
    gradients.
    """
    return (
        features.device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and not torch.is_grad_enabled()
        and len(features) >= _MIN_QUANTISED_BATCH
        and lstm.num_layers == 1
        and torch.cpu.get_capabilities().get("avx512_vnni", False)
        and hasattr(torch.ops.onednn, "qlinear_pointwise")
    )
