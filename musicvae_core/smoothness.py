"""How smooth a latent space is: nearby z should give similar grooves."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from musicvae_core.models.musicvae import MusicVAE
from musicvae_core.realism import attribute_table
from musicvae_core.vocabulary import N_VOICES

DISTANCES = (0.0, 1.0, 2.0, 4.0, 8.0, 12.0, 16.0)
"""Steps in z; two draws of N(0, I) in 256 dimensions are 22.6 apart."""


@torch.inference_mode()
def smoothness_curve(
    model: MusicVAE, features: NDArray[np.float32], seed: int
) -> list[dict[str, float]]:
    """Move each window's z along one random direction and see how its groove changes.

    Parameters
    ----------
    model
        In evaluation mode.
    features
        (N, T, 27) float32.
    seed
        Of the directions.

    Returns
    -------
    For each of `DISTANCES` a row: `distance` in z; `hit_distance`, the mean share of cells
    of the grid that differ from the groove at distance 0; `attribute_change`, the mean over
    attributes of the mean absolute change, in standard deviations over the windows.
    """
    mu, _ = model.encode(torch.from_numpy(features))
    direction = torch.randn(mu.shape, generator=torch.Generator().manual_seed(seed))
    direction = direction / direction.norm(dim=1, keepdim=True)
    start = model.decode(mu, 0.0)
    deviations = {name: v.std() for name, v in attribute_table(start.numpy()).items()}
    return [
        {"distance": distance}
        | _change(start, model.decode(mu + distance * direction, 0.0), deviations)
        for distance in DISTANCES
    ]


def _change(start: Tensor, moved: Tensor, deviations: dict[str, np.float64]) -> dict[str, float]:
    before, after = attribute_table(start.numpy()), attribute_table(moved.numpy())
    changes = [
        np.abs(after[name] - before[name]).mean() / deviation
        for name, deviation in deviations.items()
        if deviation > 0
    ]
    different = (start[..., :N_VOICES] != moved[..., :N_VOICES]).float().mean()
    return {"hit_distance": float(different), "attribute_change": float(np.mean(changes or [0.0]))}
