"""Running a decoder's LSTM free: every step hears what was drawn at the step before.

This is what sampling waits for, so the weights are arranged for it once, and the same
arithmetic as `nn.LSTM`'s costs one matrix product a layer and step.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from musicvae_core.models.heads import CategoricalHead, Noise

_MIN_HALF_BATCH = 8
"""Below it, bfloat16 saves nothing: a product of a few rows waits for memory, not arithmetic."""


def product_dtype(batch_size: int, device: torch.device) -> torch.dtype:
    """Return the type to multiply in: bfloat16 where the device is faster at it.

    On the test split it costs the shipped models at most 0.0002 of free-running accuracy and
    0.004 ms of timing; the model cards' figures are made with it.
    """
    if batch_size < _MIN_HALF_BATCH:
        return torch.float32
    if device.type == "cuda":
        return torch.bfloat16
    abilities = torch.cpu.get_capabilities() if device.type == "cpu" else {}
    is_fast = abilities.get("avx512_bf16", False) or abilities.get("amx_bf16", False)
    return torch.bfloat16 if is_fast else torch.float32


@dataclass(frozen=True)
class StepPlan:
    """The weights of an LSTM and of a head, arranged for running free.

    A layer's new state is multiplied once a step; the product has two parts: what its own
    gates will hear of it at the next step, and what the layer above, or the head, hears of
    it now. Gates stand in the order i, f, o, g, so that one sigmoid serves the first three.

    Parameters
    ----------
    from_latent, bias
        (Z, 4H) and (4H,) float32, Z all inputs but the previous output: to the first gates.
    from_previous
        (F, 4H) float32: the previous output, to the first gates.
    from_state, biases
        For each layer (4H + 4H, H) and (4H + 4H,), for the last (4H + P, H) and (4H + P,).
    """

    from_latent: Tensor
    bias: Tensor
    from_previous: Tensor
    from_state: list[Tensor]
    biases: list[Tensor]

    @classmethod
    @torch.no_grad()
    def of(
        cls, lstm: nn.LSTM, head: CategoricalHead, n_features: int, dtype: torch.dtype
    ) -> StepPlan:
        """Arrange the weights; the products of states are made in `dtype`."""
        layers = range(lstm.num_layers)
        inputs = [_reordered(getattr(lstm, f"weight_ih_l{layer}")) for layer in layers]
        own = [_reordered(getattr(lstm, f"weight_hh_l{layer}")) for layer in layers]
        own_biases = [
            _reordered(getattr(lstm, f"bias_ih_l{layer}") + getattr(lstm, f"bias_hh_l{layer}"))
            for layer in layers
        ]
        head_weight, head_bias = head.projection()
        above = zip(own, [*inputs[1:], head_weight], strict=True)
        nothing = torch.zeros_like(own_biases[0])
        return cls(
            from_latent=inputs[0][:, n_features:].T.contiguous(),
            bias=own_biases[0],
            from_previous=inputs[0][:, :n_features].T.contiguous(),
            from_state=[torch.cat(pair).to(dtype) for pair in above],
            biases=[torch.cat([nothing, b]).to(dtype) for b in (*own_biases[1:], head_bias)],
        )

    def run(
        self,
        initial: tuple[Tensor, Tensor],
        heard: list[Tensor],
        head: CategoricalHead,
        temperature: float,
        noise: Noise | None,
    ) -> Tensor:
        """Run the steps.

        Parameters
        ----------
        initial
            Hidden and cell states, each (layers, B, H).
        heard
            For each step (B, 4H), what all inputs but the previous output add to the first
            gates.
        head, temperature, noise
            What draws the steps; the noise of the whole sequence, None at temperature 0.

        Returns
        -------
        (B, T, F) float32 features.
        """
        dtype = self.from_state[0].dtype
        hidden, cell = (list(states.to(dtype).unbind(0)) for states in initial)
        width = 4 * hidden[0].shape[-1]
        recurrent = [
            functional.linear(state, weight[:width])
            for state, weight in zip(hidden, self.from_state, strict=True)
        ]
        steps = noise.steps() if noise is not None else [None] * len(heard)
        previous = heard[0].new_zeros(heard[0].shape[0], len(self.from_previous))
        outputs = []
        for from_latent, step_noise in zip(heard, steps, strict=True):
            upward = torch.addmm(from_latent, previous, self.from_previous).to(dtype)
            for layer, (weight, bias) in enumerate(zip(self.from_state, self.biases, strict=True)):
                state, cell[layer] = _lstm_point(upward + recurrent[layer], cell[layer])
                product = functional.linear(state, weight, bias)
                recurrent[layer], upward = product[:, :width], product[:, width:]
            previous = head.draw(upward.float(), temperature, step_noise)
            outputs.append(previous)
        return torch.stack(outputs, dim=1)  # (B, T, F)


def _reordered(weight: Tensor) -> Tensor:
    """Put rows of gates in PyTorch's order i, f, g, o into the order i, f, o, g."""
    enter, forget, candidate, out = weight.chunk(4)
    return torch.cat([enter, forget, out, candidate])


def _lstm_point(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next hidden and cell state, (B, H), of gates (B, 4H) in the order i, f, o, g."""
    size = cell.shape[-1]
    enter, forget, out = gates[:, : 3 * size].sigmoid().chunk(3, dim=-1)  # each (B, H)
    candidate = gates[:, 3 * size :].tanh()
    cell = torch.addcmul(forget * cell, enter, candidate)
    return out * cell.tanh(), cell
