"""Mixtures of discretised logistics: the distribution of a velocity or an offset.

A quantity that MIDI stores in equal bins is modelled by a mixture of logistics. The probability
of a bin is the difference of the logistic distribution function at its two edges; the outermost
bins take the tails.

Source: Salimans, Karpathy, Chen and Kingma 2017 (PixelCNN++), section 2.1, without their
coupling of channels.

Parameters of a mixture of K components are one tensor (..., 3K): K weights (logits), K
means, K logarithms of the scale.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

_MIN_LOG_SCALE = -6.0
"""Keeps a component from shrinking indefinitely onto a single bin."""


class Lattice(NamedTuple):
    """Equal bins: the centres of the first and the last, and half a bin's width."""

    lowest: float
    highest: float
    half_bin: float

    def snap(self, values: Tensor) -> Tensor:
        """Move values to the centres of their bins."""
        width = 2 * self.half_bin
        bins = ((values - self.lowest) / width).round_()
        return (bins * width + self.lowest).clamp_(self.lowest, self.highest)


def _split(parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    weights, means, log_scales = parameters.float().chunk(3, dim=-1)  # each (..., K)
    return weights, means, log_scales.clamp(min=_MIN_LOG_SCALE)


def log_prob(parameters: Tensor, values: Tensor, lattice: Lattice) -> Tensor:
    """Return the log probability in nats of the bin around each value.

    Parameters
    ----------
    parameters
        (..., 3K) float.
    values
        (...) float, bin centres.
    lattice
        The bins.

    Returns
    -------
    (...) float32, at most 0.
    """
    weights, means, log_scales = _split(parameters)
    values = values.float().unsqueeze(-1)  # (..., 1)
    half_bin = lattice.half_bin
    inverse_scales = torch.exp(-log_scales)
    above = (values - means + half_bin) * inverse_scales
    below = (values - means - half_bin) * inverse_scales
    is_lowest = values <= lattice.lowest + half_bin
    is_highest = values >= lattice.highest - half_bin
    # sigmoid(a) - sigmoid(b) = sigmoid(a) * sigmoid(-b) * (1 - exp(b - a))
    log_mass = torch.where(is_highest, 0.0, functional.logsigmoid(above))
    log_mass = log_mass + torch.where(is_lowest, 0.0, functional.logsigmoid(-below))
    inner = torch.log(-torch.expm1(-2 * half_bin * inverse_scales))
    log_mass = log_mass + torch.where(is_lowest | is_highest, 0.0, inner)
    return torch.logsumexp(functional.log_softmax(weights, dim=-1) + log_mass, dim=-1)


def mean(parameters: Tensor) -> Tensor:
    """Return the weighted mean (...) of the components' means."""
    weights, means, _ = _split(parameters)
    return (weights.softmax(dim=-1) * means).sum(dim=-1)


def sample(parameters: Tensor, temperature: float, gumbel: Tensor, uniform: Tensor) -> Tensor:
    """Draw from the mixture, given its noise.

    Parameters
    ----------
    parameters
        (..., 3K) float.
    temperature
        Divides the weights' logits and multiplies the scales; 0 returns `mean`.
    gumbel, uniform
        (..., K) standard Gumbel noise that picks the component, and (...) uniform noise in
        (0, 1) that picks the value.

    Returns
    -------
    (...) float32, not yet snapped to a bin; see `Lattice.snap`.
    """
    if temperature == 0:
        return mean(parameters)
    weights, means, log_scales = _split(parameters)
    choice = (weights / temperature + gumbel).argmax(dim=-1, keepdim=True)  # (..., 1)
    centre = means.gather(-1, choice).squeeze(-1)
    scale = log_scales.gather(-1, choice).squeeze(-1).exp() * temperature
    return centre + scale * torch.logit(uniform)
