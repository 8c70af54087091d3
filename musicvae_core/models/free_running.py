"""Running a decoder's LSTM free: every step hears what was drawn at the step before.

This is what sampling waits for, so the weights are arranged for it once, and the same
arithmetic as `nn.LSTM`'s costs one matrix product a layer and step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from musicvae_core.models.fast_lstm import LayerState, Product, fits_int8, layer_weights
from musicvae_core.models.heads import CategoricalHead, Noise

_MIN_HALF_BATCH = 8
"""Below it, bfloat16 saves nothing: a product of a few rows waits for memory, not arithmetic."""

_HEARD_BLOCK = 16
"""What a step hears beside states is padded to a multiple of it, for int8 products."""


def product_dtype(batch_size: int, device: torch.device) -> torch.dtype:
    """Return the type to multiply in: the one that the device is fastest at.

    One example alone waits for the weights to come from memory: on a CPU they are int8. Many
    are multiplied in bfloat16 where the device is faster at it.
    """
    if device.type == "cpu" and batch_size == 1:
        has_kernel = torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")
        return torch.int8 if has_kernel else torch.float32
    if batch_size < _MIN_HALF_BATCH:
        return torch.float32
    if device.type == "cuda":
        return torch.bfloat16
    abilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    is_fast = abilities.get("avx512_bf16", False) or abilities.get("amx_bf16", False)
    return torch.bfloat16 if is_fast else torch.float32


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
    products
        For each layer (4H, inputs + H), and for the head (P, H).
    biases
        Of what `products` give, the first layer's left out.
    n_features, n_heard, n_padded, size
        F, F and the width S of what a step hears of its own, both padded, and H.
    """

    from_z: Product
    z_bias: Tensor
    products: list[Product]
    biases: list[Tensor]
    n_features: int
    n_heard: int
    n_padded: int
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
        n_padding = -heard.shape[1] % _HEARD_BLOCK
        inputs = [functional.pad(heard, (0, n_padding)), *(below for below, _, _ in layers[1:])]
        pairs = zip(inputs, (own for _, own, _ in layers), strict=True)
        weights = [*(torch.cat(pair, dim=1) for pair in pairs), head_weight]
        from_z = torch.cat([to_initial.weight, of_z])
        if dtype == torch.int8 and not all(map(fits_int8, (*weights, from_z))):
            dtype = torch.float32
        return cls(
            from_z=Product.of(from_z, torch.int8 if dtype == torch.int8 else from_z.dtype),
            z_bias=torch.cat([to_initial.bias, layers[0][2]]),
            products=[Product.of(weight, dtype) for weight in weights],
            biases=[*(bias for _, _, bias in layers[1:]), head_bias],
            n_features=n_features,
            n_heard=heard.shape[1],
            n_padded=heard.shape[1] + n_padding,
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
        told = self.from_z(z.to(self.from_z.input_dtype)) + self.z_bias
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
            for state, product, heard, bias, own in zip(
                layers, self.products, inputs, biases, hidden, strict=False
            ):
                state.advance(state.gates.copy_(product(heard)).add_(bias), own)
            projected.copy_(self.products[-1](inputs[-1])).add_(biases[-1])
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
        (B, heard padded + layers * H), the part of each layer, and the layers' cells.
        """
        squashed = torch.sigmoid(2 * told).mul_(2).sub_(1)  # tanh, see `LayerState`
        hidden, cells = squashed.chunk(2, dim=-1)  # each (B, layers * H)
        dtype = self.products[0].input_dtype
        side_by_side = functional.pad(hidden, (self.n_padded, 0)).to(dtype)
        parts = torch.split(side_by_side[:, self.n_padded :], self.size, dim=-1)
        return (
            side_by_side,
            list(parts),
            [LayerState(c) for c in torch.split(cells, self.size, dim=-1)],
        )

    def _inputs(self, side_by_side: Tensor) -> list[Tensor]:
        """Return what each layer, and the head, multiplies."""
        ends = range(self.n_padded + self.size, side_by_side.shape[1] + 1, self.size)
        starts = [0, *(end - 2 * self.size for end in ends[1:]), ends[-1] - self.size]
        return [side_by_side[:, a:b] for a, b in zip(starts, [*ends, ends[-1]], strict=True)]
