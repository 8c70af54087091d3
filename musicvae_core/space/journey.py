"""Journeys: a path of codes through several stops."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from musicvae_core.errors import ConfigError
from musicvae_core.latent import Codes, slerp


def journey_codes(stops: Codes, steps_a_leg: int) -> Codes:
    """Return the codes from stop to stop, evenly along the great circle of each leg.

    Parameters
    ----------
    stops
        (n, Z), n at least 2.
    steps_a_leg
        How many steps lead from one stop to the next, at least 1.

    Returns
    -------
    ((n - 1) * steps_a_leg + 1, Z) float32: every stop is there, exactly.

    Raises
    ------
    ConfigError
        If there are too few stops or steps.

    Source: Roberts et al. 2018, section 5.2, for one leg.
    """
    if len(stops) < 2:
        raise ConfigError(f"A journey of {len(stops)} stops; choose two or more.")
    if steps_a_leg < 1:
        raise ConfigError(f"{steps_a_leg} steps a leg; take at least one.")
    on_the_way = [
        slerp(start, end, step / steps_a_leg)
        for start, end in pairwise(stops)
        for step in range(steps_a_leg)
    ]
    return np.stack([*on_the_way, stops[-1]]).astype(np.float32)
