"""Fitting what the noise of a groove lab's z is, to the codes of its train split."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from musicvae_core.dataset import Windows
from musicvae_core.errors import TooFewExamplesError
from musicvae_core.kept import N_KINDS, Kept, untold
from musicvae_core.lab.checkpoint import LabCheckpoint
from musicvae_core.lab.hiding import hide
from musicvae_core.lab.likelihood import residuals

_BATCH = 256
_N_HIDINGS = 2
"""How often every window is hidden as in training; once more its notes are kept, and nothing."""


@torch.no_grad()
def fit_lab_prior(checkpoint: LabCheckpoint, windows: Windows, seed: int = 0) -> LabCheckpoint:
    """Return the lab with the noise of its z fitted; the weights stay as they are.

    Of all Gaussians this one lies nearest to the posteriors of the windows, in the mean of
    the divergence that training weighs by beta: its mean is that of their means, its
    covariance that of their means and the mean of their variances.

    Parameters
    ----------
    checkpoint
        Trained.
    windows
        Of the train split.
    seed
        Of what is hidden.

    Raises
    ------
    TooFewExamplesError
        If a kind of what is hidden has no more windows than z has dimensions.
    """
    parts = [
        (kept.kinds(), *residuals(checkpoint.model, kept, untold(tempos_bpm)))
        for kept, tempos_bpm in _tasks(windows, np.random.default_rng(seed))
    ]
    kinds, mu, sigma = (np.concatenate(one) for one in zip(*parts, strict=True))
    fitted = copy.deepcopy(checkpoint.model)
    for kind in range(N_KINDS):
        own = kinds == kind
        if own.sum() <= mu.shape[1]:
            raise TooFewExamplesError(
                f"{own.sum()} windows are too few to fit a prior of {mu.shape[1]} dimensions; "
                "give more performances of the train split."
            )
        fitted.code_noise.set_law(kind, *_moments(mu[own], sigma[own]))
    return replace(checkpoint, model=fitted)


def _moments(mu: np.ndarray, sigma: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return the mean (Z,) and the covariance (Z, Z) of a mixture of Gaussians (N, Z)."""
    covariance = np.cov(mu, rowvar=False, bias=True) + np.diag((sigma**2).mean(axis=0))
    return torch.from_numpy(mu.mean(axis=0)), torch.from_numpy(covariance)


def _tasks(windows: Windows, rng: np.random.Generator) -> Iterator[tuple[Kept, np.ndarray]]:
    for start in range(0, len(windows), _BATCH):
        features = windows.features[start : start + _BATCH]
        tempos_bpm = windows.tempos_bpm[start : start + _BATCH]
        yield Kept.notes(features), tempos_bpm
        yield Kept.nothing(features), tempos_bpm
        for _ in range(_N_HIDINGS):
            yield hide(features, rng), tempos_bpm
