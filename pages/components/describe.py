"""A groove in words, for those who hear the page rather than see it."""

import numpy as np

from musicvae_core.groove import Groove
from musicvae_core.vocabulary import STEPS_PER_BAR, STEPS_PER_BEAT, VOICES

_COUNTS = ("", " e", " and", " a")
"""How drummers count the four sixteenths of a beat: 1, 1 e, 1 and, 1 a."""


def count_of(step: int) -> str:
    """Return the count of a step within its bar, such as ``"2 and"`` for step 6."""
    beat, sixteenth = divmod(step % STEPS_PER_BAR, STEPS_PER_BEAT)
    return f"{beat + 1}{_COUNTS[sixteenth]}"


def describe(groove: Groove) -> str:
    """Return which voice plays on which counts, bar by bar, and the tempo."""
    bars = [
        f"Bar {bar + 1}: {_describe_bar(groove.hits[steps])}."
        for bar in range(groove.n_bars)
        for steps in [slice(bar * STEPS_PER_BAR, (bar + 1) * STEPS_PER_BAR)]
    ]
    length = "1 bar" if groove.n_bars == 1 else f"{groove.n_bars} bars"
    return f"{length} at {groove.tempo_bpm:g} bpm. {' '.join(bars)}"


def _describe_bar(hits: np.ndarray) -> str:
    """Return the voices of one bar, (16, 9) bool, and the counts of their hits."""
    voices = [
        f"{voice} on {', '.join(count_of(int(step)) for step in np.flatnonzero(column))}"
        for voice, column in zip(VOICES, hits.T, strict=True)
        if column.any()
    ]
    return "; ".join(voices) or "silence"
