"""What a voice plays in a bar, by how often it did in the train split: a baseline to fill in."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from musicvae_core.vocabulary import STEPS_PER_BAR

Hits = NDArray[np.bool_]


@dataclass(frozen=True)
class PatternTable:
    """The bars of one voice: how often each pattern was played, and each sixteenth struck.

    A pattern that was seen is as likely as it was frequent; the rest of the probability, the
    share of patterns that were new when they came, goes to independent sixteenths.

    Source: Witten and Bell 1991, method C.

    Parameters
    ----------
    counts
        By pattern, as bytes of 16 bools.
    struck
        (16,) float64: the probability that a sixteenth is struck.
    """

    counts: Counter[bytes]
    struck: NDArray[np.float64]

    @classmethod
    def of(cls, hits: Hits) -> PatternTable:
        """Count the bars of one voice, hits being (N, T)."""
        bars = hits.reshape(-1, STEPS_PER_BAR)
        counts = Counter(bar.tobytes() for bar in bars)
        return cls(counts, (bars.sum(axis=0) + 1) / (len(bars) + 2))

    @property
    def most_common(self) -> Hits:
        """The most frequent pattern, (16,)."""
        return np.frombuffer(self.counts.most_common(1)[0][0], bool)

    def nats(self, hits: Hits) -> float:
        """Return the mean negative log likelihood of a bar of hits, (N, T)."""
        bars = hits.reshape(-1, STEPS_PER_BAR)
        n_seen, n_patterns = self.counts.total(), len(self.counts)
        by_step = np.where(bars, self.struck, 1 - self.struck).prod(axis=1)
        frequencies = np.array([self.counts[bar.tobytes()] for bar in bars])
        likelihoods = (frequencies + n_patterns * by_step) / (n_seen + n_patterns)
        return float(-np.log(likelihoods).mean())


def hit_f1(found: Hits, truth: Hits) -> float:
    """Return the harmonic mean of precision and recall; silence for silence is 1."""
    both, either = (found & truth).sum(), found.sum() + truth.sum()
    return float(2 * both / either) if either else 1.0
