"""Fitting the priors of a trained checkpoint of any kind to the train split."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import singledispatch
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from musicvae_core.data.lines import LineWindows
from musicvae_core.data.windows import AnyWindows, Windows
from musicvae_core.errors import ConfigError, TooFewExamplesError
from musicvae_core.models.checkpoint import Checkpoint, LabCheckpoint
from musicvae_core.models.conditioning import Conditioning, Controls, tempo_only
from musicvae_core.models.config import LabConfig, ModelConfig
from musicvae_core.models.kinds import kind_of
from musicvae_core.models.lab import GrooveLab
from musicvae_core.models.lab_tasks import hide
from musicvae_core.models.musicvae import MusicVAE
from musicvae_core.models.notes_prior import NotesConfig, NotesPrior
from musicvae_core.models.prior import LatentPrior, PriorConfig
from musicvae_core.training.run import Muon, is_fast_at_bfloat16

_ModelT = TypeVar("_ModelT", bound=nn.Module)

_ENCODE_BATCH, _HIDING_BATCH = 512, 256
_AVERAGED = 10
"""The running average spans at most one in this many of a fit's steps."""


@dataclass(frozen=True)
class _Training:
    """How any prior is fitted.

    Parameters
    ----------
    n_steps, batch_size, seed
        Optimiser steps, codes or windows per step, and the seed of every random choice.
    learning_rate, n_warm_up
        Peak learning rate of AdamW: linear warm-up over n_warm_up steps, then cosine decay to
        zero.
    average_decay
        Decay of the running average of the weights, which becomes the prior; a short fit averages
        over at most a tenth of its steps.
    """

    n_steps: int = 20_000
    batch_size: int = 256
    seed: int = 0
    learning_rate: float = 1e-3
    n_warm_up: int = 50
    average_decay: float = 0.999


@dataclass(frozen=True)
class PriorTraining(_Training):
    """How a flow over codes is fitted; see also `_Training`.

    Parameters
    ----------
    matrix_learning_rate
        Peak learning rate of Muon for the matrices of the blocks (`_optimisers`). If it is None,
        AdamW updates all weights.
    posterior_noise
        Scale of the posterior noise added to each code's mean, drawn again at every visit: 1
        samples the posterior, 0 uses its mean. Some noise keeps the flow from memorising the
        codes.
    n_variants
        How many more times each window is encoded, changed in another way each time
        (`AnyWindows.varied`).
    """

    matrix_learning_rate: float | None = None
    posterior_noise: float = 0.3
    n_variants: int = 0


@dataclass(frozen=True)
class NotesTraining(_Training):
    """How a model of notes is fitted; see also `_Training`.

    Parameters
    ----------
    dropout, weight_decay
        Share of the network's inputs and states that are zeroed, and AdamW's weight decay.
    transposed
        Share of the windows that are transposed; the network knows by how much.
    """

    n_steps: int = 4_000
    batch_size: int = 32
    learning_rate: float = 2e-3
    n_warm_up: int = 100
    average_decay: float = 0.998
    dropout: float = 0.1
    weight_decay: float = 0.01
    transposed: float = 0.7

    @staticmethod
    def of(model: ModelConfig) -> NotesTraining:
        """Return the default settings for a model; there are few songs for bands."""
        if len(kind_of(model).alphabets) == 1:
            return NotesTraining()
        return NotesTraining(n_steps=1_600, batch_size=16, dropout=0.2, weight_decay=0.1)


@torch.inference_mode()
def _encode_windows(checkpoint: Checkpoint, windows: AnyWindows) -> tuple[Tensor, Tensor]:
    """Return mu and sigma of windows, each (N, Z)."""
    features = windows.features
    parts = [
        checkpoint.model.encode(torch.from_numpy(features[start : start + _ENCODE_BATCH]))
        for start in range(0, len(features), _ENCODE_BATCH)
    ]
    mu, sigma = zip(*parts, strict=True)
    return torch.cat(mu).clone(), torch.cat(sigma).clone()


@dataclass(frozen=True)
class _GaussianTraining:
    """How the noise of a groove lab's z is fitted, in one pass.

    Parameters
    ----------
    seed
        Seed for hiding parts of the windows.
    n_hidings
        How often parts of every window are hidden as in training. In addition, every window is
        used once with only its notes known, and once with nothing known.
    """

    seed: int = 0
    n_hidings: int = 2


@singledispatch
def prior_training(config: Any) -> Any:
    """Return the default settings for fitting the prior of a model of this configuration.

    A prior over bars, whose network is slower, is fitted with Muon; that of melodies and trios,
    to their codes in four keys.
    """
    raise ConfigError(f"There is no prior to fit to a model of {type(config).__name__}.")


@prior_training.register
def _(config: ModelConfig) -> PriorTraining:
    n_variants = 0 if kind_of(config).plays == "drums" else 3
    if config.n_z_parts == 1:
        return PriorTraining(n_variants=n_variants)
    return PriorTraining(
        n_steps=12_000,
        batch_size=96,
        learning_rate=3e-3,
        matrix_learning_rate=0.02,
        n_variants=n_variants,
    )


@prior_training.register
def _(config: LabConfig) -> _GaussianTraining:
    return _GaussianTraining()


def _prior_config(model: ModelConfig) -> PriorConfig:
    """Return the dimensions of the prior network for a model's codes.

    It attends over bars if they divide z, and over the parts of each bar if there are several.
    Samples of hits alone need fewer solver steps.
    """
    spread = 1.03 if kind_of(model).plays == "drums" else 1.0
    if model.n_z_parts > 1:
        n_parts = model.n_z_parts * len(kind_of(model).alphabets)
        return PriorConfig(width=256, n_parts=n_parts, n_solver_steps=16, spread=spread)
    return PriorConfig(n_solver_steps=4 if model.head == "categorical" else 6, spread=spread)


def fit_prior(
    checkpoint: Checkpoint[_ModelT, Any], windows: AnyWindows, training: Any = None, **options: Any
) -> Checkpoint[_ModelT, Any]:
    """Return a checkpoint of any kind with one of its priors fitted to windows.

    Parameters
    ----------
    checkpoint
        A trained checkpoint; its weights stay unchanged.
    windows
        Windows of the train split.
    training
        The settings; by default those of `prior_training`. `NotesTraining` fits a model of notes.
    options
        See `_fit_flow` and `_fit_notes`; a lab has none.
    """
    training = training or prior_training(checkpoint.config)
    if isinstance(training, NotesTraining):
        return _fit_notes(checkpoint, windows, training, **options)
    fitted: Checkpoint[_ModelT, Any] = _fit(
        checkpoint.model, checkpoint, windows, training, **options
    )
    return fitted


@singledispatch
def _fit(model: nn.Module, *_: Any) -> Any:
    raise ConfigError(f"There is no prior to fit to a {type(model).__name__}.")


@_fit.register
def _fit_flow(
    model: MusicVAE,
    checkpoint: Checkpoint,
    windows: AnyWindows,
    training: PriorTraining,
    config: PriorConfig | None = None,
    start: LatentPrior | None = None,
) -> Checkpoint:
    """Return the checkpoint with a flow fitted to the codes of the windows.

    The flow matching loss says little about how samples sound; choose settings by
    `realism.judge_auc`. `config` has the dimensions of the network. `start` is a prior to
    continue from, which stays unchanged; its own dimensions then count.
    """
    torch.manual_seed(training.seed)
    several = [windows, *(windows.varied(seed) for seed in range(training.n_variants))]
    encoded = [_encode_windows(checkpoint, some) for some in several]
    mu, sigma = (torch.cat(one) for one in zip(*encoded, strict=True))
    if start is None:
        prior = LatentPrior(config or _prior_config(model.config), model.config.z_size)
    else:
        prior = copy.deepcopy(start).train()
    optimisers = _optimisers(prior, training)
    losses = _flow_losses(prior, mu, training.posterior_noise * sigma, training)
    return replace(checkpoint, prior=_descend(prior, optimisers, losses, training).eval())


def _flow_losses(
    prior: LatentPrior, mu: Tensor, sigma: Tensor, training: PriorTraining
) -> Iterator[Tensor]:
    """Yield the loss of each step, on new codes."""
    generator = torch.Generator().manual_seed(training.seed)
    while True:
        chosen = torch.randint(len(mu), (training.batch_size,), generator=generator)
        noise = torch.randn((training.batch_size, mu.shape[1]), generator=generator)
        yield prior.loss(mu[chosen] + sigma[chosen] * noise, generator)


def _fit_notes(
    checkpoint: Checkpoint[Any, Any],
    windows: Any,
    training: NotesTraining,
    config: NotesConfig | None = None,
    start: NotesPrior | None = None,
) -> Checkpoint[Any, Any]:
    """Return the checkpoint with a model of notes fitted to the windows.

    `config` has the dimensions of the network. `start` is a model to continue from, which stays
    unchanged; its own dimensions then count.

    Raises
    ------
    ConfigError
        If the model plays neither melodies nor bands.
    """
    if not isinstance(windows, LineWindows):
        raise ConfigError(f"{checkpoint.name} plays no melodies: it has no model of notes to fit.")
    torch.manual_seed(training.seed)
    if start is None:
        alphabets = kind_of(checkpoint.config).alphabets
        notes = NotesPrior(config or NotesConfig(), checkpoint.config, alphabets)
    else:
        notes = copy.deepcopy(start).train()
    optimiser = torch.optim.AdamW(
        notes.parameters(), training.learning_rate, weight_decay=training.weight_decay
    )
    losses = _note_losses(notes, windows, training)
    return replace(checkpoint, notes=_descend(notes, [optimiser], losses, training).eval())


def _note_losses(
    notes: NotesPrior, windows: LineWindows, training: NotesTraining
) -> Iterator[Tensor]:
    """Yield the loss of each step, on new windows, in nats per step of music."""
    rng = np.random.default_rng(training.seed)
    while True:
        indices = rng.integers(len(windows), size=training.batch_size)
        classes, semitones = map(
            torch.from_numpy, windows.transposed(indices, training.transposed, rng)
        )
        ranks = torch.from_numpy(rng.random(classes.shape[::2]).argsort(axis=1))  # (B, P)
        log_prob = notes.log_prob(classes, semitones, ranks, training.dropout)
        yield -log_prob.sum(dim=2).mean()


def _descend(
    prior: _ModelT,
    optimisers: list[torch.optim.Optimizer],
    losses: Iterator[Tensor],
    training: _Training,
) -> _ModelT:
    """Take the steps of a fit; return the running average of the prior."""
    # The average of a short fit would otherwise consist mostly of its early steps.
    decay = min(training.average_decay, max(0.0, 1 - _AVERAGED / training.n_steps))
    averaging = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    average = AveragedModel(prior, multi_avg_fn=averaging)
    schedules = [LambdaLR(optimiser, _share(training)) for optimiser in optimisers]
    half = is_fast_at_bfloat16(torch.device("cpu"))
    bar = tqdm(range(training.n_steps), desc="prior", unit="step")
    for step in bar:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = next(losses)
        prior.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(prior.parameters(), 1.0)
        for optimiser, schedule in zip(optimisers, schedules, strict=True):
            optimiser.step()
            schedule.step()
        average.update_parameters(prior)
        if step % 100 == 0:
            bar.set_postfix(loss=f"{float(loss.detach()):.4f}")
    return copy.deepcopy(cast(_ModelT, average.module))


def _optimisers(prior: LatentPrior, training: PriorTraining) -> list[torch.optim.Optimizer]:
    """Return AdamW for all weights, or Muon for the matrices of the blocks and AdamW for the rest.

    For a prior over the bars of `groove_16bar`, the loss after 600 steps of 96 codes was 1.08
    with Muon, 1.13 with AdamW alone at its best learning rate, and 1.27 at a third of that rate;
    a step with Muon takes a third longer. If z is not divided, a step with Muon takes four times
    as long, and the time is better spent on more steps of AdamW.
    """
    if training.matrix_learning_rate is None:
        return [torch.optim.AdamW(prior.parameters(), training.learning_rate, weight_decay=0.01)]
    matrices = [
        weights
        for name, weights in prior.blocks.named_parameters()
        if weights.ndim == 2 and "modulate" not in name
    ]
    theirs = {id(weights) for weights in matrices}
    rest = [weights for weights in prior.parameters() if id(weights) not in theirs]
    return [
        Muon(matrices, training.matrix_learning_rate),
        torch.optim.AdamW(rest, training.learning_rate, weight_decay=0.01),
    ]


def _share(training: _Training) -> Callable[[int], float]:
    """Return the learning rate of each step as a fraction of the peak."""

    def share(step: int) -> float:
        cosine = 0.5 * (1 + math.cos(math.pi * step / training.n_steps))
        return cosine * min(1.0, (step + 1) / training.n_warm_up)

    return share


@_fit.register
@torch.no_grad()
def _fit_gaussian(
    model: GrooveLab, checkpoint: LabCheckpoint, windows: Windows, training: _GaussianTraining
) -> LabCheckpoint:
    """Return the lab with the noise of its z fitted.

    This is the Gaussian with the least mean KL divergence from the windows' posteriors, the term
    that training weights by beta. Its mean is the mean of their means; its covariance is the
    covariance of their means plus the mean of their variances.

    Raises
    ------
    TooFewExamplesError
        If a kind of conditioning has no more windows than z has dimensions.
    """
    parts = [
        (given.kinds(), *_residuals(model, given, tempo_only(tempos_bpm)))
        for given, tempos_bpm in _tasks(windows, training)
    ]
    kinds, mu, sigma = (np.concatenate(one) for one in zip(*parts, strict=True))
    fitted = copy.deepcopy(model)
    for kind in range(Conditioning.N_KINDS):
        own = kinds == kind
        if own.sum() <= mu.shape[1]:
            raise TooFewExamplesError(
                f"{own.sum()} windows are too few to fit a prior of {mu.shape[1]} dimensions; "
                "give more performances of the train split."
            )
        fitted.code_noise.set_distribution(kind, *_moments(mu[own], sigma[own]))
    return replace(checkpoint, model=fitted)


def _residuals(model: GrooveLab, given: Conditioning, controls: Controls) -> tuple[Tensor, Tensor]:
    """Return the posteriors' mu and sigma, (B, Z) each, in units of the trained prior."""
    features = torch.from_numpy(given.features)
    inference = model.infer(model.condition(given, controls), features)
    scale = inference.prior_sigma
    return (inference.mu - inference.prior_mu) / scale, inference.sigma / scale


def _moments(mu: np.ndarray, sigma: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return the mean (Z,) and the covariance (Z, Z) of a mixture of Gaussians (N, Z)."""
    covariance = np.cov(mu, rowvar=False, bias=True) + np.diag((sigma**2).mean(axis=0))
    return torch.from_numpy(mu.mean(axis=0)), torch.from_numpy(covariance)


def _tasks(
    windows: Windows, training: _GaussianTraining
) -> Iterator[tuple[Conditioning, np.ndarray]]:
    rng = np.random.default_rng(training.seed)
    for start in range(0, len(windows), _HIDING_BATCH):
        features = windows.features[start : start + _HIDING_BATCH]
        tempos_bpm = windows.tempos_bpm[start : start + _HIDING_BATCH]
        yield Conditioning.notes(features), tempos_bpm
        yield Conditioning.nothing(features), tempos_bpm
        for _ in range(training.n_hidings):
            yield hide(features, rng, windows.grid), tempos_bpm
