"""An n-gram model of drum steps: an independent judge of how likely music is.

A step's class is predicted from its place in the bar and the classes before it. Counts of
longer contexts are interpolated with those of shorter ones, down to a uniform choice.

Source: the interpolation is Witten and Bell's method C, as in Chen and Goodman 1998, section
2.4; Roberts et al. 2018, figure 5, judge interpolation by such a model of order 5.

Deviations: the place in the bar is known, and a factor gives shorter contexts more weight.
Drummers repeat a bar many times, so a plain count makes one performance look like a rule.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from musicvae_core.vocabulary import N_COMBINATIONS, STEPS_PER_BAR

Classes = NDArray[np.int64]
MAX_ORDER = STEPS_PER_BAR
"""The longest contexts come to the same step of the bar before, which every sequence has."""

STRENGTHS = (1.0, 4.0, 16.0, 64.0)
_UNKNOWN = -1


@dataclass(frozen=True)
class _Level:
    """Counts of the contexts of one length.

    Parameters
    ----------
    keys
        Sorted: each is a shorter context's index, joined by one earlier class.
    totals, distinct
        For each context: how often it came, and how many classes followed it.
    pairs, counts
        Sorted contexts joined by the class that followed, and how often it did.
    """

    keys: Classes
    totals: Classes
    distinct: Classes
    pairs: Classes
    counts: Classes

    @classmethod
    def of(cls, keys: Classes, classes: Classes) -> _Level:
        """Count contexts, given as keys, and the classes that followed them."""
        unique, indices = np.unique(keys, return_inverse=True)
        pairs, counts = np.unique(_joined(indices, classes), return_counts=True)
        distinct = np.bincount(pairs // N_COMBINATIONS, minlength=len(unique))
        return cls(unique, np.bincount(indices), distinct, pairs, counts)

    def contexts(self, keys: Classes) -> Classes:
        """Return the index of each context; -1 where it never came."""
        return _find(self.keys, keys)

    def interpolated(
        self, contexts: Classes, classes: Classes, lower: NDArray[np.float64], strength: float
    ) -> NDArray[np.float64]:
        """Return the probability of classes, given that under shorter contexts."""
        at = _find(self.pairs, np.where(contexts < 0, _UNKNOWN, _joined(contexts, classes)))
        counts = np.where(at < 0, 0, self.counts[at])
        shared = strength * self.distinct[contexts]
        longer = (counts + shared * lower) / (self.totals[contexts] + shared)
        return np.asarray(np.where(contexts < 0, lower, longer))


class NgramModel:
    """Counts of all contexts up to a length.

    Parameters
    ----------
    sequences
        (T,) int64 classes of whole performances, each from the first step of a bar.
    order
        1 to 16: classes in a row that are counted; 1 knows the place in the bar alone.
    strength
        How much weight shorter contexts have; 1 is Witten and Bell's.
    """

    def __init__(self, sequences: Iterable[Classes], order: int, strength: float = 1.0) -> None:
        self.order, self.strength = order, strength
        classes, places = _laid_end_to_end(sequences)
        keys = places % STEPS_PER_BAR
        self._levels = [_Level.of(np.zeros_like(keys), classes)]
        for length in range(order):
            self._levels.append(_Level.of(keys[places >= length], classes[places >= length]))
            contexts = self._levels[-1].contexts(keys)
            keys = _longer(contexts, classes, length + 1)

    def costs(self, windows: Classes) -> NDArray[np.float64]:
        """Return what each step costs, by order.

        Parameters
        ----------
        windows
            (N, T) int64 classes, from the first step of a bar.

        Returns
        -------
        (order, N, T) nats: under a model of order 1, 2, and on. The first steps of a window
        see only what is there.
        """
        n_windows, n_steps = windows.shape
        classes = windows.ravel()
        places = np.tile(np.arange(n_steps), n_windows)
        uniform = np.full(len(classes), 1 / N_COMBINATIONS)
        always = np.zeros_like(classes)
        probabilities = self._levels[0].interpolated(always, classes, uniform, self.strength)
        keys, found = places % STEPS_PER_BAR, []
        for length, level in enumerate(self._levels[1:]):
            contexts = np.where(places < length, _UNKNOWN, level.contexts(keys))
            probabilities = level.interpolated(contexts, classes, probabilities, self.strength)
            found.append(-np.log(probabilities).reshape(n_windows, n_steps))
            keys = _longer(contexts, classes, length + 1)
        return np.stack(found)

    def cost(self, windows: Classes) -> NDArray[np.float64]:
        """Return what each step costs under the longest contexts, (N, T) nats."""
        last: NDArray[np.float64] = self.costs(windows)[-1]
        return last


def fit_ngram(sequences: Sequence[Classes], held_out: Classes) -> NgramModel:
    """Return the model of the order and strength with the lowest mean cost on held-out windows.

    Parameters
    ----------
    sequences
        As `NgramModel` takes them.
    held_out
        (N, T) int64 classes.
    """
    costs: dict[tuple[int, float], float] = {}
    for strength in STRENGTHS:
        by_order = NgramModel(sequences, MAX_ORDER, strength).costs(held_out).mean(axis=(1, 2))
        costs |= {(order, strength): float(cost) for order, cost in enumerate(by_order, start=1)}
    order, strength = min(costs, key=costs.__getitem__)
    return NgramModel(sequences, order, strength)


def _laid_end_to_end(sequences: Iterable[Classes]) -> tuple[Classes, Classes]:
    """Return all classes in one row, and for each how far into its sequence it stands."""
    kept = list(sequences)
    return np.concatenate(kept), np.concatenate([np.arange(len(one)) for one in kept])


def _longer(contexts: Classes, classes: Classes, distance: int) -> Classes:
    """Return the keys of contexts that also know the class so many steps before.

    Where a sequence is not that long the key is of no use, and the caller leaves it out.
    """
    before = np.concatenate([np.zeros(distance, np.int64), classes[:-distance]])[: len(classes)]
    return np.where(contexts < 0, _UNKNOWN, _joined(contexts, before))


def _joined(contexts: Classes, classes: Classes) -> Classes:
    return np.asarray(contexts * N_COMBINATIONS + classes)


def _find(table: Classes, keys: Classes) -> Classes:
    """Return where each key stands in a sorted table; -1 where it does not."""
    at = np.minimum(np.searchsorted(table, keys), len(table) - 1)
    return np.where(table[at] == keys, at, _UNKNOWN)
