"""Mixtures of discretised logistic distributions: the law of a velocity or of an offset.

A quantity that MIDI stores in equal bins is drawn from a mixture of logistics whose mass in
each bin is a difference of two logistic distribution functions; the outermost bins take the
tails. Values live in [-1, 1].

Source: Salimans, Karpathy, Chen and Kingma 2017 (PixelCNN++), section 2.1. Here without
their coupling of channels.

Parameters of a mixture of K components are one tensor (..., 3K): K weights (logits), K
means, K logarithms of the scale.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

MIN_LOG_SCALE = -6.0
"""Keeps a component from shrinking onto one bin without bound."""


def _split(parameters: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    weights, means, log_scales = parameters.float().chunk(3, dim=-1)  # each (..., K)
    return weights, means, log_scales.clamp(min=MIN_LOG_SCALE)


def log_prob(parameters: Tensor, values: Tensor, half_bin: float) -> Tensor:
    """Return the log probability in nats of the bin around each value.

    Parameters
    ----------
    parameters
        (..., 3K) float.
    values
        (...) float in [-1, 1], bin centres.
    half_bin
        Half the width of a bin; a value within it of -1 or 1 is in an outermost bin.

    Returns
    -------
    (...) float32, at most 0.
    """
    weights, means, log_scales = _split(parameters)
    values = values.float().unsqueeze(-1)  # (..., 1)
    inverse_scales = torch.exp(-log_scales)
    above = (values - means + half_bin) * inverse_scales
    below = (values - means - half_bin) * inverse_scales
    is_lowest, is_highest = values <= -1 + half_bin, values >= 1 - half_bin
    # sigmoid(a) - sigmoid(b) = sigmoid(a) * sigmoid(-b) * (1 - exp(b - a))
    log_mass = torch.where(is_highest, 0.0, functional.logsigmoid(above))
    log_mass = log_mass + torch.where(is_lowest, 0.0, functional.logsigmoid(-below))
    inner = torch.log(-torch.expm1(-2 * half_bin * inverse_scales))
    log_mass = log_mass + torch.where(is_lowest | is_highest, 0.0, inner)
    return torch.logsumexp(functional.log_softmax(weights, dim=-1) + log_mass, dim=-1)


def mean(parameters: Tensor) -> Tensor:
    """Return the mixture's mean (...), with every component's mean kept in [-1, 1]."""
    weights, means, _ = _split(parameters)
    return (weights.softmax(dim=-1) * means.clamp(-1, 1)).sum(dim=-1)


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
    (...) float32 in [-1, 1], not rounded to a bin.
    """
    if temperature == 0:
        return mean(parameters)
    weights, means, log_scales = _split(parameters)
    choice = (weights / temperature + gumbel).argmax(dim=-1, keepdim=True)  # (..., 1)
    centre = means.gather(-1, choice).squeeze(-1)
    scale = log_scales.gather(-1, choice).squeeze(-1).exp() * temperature
    return (centre + scale * torch.logit(uniform)).clamp(-1, 1)
