"""How likely a groove lab finds what is hidden of grooves."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Normal

from musicvae_core.kept import Controls, Kept, condition_features
from musicvae_core.losses import gaussian_kl_nats
from musicvae_core.models.code_noise import CodeNoise
from musicvae_core.models.lab import GrooveLab, Known, known_of
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
    between posterior and the prior that is trained, (B,) nats: their sum, less it, is a lower
    bound.
    """
    heard = _hear(model, kept, controls, generator.device)
    z = heard.draw(generator)
    previous = shift_right(heard.known.features)
    told = torch.rand(previous.shape[:2], generator=generator, device=z.device) >= word_dropout
    states = model.decode_forced(z, previous * told.unsqueeze(-1), heard.context)
    return (
        model.head.log_prob_of_rest(states, heard.known),
        gaussian_kl_nats(heard.mu, heard.sigma, heard.prior_mu, heard.prior_sigma),
    )


def nats_of_rest(
    model: GrooveLab,
    kept: Kept,
    controls: Controls,
    generator: torch.Generator,
    terms: Collection[str],
    n_draws: int,
) -> Tensor:
    """Return an upper bound of the negative log likelihood of what is not kept.

    Parameters
    ----------
    model, kept, controls, generator
        As `score_rest`.
    terms
        Which of `hits`, `velocities` and `offsets` are scored. Every step is scored given how
        the steps before it were played, all of it.
    n_draws
        Draws of z from the posterior; the more, the tighter is the bound.

    Returns
    -------
    (B,) nats.

    Source: Burda, Grosse and Salakhutdinov 2016, equation 8.
    """
    heard = _hear(model, kept, controls, generator.device)
    previous = shift_right(heard.known.features)
    weights = []
    for _ in range(n_draws):
        z = heard.draw(generator)
        states = model.decode_forced(z, previous, heard.context)
        scores = model.head.log_prob_of_rest(states, heard.known)
        scored = torch.stack([scores[name].sum(dim=1) for name in terms]).sum(dim=0)  # (B,)
        weights.append(scored + heard.log_ratio(z, model.code_noise))
    return math.log(n_draws) - torch.logsumexp(torch.stack(weights), dim=0)


def residuals(model: GrooveLab, kept: Kept, controls: Controls) -> tuple[Tensor, Tensor]:
    """Return the posteriors' mu and sigma, (B, Z) each, in units of the trained prior."""
    heard = _hear(model, kept, controls, "cpu")
    return (heard.mu - heard.prior_mu) / heard.prior_sigma, heard.sigma / heard.prior_sigma


class _Heard(NamedTuple):
    """What the parts of a model make of grooves and of what is kept of them."""

    known: Known
    context: Tensor
    mu: Tensor
    sigma: Tensor
    prior_mu: Tensor
    prior_sigma: Tensor
    kinds: Tensor

    def draw(self, generator: torch.Generator) -> Tensor:
        """Draw z from the posterior, (B, Z)."""
        noise = torch.randn(self.mu.shape, generator=generator, device=self.mu.device)
        return self.mu + self.sigma * noise

    def log_ratio(self, z: Tensor, code_noise: CodeNoise) -> Tensor:
        """Return the log of the prior's density over the posterior's, (B,)."""
        noise = (z - self.prior_mu) / self.prior_sigma
        prior = code_noise.log_prob(noise, self.kinds) - self.prior_sigma.log().sum(dim=-1)
        posterior: Tensor = Normal(self.mu, self.sigma).log_prob(z)  # type: ignore[no-untyped-call]
        return prior - posterior.sum(dim=-1)


def _hear(model: GrooveLab, kept: Kept, controls: Controls, device: torch.device | str) -> _Heard:
    config = model.config
    n_styles, n_drummers = len(config.style_names), len(config.drummer_names)
    condition = torch.from_numpy(condition_features(kept, controls, n_styles, n_drummers))
    condition, known = condition.to(device), known_of(kept, device)
    context, prior_mu, prior_sigma = model.read(condition)
    mu, sigma = model.encode(known.features, condition)
    kinds = torch.from_numpy(kept.kinds()).to(device)
    return _Heard(known, context, mu, sigma, prior_mu, prior_sigma, kinds)
