"""Running a decoder's LSTM free: every step hears what was drawn at the step before.

This is what sampling waits for, so the weights are arranged for it once, and the same
arithmetic as `nn.LSTM`'s costs one matrix product a layer and step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from musicvae_core.models.arithmetic import LayerState, layer_weights
from musicvae_core.models.heads import CategoricalHead, Noise


@dataclass(frozen=True)
class StepPlan:
    """The weights of a decoder and of a head, arranged for running free.

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
        head: CategoricalHead,
        n_features: int,
        dtype: torch.dtype,
    ) -> StepPlan:
        """Arrange the weights; the products of the steps are made in `dtype`."""
        layers = [layer_weights(lstm, f"l{layer}") for layer in range(lstm.num_layers)]
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
        head: CategoricalHead,
        temperature: float,
        noise: Noise | None,
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
            What draws the steps; the noise of the whole sequence, None at temperature 0.

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

    def _start(self, told: Tensor) -> tuple[Tensor, list[Tensor], list[LayerState]]:
        """Put zeros and the hidden states side by side.

        Parameters
        ----------
        told
            (B, 2 * layers * H), what z says of the initial states.

        Returns
        -------
        (B, heard + layers * H), the part of each layer, and the layers' cells.
        """
        squashed = torch.sigmoid(2 * told).mul_(2).sub_(1)  # tanh, see `LayerState`
        hidden, cells = squashed.chunk(2, dim=-1)  # each (B, layers * H)
        side_by_side = functional.pad(hidden, (self.n_heard, 0)).to(self.weights[0].dtype)
        parts = torch.split(side_by_side[:, self.n_heard :], self.size, dim=-1)
        return (
            side_by_side,
            list(parts),
            [LayerState(c) for c in torch.split(cells, self.size, dim=-1)],
        )

    def _inputs(self, side_by_side: Tensor) -> list[Tensor]:
        """Return what each layer, and the head, multiplies."""
        ends = range(self.n_heard + self.size, side_by_side.shape[1] + 1, self.size)
        starts = [0, *(end - 2 * self.size for end in ends[1:]), ends[-1] - self.size]
        return [side_by_side[:, a:b] for a, b in zip(starts, [*ends, ends[-1]], strict=True)]
