"""Decoders: from z to decoder states, fed with the truth or with their own output."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from musicvae_core.models.heads import CategoricalHead


class FlatDecoder(nn.Module):
    """A plain LSTM over all steps.

    z gives, through a linear layer and a tanh, the initial states of every layer; z is also
    joined to the previous output as the input of every step.

    Source: Roberts et al. 2018, section 3.1, and Magenta's `CategoricalLstmDecoder`.

    Deviation: with a step size, a linear layer of z gives every step a few inputs of its own,
    so that what z says of one step need not be found by counting to it.

    Parameters
    ----------
    n_features, size, n_layers, z_size
        Features a step, width, depth, and latent dimensions.
    n_steps, step_size
        Sequence length, and width of the direct path to every step; 0 for none.
    """

    def __init__(
        self,
        n_features: int,
        size: int,
        n_layers: int,
        z_size: int,
        n_steps: int = 0,
        step_size: int = 0,
    ) -> None:
        super().__init__()
        self.n_steps, self.step_size = n_steps, step_size
        self.size, self.n_layers, self.n_features = size, n_layers, n_features
        self.to_initial = nn.Linear(z_size, 2 * n_layers * size)
        self.to_steps = nn.Linear(z_size, n_steps * step_size) if step_size else None
        n_inputs = n_features + z_size + step_size
        self.lstm = nn.LSTM(n_inputs, size, num_layers=n_layers, batch_first=True)
        self._plan: _StepPlan | None = None

    def initial_states(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return hidden and cell states, each (layers, B, H), of z (B, Z)."""
        states = torch.tanh(self.to_initial(z))
        states = states.view(-1, 2, self.n_layers, self.size)  # (B, 2, layers, H)
        hidden, cell = states.permute(1, 2, 0, 3).contiguous()
        return hidden, cell

    def forward(self, z: Tensor, previous: Tensor) -> Tensor:
        """Decode under given inputs.

        Parameters
        ----------
        z
            (B, Z).
        previous
            (B, T, F): at each step the output of the step before, zeros at the first.

        Returns
        -------
        (B, T, H) states for the head.
        """
        inputs = torch.cat([previous, self._from_z(z).to(previous.dtype)], dim=-1)
        states: Tensor = self.lstm(inputs, self.initial_states(z))[0]
        return states

    def _from_z(self, z: Tensor) -> Tensor:
        """Return what every step hears of z (B, Z): (B, T, Z + step size)."""
        n_steps = self.n_steps
        repeated = z.unsqueeze(1).expand(-1, n_steps, -1)  # (B, T, Z)
        if self.to_steps is None:
            return repeated
        steps = self.to_steps(z).view(-1, n_steps, self.step_size)  # (B, T, step size)
        return torch.cat([repeated, steps.to(z.dtype)], dim=-1)

    def generate(
        self,
        z: Tensor,
        head: CategoricalHead,
        temperature: float,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Decode free-running: every step hears what was drawn at the step before.

        Parameters
        ----------
        z
            (B, Z).
        head
            The head that draws the steps.
        temperature
            Logit divisor; 0 takes the most likely choice.
        generator
            Source of randomness; unused at temperature 0.

        Returns
        -------
        (B, T, F) features.
        """
        noise = head.draw_noise((self.n_steps, z.shape[0]), generator) if temperature > 0 else None
        plan = self._step_plan(head)
        hidden, cell = (list(states.unbind(0)) for states in self.initial_states(z))
        width = 4 * self.size
        recurrent = [
            state @ layer[:, :width] for state, layer in zip(hidden, plan.from_state, strict=True)
        ]
        heard = self._heard(z, plan)
        previous = z.new_zeros(z.shape[0], self.n_features)
        outputs = []
        for step in range(self.n_steps):
            upward = torch.addmm(heard[step], previous, plan.from_previous)
            for layer in range(self.n_layers):
                hidden[layer], cell[layer] = _lstm_point(upward + recurrent[layer], cell[layer])
                product = torch.addmm(plan.biases[layer], hidden[layer], plan.from_state[layer])
                recurrent[layer], upward = product[:, :width], product[:, width:]
            previous = head.draw(upward, temperature, noise and noise.at(step))
            outputs.append(previous)
        return torch.stack(outputs, dim=1)  # (B, T, F)

    def _heard(self, z: Tensor, plan: _StepPlan) -> list[Tensor]:
        """Return, a step, what z adds to the first layer's gates (B, 4H), without the loop."""
        n_latent = z.shape[1]
        always = torch.addmm(plan.bias, z, plan.from_z[:n_latent])  # once for all steps
        if self.to_steps is None:
            return [always] * self.n_steps
        steps = self.to_steps(z).view(-1, self.n_steps, self.step_size).transpose(0, 1)
        return list((steps @ plan.from_z[n_latent:] + always).unbind(0))

    def _step_plan(self, head: CategoricalHead) -> _StepPlan:
        """Return the weights rearranged for running free, made anew when they have changed."""
        parameters = [*self.lstm.parameters(), *head.parameters()]
        version = tuple((one.data_ptr(), one._version) for one in parameters)
        if self._plan is None or self._plan.version != version:
            self._plan = _StepPlan.of(self.lstm, head, self.n_features, version)
        return self._plan


@dataclass(frozen=True)
class _StepPlan:
    """An LSTM's weights, arranged so that a layer's state is multiplied once a step.

    The product of a layer's new state has two parts: what its own gates will hear of it at
    the next step, and what the layer above, or the head, hears of it at this one.

    from_z (Z + step size, 4H) with bias (4H,), and from_previous (F, 4H): to the first
    layer's gates.
    from_state, a layer: (H, 4H + 4H), for the last (H, 4H + P); biases alike.
    """

    version: tuple[tuple[int, int], ...]
    from_z: Tensor
    bias: Tensor
    from_previous: Tensor
    from_state: list[Tensor]
    biases: list[Tensor]

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        lstm: nn.LSTM,
        head: CategoricalHead,
        n_features: int,
        version: tuple[tuple[int, int], ...],
    ) -> _StepPlan:
        layers = range(lstm.num_layers)
        inputs = [getattr(lstm, f"weight_ih_l{layer}") for layer in layers]
        own = [getattr(lstm, f"weight_hh_l{layer}") for layer in layers]
        biases = [
            getattr(lstm, f"bias_ih_l{layer}") + getattr(lstm, f"bias_hh_l{layer}")
            for layer in layers
        ]
        head_weight, head_bias = head.projection()
        above, above_bias = [*inputs[1:], head_weight], [*biases[1:], head_bias]
        nothing = torch.zeros_like(biases[0])
        pairs = zip(own, above, strict=True)
        return cls(
            version,
            from_z=inputs[0][:, n_features:].T.contiguous(),
            bias=biases[0],
            from_previous=inputs[0][:, :n_features].T.contiguous(),
            from_state=[torch.cat(pair).T.contiguous() for pair in pairs],
            biases=[torch.cat([nothing, bias]) for bias in above_bias],
        )


def _lstm_point(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next hidden and cell state of gates (B, 4H), in PyTorch's order i, f, g, o."""
    enter, forget, candidate, out = gates.chunk(4, dim=-1)  # each (B, H)
    cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
    return out.sigmoid() * cell.tanh(), cell
