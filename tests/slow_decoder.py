"""Free running as a slow and obvious loop, the oracle of the fast one."""

import torch
from torch import nn


@torch.no_grad()
def generate_slowly(decoder, head, z, temperature, noise):
    """Decode step by step with torch's own cell, feeding back what the head drew.

    noise is of the whole sequence, or None at temperature 0.
    """
    cells, states = [], []
    initial = torch.tanh(decoder.to_initial(z)).view(len(z), 2, decoder.n_layers, decoder.size)
    for layer in range(decoder.n_layers):
        cell = nn.LSTMCell(decoder.lstm.input_size if layer == 0 else decoder.size, decoder.size)
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(cell, name).copy_(getattr(decoder.lstm, f"{name}_l{layer}"))
        cells.append(cell)
        states.append((initial[:, 0, layer], initial[:, 1, layer]))
    previous, outputs = torch.zeros(len(z), decoder.n_features), []
    of_steps = (
        None if decoder.to_steps is None else decoder.to_steps(z).view(len(z), decoder.n_steps, -1)
    )
    for step in range(decoder.n_steps):
        own = z[:, :0] if of_steps is None else of_steps[:, step]
        heard = torch.cat([previous, z, own], dim=1)
        for layer, cell in enumerate(cells):
            states[layer] = cell(heard, states[layer])
            heard = states[layer][0]
        previous = head.sample(heard, temperature, None if noise is None else noise.steps()[step])
        outputs.append(previous)
    return torch.stack(outputs, dim=1)
