"""What training minimises: reconstruction and the divergence of the posterior."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor


def kl_nats(mu: Tensor, sigma: Tensor) -> Tensor:
    """Return the KL divergence of N(mu, sigma) from N(0, I), summed over z: (B, Z) to (B,)."""
    per_dimension = 0.5 * (mu**2 + sigma**2 - 1) - torch.log(sigma)
    return per_dimension.sum(dim=-1)


def gaussian_kl_nats(mu: Tensor, sigma: Tensor, to_mu: Tensor, to_sigma: Tensor) -> Tensor:
    """Return the KL divergence of N(mu, sigma) from N(to_mu, to_sigma): (B, Z) to (B,)."""
    return kl_nats((mu - to_mu) / to_sigma, sigma / to_sigma)


def _beyond_free_bits(kl: Tensor, free_bits: float) -> Tensor:
    """Return what of a KL (B,) in nats exceeds a budget in bits, per example and in total.

    Source: Roberts et al. 2018, equation 3; the budget is of the sum over z, not of a
    dimension.
    """
    return (kl - free_bits * math.log(2)).clamp(min=0)


def elbo_losses(
    terms: Mapping[str, Tensor],
    kl_weights: Tensor,
    *,
    beta: float,
    free_bits: float,
    feel_weight: float,
) -> dict[str, Tensor]:
    """Join the terms of the objective, each a mean over the batch in nats an example.

    Parameters
    ----------
    terms
        What a model's `forward` returns, (B,) nats each: `kl`; `hits` or `notes` and, with
        feel, `velocities` and `offsets`.
    kl_weights
        (B,): what multiplies beta for each example.
    beta, free_bits, feel_weight
        See `config.TrainConfig`.

    Returns
    -------
    `loss/total`, `kl/nats` and a `recon/...` for each term, scalars.

    Source: Roberts et al. 2018, equations 2 and 3. The weight on feel is our addition.
    """
    kl = terms["kl"]
    losses = {f"recon/{name}": term.mean() for name, term in terms.items() if name != "kl"}
    weights = {"recon/velocities": feel_weight, "recon/offsets": feel_weight}
    total = torch.stack([weights.get(name, 1.0) * v for name, v in losses.items()]).sum()
    total = total + beta * (kl_weights * _beyond_free_bits(kl, free_bits)).mean()
    return {"loss/total": total, "kl/nats": kl.mean(), **losses}
