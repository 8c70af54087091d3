"""What all models compute with: the precision, whole blocks of rows, LSTMs that run step by step.

The same z and seed give the same music, alone or among others: everything is multiplied in one
precision, and in whole blocks of rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

_BLOCK = 8
"""Rows of a product that are computed alike; few rows alone are added up in another order."""

Plan = TypeVar("Plan")


def product_dtype(device: torch.device) -> torch.dtype:
    """Return the type that a finished model multiplies in on a device, whatever the batch.

    float32 on a CPU. bfloat16 is faster on processors with instructions for it, and rounds more
    coarsely; on the others a product took 180 times as long.
    """
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def is_fast_at_bfloat16(device: torch.device) -> bool:
    """Return whether a device trains faster in bfloat16 than in float32.

    A CPU without instructions for it is far slower, and torch's LSTM refuses it there.
    """
    if device.type != "cpu":
        return device.type == "cuda"
    abilities = torch.cpu.get_capabilities()
    return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))


def on_whole_blocks(function: Callable[..., Any], *rows: Tensor, rows_each: int = 1) -> Any:
    """Apply a function to examples, filled up to whole blocks of rows where there are too few.

    What an example gives is then the same, alone or in any batch, to the bit on the processors
    that this was tried on. Where gradients are wanted nothing is filled up.

    Parameters
    ----------
    function
        From tensors (B, ...) to a tensor or a tuple of them, each (B, ...), example by example.
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
