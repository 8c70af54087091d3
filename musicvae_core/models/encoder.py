"""The bidirectional LSTM encoder: a sequence to the posterior over z."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

MIN_SIGMA = 1e-4
"""Added to sigma, so that no posterior collapses to a point."""


class BidirectionalEncoder(nn.Module):
    """Encode a whole sequence into the mean and standard deviation of z.

    The final states of both directions are joined; one linear layer gives mu, one with a
    softplus gives sigma.

    Source: Roberts et al. 2018, section 3.1; one layer of 512 in place of the paper's two of
    2048 is the size of Magenta's small drum model.

    Parameters
    ----------
    n_features, size, n_layers, z_size
        Features a step, width of one direction, depth, and latent dimensions.
    """

    def __init__(self, n_features: int, size: int, n_layers: int, z_size: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(
            n_features, size, num_layers=n_layers, bidirectional=True, batch_first=True
        )
        self.to_mu = nn.Linear(2 * size, z_size)
        self.to_sigma = nn.Linear(2 * size, z_size)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and sigma, each (B, Z), of features (B, T, F)."""
        _, (states, _) = self.lstm(features)  # states: (2 * layers, B, H)
        final = torch.cat([states[-2], states[-1]], dim=-1)  # (B, 2H)
        mu = self.to_mu(final).float()
        sigma = functional.softplus(self.to_sigma(final).float()) + MIN_SIGMA
        return mu, sigma
