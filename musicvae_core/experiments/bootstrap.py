"""How far a number measured on some performances may lie from that of all there could be."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Interval = list[float]
"""From, to."""

N_RESAMPLES = 1000
_TAILS = (2.5, 97.5)


def resampled(performances: NDArray[np.int64], seed: int, n: int = N_RESAMPLES) -> Doubles:
    """Draw whole performances again and again, with replacement.

    Windows of one performance are alike, so drawing windows would find too little chance.

    Parameters
    ----------
    performances
        (N,) the performance of each window.
    seed, n
        Of the draws, and how many.

    Returns
    -------
    (n, N): how often each window is there in each draw.

    Source: Davison and Hinkley 1997, section 3.8 (the cluster bootstrap).
    """
    names, places = np.unique(performances, return_inverse=True)
    shares = np.full(len(names), 1 / len(names))
    counts = np.random.default_rng(seed).multinomial(len(names), shares, size=n)
    return counts[:, places].astype(np.float64)


def mean_interval(values: NDArray[np.floating], weights: Doubles) -> Interval:
    """Return where 95% of the means of (N,) values lie, by the weights of `resampled`."""
    return interval(weights @ values / weights.sum(axis=1))


def interval(draws: Doubles) -> Interval:
    """Return where 95% of (n,) numbers lie."""
    low, high = np.percentile(draws, _TAILS)
    return [float(low), float(high)]
