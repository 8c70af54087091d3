"""Decoders: from z to decoder states, fed with the truth or with their own output."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from musicvae_core.models.heads import CategoricalHead


class FlatDecoder(nn.Module):
    """A plain LSTM over all steps.

    z gives, through a linear layer and a tanh, the initial states of every layer; z is also
    joined to the previous output as the input of every step.

    Source: Roberts et al. 2018, section 3.1, and Magenta's `CategoricalLstmDecoder`.

    Parameters
    ----------
    n_features, size, n_layers, z_size
        Features a step, width, depth, and latent dimensions.
    """

    def __init__(self, n_features: int, size: int, n_layers: int, z_size: int) -> None:
        super().__init__()
        self.size, self.n_layers, self.n_features = size, n_layers, n_features
        self.to_initial = nn.Linear(z_size, 2 * n_layers * size)
        self.lstm = nn.LSTM(n_features + z_size, size, num_layers=n_layers, batch_first=True)

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
        repeated = z.unsqueeze(1).expand(-1, previous.shape[1], -1)  # (B, T, Z)
        inputs = torch.cat([previous, repeated.to(previous.dtype)], dim=-1)
        states: Tensor = self.lstm(inputs, self.initial_states(z))[0]
        return states

    def generate(
        self,
        z: Tensor,
        head: CategoricalHead,
        n_steps: int,
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
        n_steps
            T.
        temperature
            Logit divisor; 0 takes the most likely choice.
        generator
            Source of randomness; unused at temperature 0.

        Returns
        -------
        (B, T, F) features.
        """
        noise = head.draw_noise((n_steps, z.shape[0]), generator) if temperature > 0 else None
        hidden, cell = (list(states.unbind(0)) for states in self.initial_states(z))
        layers = [self._layer_weights(layer) for layer in range(self.n_layers)]
        first_input, first_hidden, first_bias = layers[0]
        from_z = z @ first_input[:, self.n_features :].T + first_bias  # (B, 4H), once for all steps
        from_previous = first_input[:, : self.n_features].T
        previous = z.new_zeros(z.shape[0], self.n_features)
        outputs = []
        for step in range(n_steps):
            gates = torch.addmm(from_z + previous @ from_previous, hidden[0], first_hidden.T)
            hidden[0], cell[0] = _lstm_point(gates, cell[0])
            for layer in range(1, self.n_layers):
                weight_input, weight_hidden, bias = layers[layer]
                gates = torch.addmm(bias, hidden[layer - 1], weight_input.T)
                gates = torch.addmm(gates, hidden[layer], weight_hidden.T)
                hidden[layer], cell[layer] = _lstm_point(gates, cell[layer])
            previous = head.sample(hidden[-1], temperature, noise and noise.at(step))
            previous = previous.to(z.dtype)
            outputs.append(previous)
        return torch.stack(outputs, dim=1)  # (B, T, F)

    def _layer_weights(self, layer: int) -> tuple[Tensor, Tensor, Tensor]:
        weights = self.lstm
        bias = getattr(weights, f"bias_ih_l{layer}") + getattr(weights, f"bias_hh_l{layer}")
        return (
            getattr(weights, f"weight_ih_l{layer}"),
            getattr(weights, f"weight_hh_l{layer}"),
            bias,
        )


def _lstm_point(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next hidden and cell state of gates (B, 4H), in PyTorch's order i, f, g, o."""
    enter, forget, candidate, out = gates.chunk(4, dim=-1)  # each (B, H)
    cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
    return out.sigmoid() * cell.tanh(), cell
