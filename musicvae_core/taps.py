"""Taps on a key or a pad, to a rhythm on the grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from musicvae_core.errors import InvalidGrooveError
from musicvae_core.groove import Groove
from musicvae_core.vocabulary import LATEST_OFFSET, N_VOICES, SNARE, STEPS_PER_BAR


def taps_to_groove(taps: Sequence[tuple[float, float]], n_bars: int, tempo_bpm: float) -> Groove:
    """Put taps on the grid, as hits of the snare.

    Parameters
    ----------
    taps
        (steps from the first beat, velocity) of each. Half a step before the first beat and
        half a step before the end both belong to the first beat: it is a loop.
    n_bars, tempo_bpm
        Of the recording.

    Returns
    -------
    Groove
        Of two taps on one step the louder is kept, and the first of equals.

    Raises
    ------
    InvalidGrooveError
        If a tap is no place in the recording, or a velocity is not in (0, 1].
    """
    n_steps = n_bars * STEPS_PER_BAR
    arrays = np.zeros((3, n_steps, N_VOICES), np.float32)  # hits, velocities, offsets
    for place, velocity in taps:
        if not (-0.5 <= place <= n_steps and 0 < velocity <= 1):
            raise InvalidGrooveError(
                f"A tap at step {place:g} with velocity {velocity:g} is not of a recording of "
                f"{n_bars} bars: record again."
            )
        step = int(np.floor(place + 0.5))
        cell = (slice(None), step % n_steps, SNARE)
        if velocity > arrays[cell][1]:
            arrays[cell] = 1, velocity, np.clip(place - step, -0.5, LATEST_OFFSET)
    return Groove(arrays[0] > 0, arrays[1], arrays[2], tempo_bpm)
