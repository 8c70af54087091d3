"""Completing grooves of any length with a groove lab, and scoring their hidden parts."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal

from musicvae_core.lab.options import Sampling
from musicvae_core.models.conditioning import Conditioning, Controls, Flags, Floats
from musicvae_core.models.decoders import shift_right
from musicvae_core.models.lab import GrooveLab, Inference, known_of
from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.grid import COMMON_TIME, Grid


class Example(NamedTuple):
    """A groove to imitate: its code (1, Z), and some whole bars of it, (1, T, 27)."""

    z: Tensor
    features: Floats


class _Stretch(NamedTuple):
    """A range of bars that the model reads at once, and the first of them that it generates."""

    start: int
    first_made: int
    end: int


def complete(
    model: GrooveLab,
    given: Conditioning,
    controls: Controls,
    sampling: Sampling,
    *,
    context_bars: int = 1,
    like: Example | None = None,
) -> Floats:
    """Complete grooves of any number of bars.

    Grooves longer than the model's window are completed stretch by stretch. Each stretch is
    conditioned on the bars before it, whether kept or generated, and all stretches draw their
    code with the same noise.

    Parameters
    ----------
    model
        The lab.
    given
        The known parts of (B, T) grooves; T is a whole number of bars.
    controls
        Tempo, density, style and drummer.
    sampling
        Temperatures and seed.
    context_bars
        How many preceding bars a stretch is conditioned on, where there are any. More are more
        reliable but slower.
    like
        An example to imitate: its code replaces a drawn one, and its bars come before every
        stretch.

    Returns
    -------
    (B, T, 27) float32; the known parts are unchanged.
    """
    generator = torch.Generator().manual_seed(sampling.seed)
    noise = torch.randn((len(given.features), model.config.z_size), generator=generator)
    known = np.concatenate([given.hits, given.velocities, given.offsets], axis=-1)
    given = replace(given, features=np.where(known, given.features, 0).astype(np.float32))
    n_lead = like.features.shape[1] if like else 0
    grid = model.config.grid
    window_bars = model.config.n_bars - n_lead // grid.steps_per_bar
    seeds = np.random.default_rng(sampling.seed)  # a seed for each stretch, however many grooves
    for stretch in stretches(open_bars(given, grid), window_bars, context_bars):
        window, n_before = _window(given, stretch, grid.steps_per_bar)
        if like:
            window = Conditioning.everything(like.features).followed_by(window)
        generator.manual_seed(int(seeds.integers(2**62)))
        made = _complete_stretch(model, window, controls, sampling, like or noise, generator)
        features = given.features.copy()
        made_bars = np.array([stretch.first_made, stretch.end])
        made_steps = slice(*(grid.steps_per_bar * made_bars))
        features[:, made_steps] = made[:, n_lead + n_before :]
        given = replace(given, features=features)
    return given.features


def open_bars(given: Conditioning, grid: Grid = COMMON_TIME) -> Flags:
    """Return the bars in which something is unknown in at least one groove: (U,) bool."""
    unknown_feel = ~(given.velocities & given.offsets) & (given.features[..., :N_VOICES] > 0)
    is_open = (~given.hits | unknown_feel).any(axis=(0, 2))  # (T,)
    return np.asarray(is_open.reshape(-1, grid.steps_per_bar).any(axis=1))


def stretches(is_open: Flags, window_bars: int, context_bars: int) -> Iterator[_Stretch]:
    """Cover the open bars with windows, in order, generating no bar twice.

    Parameters
    ----------
    is_open
        (U,) bool.
    window_bars
        How many bars the model reads at once.
    context_bars
        How many of these precede the first generated bar, where there are any. There are more
        at the end of a groove, so that its last window is full.
    """
    n_bars = len(is_open)
    done = 0
    while is_open[done:].any():
        first = done + int(is_open[done:].argmax())
        start = max(0, min(first - context_bars, n_bars - window_bars))
        done = min(n_bars, start + window_bars)
        yield _Stretch(start, first, done)


def _window(given: Conditioning, stretch: _Stretch, steps_per_bar: int) -> tuple[Conditioning, int]:
    """Return the conditioning of a stretch, and how many of its steps are only context."""
    window = given.at(slice(stretch.start * steps_per_bar, stretch.end * steps_per_bar))
    n_before = (stretch.first_made - stretch.start) * steps_per_bar
    is_before = np.arange(window.hits.shape[1]) < n_before
    return window.revealing(np.broadcast_to(is_before, window.hits.shape[:2])), n_before


@torch.inference_mode()
def _complete_stretch(
    model: GrooveLab,
    given: Conditioning,
    controls: Controls,
    sampling: Sampling,
    code: Example | Tensor,
    generator: torch.Generator,
) -> Floats:
    """Complete grooves of at most one window, with an example's code or one from the prior."""
    context, mu, sigma = model.read(model.condition(given, controls))
    if isinstance(code, Example):
        z = code.z
    else:
        z = model.draw_code(mu, sigma, code, torch.from_numpy(given.kinds()))
    features: Floats = model.complete(
        z,
        context,
        known_of(given),
        temperature=sampling.temperature,
        feel_temperature=sampling.feel_temperature,
        generator=generator,
    ).numpy()
    return features


def nats_of_rest(
    model: GrooveLab,
    given: Conditioning,
    controls: Controls,
    generator: torch.Generator,
    terms: Collection[str],
    n_draws: int,
) -> Tensor:
    """Return an upper bound on the negative log likelihood of the hidden parts.

    Parameters
    ----------
    model
        The lab.
    given
        The conditioning; its features (B, T, 27) hold the complete grooves.
    controls
        Tempo, density, style and drummer.
    generator
        Source of randomness.
    terms
        Which of `hits`, `velocities` and `offsets` to score. Every step is scored given the
        complete steps before it.
    n_draws
        Samples of z from the posterior; more of them give a tighter bound.

    Returns
    -------
    (B,) nats.

    Source: Burda, Grosse and Salakhutdinov 2016, equation 8.
    """
    known, kinds = known_of(given), torch.from_numpy(given.kinds())
    inference = model.infer(model.condition(given, controls), known.features)
    previous = shift_right(known.features)
    weights = []
    for _ in range(n_draws):
        noise = torch.randn(inference.mu.shape, generator=generator)
        z = inference.mu + inference.sigma * noise
        states = model.decode_forced(z, previous, inference.context)
        scores = model.head.log_prob_of_rest(states, known)
        scored = torch.stack([scores[name].sum(dim=1) for name in terms]).sum(dim=0)  # (B,)
        weights.append(scored + _log_ratio(model, inference, z, kinds))
    return math.log(n_draws) - torch.logsumexp(torch.stack(weights), dim=0)


def _log_ratio(model: GrooveLab, inference: Inference, z: Tensor, kinds: Tensor) -> Tensor:
    """Return the log ratio of prior to posterior density at z, (B,)."""
    noise = (z - inference.prior_mu) / inference.prior_sigma
    prior = model.code_noise.log_prob(noise, kinds) - inference.prior_sigma.log().sum(dim=-1)
    posterior = Normal(inference.mu, inference.sigma)
    density: Tensor = posterior.log_prob(z)  # type: ignore[no-untyped-call]
    return prior - density.sum(dim=-1)
