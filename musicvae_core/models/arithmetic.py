"""What all models compute with: the precision, whole blocks of rows, LSTMs that run step by step.

The same z and seed give the same music, alone or among others: everything is multiplied in one
precision, and in whole blocks of rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

_BLOCK = 8
"""Rows of a product that are computed alike; few rows alone are added up in another order."""

_Plan = TypeVar("_Plan")


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


def _arrange_gates(weight: Tensor) -> Tensor:
    """Arrange rows of gates for `_LayerState`: i, f, g, o become i, f, o and 2 g."""
    enter, forget, candidate, out = weight.chunk(4)
    return torch.cat([enter, forget, out, 2 * candidate])


def _layer_weights(lstm: nn.LSTM, suffix: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return the arranged weights of a layer: of its input, of its own state, and the bias.

    Parameters
    ----------
    lstm
        Whose layer.
    suffix
        As in PyTorch's names: `l0`, `l0_reverse`, `l1`, …
    """
    input_weight, own, input_bias, own_bias = (
        _arrange_gates(getattr(lstm, f"{name}_{suffix}"))
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    return input_weight, own, input_bias + own_bias


class _LayerState:
    """The cell state of an LSTM layer, and room to work in.

    tanh(x) is computed as 2 sigmoid(2x) - 1, for torch's sigmoid is ten times as fast as its
    tanh on a CPU. So the candidate's weights are doubled (`_arrange_gates`), one sigmoid serves
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


class Arranged(Generic[_Plan]):
    """Plans made of a module's weights, kept until these change."""

    def __init__(self) -> None:
        self._plans: dict[Hashable, _Plan] = {}
        self._version: tuple[tuple[int, int], ...] = ()

    def get(self, key: Hashable, parameters: Iterable[Tensor], make: Callable[[], _Plan]) -> _Plan:
        """Return the plan of this key, made anew when the parameters have changed."""
        version = tuple((one.data_ptr(), one._version) for one in parameters)
        if version != self._version:
            self._plans, self._version = {}, version
        plans = self._plans
        if key not in plans:
            plans[key] = make()
        return plans[key]

    def __deepcopy__(self, memo: object) -> Arranged[_Plan]:
        """Return none: a copy of a module makes plans of its own weights."""
        return Arranged()


class _Head(Protocol):
    """What draws a step from a decoder's state; see `heads.CategoricalHead`."""

    def projection(self) -> tuple[Tensor, Tensor]:
        """Return the weight (P, H) and bias (P,) of all that `draw` needs of a state."""

    def draw(self, projected: Tensor, temperature: float, noise: Any) -> Tensor:
        """Draw a step: (B, P) to (B, F) features."""


@dataclass(frozen=True)
class StepPlan:
    """The weights of a decoder and of a head, arranged for running free.

    Every step hears what was drawn at the step before. Sampling waits for this, so the weights are
    arranged for it once, and the same arithmetic as `nn.LSTM`'s costs one matrix product a layer
    and step.

    The previous output, what the step hears of its own, and the states of all layers stand side
    by side in one tensor. A layer hears its own state and what stands before it, the head hears
    the last state; so each of them needs one product with a part of that tensor, and nothing is
    ever joined.

    Parameters
    ----------
    from_z, z_bias
        (2 * layers * H + 4H, Z) and as many: z to the initial states before the tanh, and to
        the sums of the first layer's gates, which hear it at every step.
    weights
        For each layer (4H, inputs + H), and for the head (P, H).
    biases
        Of what `weights` give, the first layer's left out.
    n_features, n_heard, size
        F, F and the width S of what a step hears of its own, and H.
    """

    from_z: Tensor
    z_bias: Tensor
    weights: list[Tensor]
    biases: list[Tensor]
    n_features: int
    n_heard: int
    size: int

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        to_initial: nn.Linear,
        lstm: nn.LSTM,
        head: _Head,
        n_features: int,
        dtype: torch.dtype,
    ) -> StepPlan:
        """Arrange the weights; the products of the steps are made in `dtype`."""
        layers = [_layer_weights(lstm, f"l{layer}") for layer in range(lstm.num_layers)]
        head_weight, head_bias = head.projection()
        widths = (n_features, to_initial.in_features)
        previous, of_z, of_step = layers[0][0].tensor_split((widths[0], sum(widths)), dim=1)
        heard = torch.cat([previous, of_step], dim=1)
        inputs = [heard, *(below for below, _, _ in layers[1:])]
        pairs = zip(inputs, (own for _, own, _ in layers), strict=True)
        weights = [*(torch.cat(pair, dim=1) for pair in pairs), head_weight]
        return cls(
            from_z=torch.cat([to_initial.weight, of_z]),
            z_bias=torch.cat([to_initial.bias, layers[0][2]]),
            weights=[weight.to(dtype) for weight in weights],
            biases=[*(bias for _, _, bias in layers[1:]), head_bias],
            n_features=n_features,
            n_heard=heard.shape[1],
            size=lstm.hidden_size,
        )

    @torch.no_grad()
    def run(
        self,
        z: Tensor,
        of_steps: Tensor | None,
        n_steps: int,
        head: _Head,
        temperature: float,
        noise: Any,
    ) -> Tensor:
        """Run the steps.

        Parameters
        ----------
        z
            (B, Z).
        of_steps
            (B, T, S), what every step hears of its own; None for nothing.
        n_steps
            T.
        head, temperature, noise
            What draws the steps; the `heads.Noise` of the whole sequence, None at temperature 0.

        Returns
        -------
        (B, T, F) float32 features.
        """
        told = functional.linear(z, self.from_z, self.z_bias)
        side_by_side, hidden, layers = self._start(told[:, : -4 * self.size])
        inputs = self._inputs(side_by_side)
        biases = [told[:, -4 * self.size :], *self.biases]
        projected = told.new_empty(len(z), len(biases[-1]))
        previous = side_by_side[:, : self.n_features]
        of_step = side_by_side[:, self.n_features : self.n_heard]
        steps = noise.steps() if noise is not None else [None] * n_steps
        outputs = []
        for step, step_noise in enumerate(steps):
            if of_steps is not None:
                of_step.copy_(of_steps[:, step])
            for state, weight, heard, bias, own in zip(
                layers, self.weights, inputs, biases, hidden, strict=False
            ):
                state.advance(state.gates.copy_(functional.linear(heard, weight)).add_(bias), own)
            projected.copy_(functional.linear(inputs[-1], self.weights[-1])).add_(biases[-1])
            outputs.append(head.draw(projected, temperature, step_noise))
            previous.copy_(outputs[-1])
        return torch.stack(outputs, dim=1)  # (B, T, F)

    def _start(self, told: Tensor) -> tuple[Tensor, list[Tensor], list[_LayerState]]:
        """Put zeros and the hidden states side by side.

        Parameters
        ----------
        told
            (B, 2 * layers * H), what z says of the initial states.

        Returns
        -------
        (B, heard + layers * H), the part of each layer, and the layers' cells.
        """
        squashed = torch.sigmoid(2 * told).mul_(2).sub_(1)  # tanh, see `_LayerState`
        hidden, cells = squashed.chunk(2, dim=-1)  # each (B, layers * H)
        side_by_side = functional.pad(hidden, (self.n_heard, 0)).to(self.weights[0].dtype)
        parts = torch.split(side_by_side[:, self.n_heard :], self.size, dim=-1)
        return (
            side_by_side,
            list(parts),
            [_LayerState(c) for c in torch.split(cells, self.size, dim=-1)],
        )

    def _inputs(self, side_by_side: Tensor) -> list[Tensor]:
        """Return what each layer, and the head, multiplies."""
        ends = range(self.n_heard + self.size, side_by_side.shape[1] + 1, self.size)
        starts = [0, *(end - 2 * self.size for end in ends[1:]), ends[-1] - self.size]
        return [side_by_side[:, a:b] for a, b in zip(starts, [*ends, ends[-1]], strict=True)]
