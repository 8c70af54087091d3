"""How likely a groove lab finds what is hidden of grooves."""

from __future__ import annotations

import torch
from torch import Tensor

from musicvae_core.kept import Controls, Kept, condition_features
from musicvae_core.losses import gaussian_kl_nats
from musicvae_core.models.lab import GrooveLab, known_of
from musicvae_core.models.musicvae import shift_right


def score_rest(
    model: GrooveLab,
    kept: Kept,
    controls: Controls,
    generator: torch.Generator,
    word_dropout: float = 0.0,
) -> tuple[dict[str, Tensor], Tensor]:
    """Score what is not kept, the decoder fed the truth and z drawn from the posterior.

    Parameters
    ----------
    model
        The lab.
    kept
        What is known of grooves whose whole truth stands in its features, (B, T, 27).
    controls
        What else is told.
    generator
        Source of randomness; its device is the model's.
    word_dropout
        Share of steps at which the decoder does not hear the step before.

    Returns
    -------
    `hits`, `velocities` and `offsets`, (B, T) log likelihoods in nats, and the divergence
    between posterior and prior, (B,) nats: their sum, less it, is a lower bound.
    """
    config, device = model.config, generator.device
    n_styles, n_drummers = len(config.style_names), len(config.drummer_names)
    condition = torch.from_numpy(condition_features(kept, controls, n_styles, n_drummers))
    condition, known = condition.to(device), known_of(kept, device)
    context, prior_mu, prior_sigma = model.read(condition)
    mu, sigma = model.encode(known.features, condition)
    z = mu + sigma * torch.randn(mu.shape, generator=generator, device=device)
    previous = shift_right(known.features)
    heard = torch.rand(previous.shape[:2], generator=generator, device=device) >= word_dropout
    states = model.decode_forced(z, previous * heard.unsqueeze(-1), context)
    return (
        model.head.log_prob_of_rest(states, known),
        gaussian_kl_nats(mu, sigma, prior_mu, prior_sigma),
    )
