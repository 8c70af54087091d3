"""How alike the bars of a groove are: what comes back, and after how many bars."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from musicvae_core.vocabulary import N_VOICES, STEPS_PER_BAR


def bar_similarity(hits: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Compare every bar with every other.

    Two bars are as alike as the F1 of their hits is high: twice the hits that both have, by
    the hits of both together; so 1 is the same bar and 0 has no hit in common. Silence is like
    silence. Velocity and timing do not count.

    Parameters
    ----------
    hits
        (..., T, 9) bool.

    Returns
    -------
    (..., U, U) float32, symmetric, 1 on the diagonal.

    Source: the measure is Dice's coefficient; a matrix of it shows form as in Foote 1999.
    """
    *leading, n_steps, _ = hits.shape
    shape = (*leading, n_steps // STEPS_PER_BAR, STEPS_PER_BAR * N_VOICES)
    bars = hits.reshape(shape).astype(np.float32)  # (..., U, 144)
    n_both = bars @ bars.swapaxes(-1, -2)  # (..., U, U)
    counts = bars.sum(axis=-1)  # (..., U)
    n_either = counts[..., :, None] + counts[..., None, :]
    alike = 2 * n_both / np.maximum(n_either, 1)
    return np.where(n_either > 0, alike, 1).astype(np.float32)


def lag_similarity(hits: NDArray[np.bool_], lags: Sequence[int]) -> list[float]:
    """Return how alike bars are that lie so many bars apart, on average over all such pairs.

    Parameters
    ----------
    hits
        (N, T, 9) bool.
    lags
        In bars, each below the number of bars.
    """
    matrices = bar_similarity(hits)
    diagonals = [np.diagonal(matrices, lag, axis1=-2, axis2=-1) for lag in lags]
    return [float(diagonal.mean()) for diagonal in diagonals]
