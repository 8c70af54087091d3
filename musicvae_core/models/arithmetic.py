"""Arithmetic shared by all models: precision, whole blocks of rows, and step-by-step LSTMs.

The same z and seed give the same music, alone or in any batch, because all matrix products use
one precision and whole blocks of rows.
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
"""Products are computed in blocks of this many rows; fewer rows are summed in another order."""

_Plan = TypeVar("_Plan")


def product_dtype(device: torch.device) -> torch.dtype:
    """Return the precision of a trained model's matrix products on a device, for any batch.

    float32 on a CPU. There, bfloat16 is faster on processors with instructions for it, but rounds
    more coarsely; on other processors a product took 180 times as long.
    """
    return torch.bfloat16 if device.type == "cuda" else torch.float32


def is_fast_at_bfloat16(device: torch.device) -> bool:
    """Return whether a device trains faster in bfloat16 than in float32.

    A CPU without bfloat16 instructions is far slower, and torch's LSTM refuses bfloat16 there.
    """
    if device.type != "cpu":
        return device.type == "cuda"
    abilities = torch.cpu.get_capabilities()
    return bool(abilities.get("avx512_bf16") or abilities.get("amx_bf16"))


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
    """Reorder the rows of the gates for `_LayerState`: i, f, g, o become i, f, o and 2 g."""
    enter, forget, candidate, out = weight.chunk(4)
    return torch.cat([enter, forget, out, 2 * candidate])


def _layer_weights(lstm: nn.LSTM, suffix: str) -> tuple[Tensor, Tensor, Tensor]:
    """Return a layer's reordered weights: of its input, of its own state, and the bias.

    Parameters
    ----------
    lstm
        The LSTM the layer belongs to.
    suffix
        The layer's suffix in PyTorch's names: `l0`, `l0_reverse`, `l1`, …
    """
    input_weight, own, input_bias, own_bias = (
        _arrange_gates(getattr(lstm, f"{name}_{suffix}"))
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    )
    return input_weight, own, input_bias + own_bias


class _LayerState:
    """The cell state of an LSTM layer, with its working memory.

    tanh(x) is computed as 2 sigmoid(2x) - 1, because torch's sigmoid is ten times as fast as its
    tanh on a CPU. So the candidate's weights are doubled (`_arrange_gates`), a single sigmoid
    computes all gates, and the cell state is stored doubled as well.

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
            (B, 4H), the gates' pre-activations; this may be `gates` itself.
        hidden
            (B, H), where to write the next hidden state.
        """
        torch.sigmoid(sums, out=self.gates)
        # cell = forget * cell + enter * (2 * candidate - 1), with everything doubled
        self._doubled.mul_(self._forget).addcmul_(self._enter, self._candidate, value=4)
        self._doubled.sub_(self._enter, alpha=2)
        torch.sigmoid(self._doubled, out=self._squashed)
        torch.addcmul(self._out.neg(), self._out, self._squashed, value=2, out=hidden)


class Arranged(Generic[_Plan]):
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

    def __deepcopy__(self, memo: object) -> Arranged[_Plan]:
        """Return an empty cache: a copied module builds plans from its own weights."""
        return Arranged()


class _Head(Protocol):
    """Samples a step from a decoder state; see `heads.CategoricalHead`."""

    def projection(self) -> tuple[Tensor, Tensor]:
        """Return weight (P, H) and bias (P,) of the projection of a state that `draw` takes."""

    def draw(self, projected: Tensor, temperature: float, noise: Any) -> Tensor:
        """Draw a step: (B, P) to (B, F) features."""


@dataclass(frozen=True)
class StepPlan:
    """The weights of a decoder and a head, arranged for free-running decoding.

    In free-running decoding each step has to wait for the previous sample, so speed matters. The
    weights are arranged once; each step then does the same arithmetic as `nn.LSTM` with a single
    matrix product per layer.

    The previous output, the step's own input, and the states of all layers are adjacent in one
    tensor. A layer reads its own state and the values just before it; the head reads the last
    state. So each needs one product with a slice of that tensor, and nothing is concatenated.

    Parameters
    ----------
    from_z, z_bias
        (2 * layers * H + 4H, Z) and (2 * layers * H + 4H,): from z to the initial states before
        the tanh, and to z's contribution to the first layer's gates at every step.
    weights
        For each layer (4H, inputs + H), and for the head (P, H).
    biases
        The biases that go with `weights`, without the first layer's.
    n_features, n_heard, size
        F; F plus the width S of a step's own input; and H.
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
        """Arrange the weights; matrix products within the steps use `dtype`."""
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
            (B, T, S), each step's own input; None for none.
        n_steps
            T.
        head, temperature, noise
            The head that samples the steps, its temperature, and the `heads.Noise` of the whole
            sequence; None at temperature 0.

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
        """Concatenate zeros and the initial hidden states.

        Parameters
        ----------
        told
            (B, 2 * layers * H), the initial states before the tanh.

        Returns
        -------
        The tensor (B, heard + layers * H), each layer's slice of it, and the layers' cells.
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
        """Return the slice of the tensor that each layer, and the head, reads."""
        ends = range(self.n_heard + self.size, side_by_side.shape[1] + 1, self.size)
        starts = [0, *(end - 2 * self.size for end in ends[1:]), ends[-1] - self.size]
        return [side_by_side[:, a:b] for a, b in zip(starts, [*ends, ends[-1]], strict=True)]
