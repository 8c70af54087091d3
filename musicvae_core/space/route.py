"""What a path through z leads through, and how it moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from musicvae_core.errors import ConfigError
from musicvae_core.groove import Groove

MIN_STOPS, MAX_STOPS = 2, 16
MAX_PATH_BARS = 64
"""Of a whole path: two minutes at 128 bpm."""


@dataclass(frozen=True, eq=False)
class Stop:
    """A groove on a path, and how many bars its part of the piece has."""

    groove: Groove
    n_bars: int


@dataclass(frozen=True)
class Route:
    """How a path moves from stop to stop.

    Parameters
    ----------
    glide
        The share of each part, at its end, in which it moves on to the next groove: 0 jumps at
        the bar line, 1 moves all the time.
    returns
        Whether the last part moves on to the first groove, so that the piece loops; else the
        last groove stays.
    exact
        Whether the grooves' own notes are played where they stand, in place of what the model
        makes of them.
    refined
        Whether what lies between is drawn towards what drummers play, see `latent.refine_path`.
    temperature, seed
        See `Studio.sample`; all bars share their chance.
    """

    glide: float = 1.0
    returns: bool = False
    exact: bool = True
    refined: bool = True
    temperature: float = 0.0
    seed: int = 0


def check_path(stops: Sequence[Stop], route: Route) -> None:
    """Refuse a path that is too short, too long, or moves as nothing can.

    Raises
    ------
    ConfigError
        Where a number is out of its range.
    """
    n_bars = sum(stop.n_bars for stop in stops)
    if not MIN_STOPS <= len(stops) <= MAX_STOPS:
        raise ConfigError(
            f"A path through {len(stops)} grooves; it must have {MIN_STOPS} to {MAX_STOPS}."
        )
    if min(stop.n_bars for stop in stops) < 1 or n_bars > MAX_PATH_BARS:
        raise ConfigError(
            f"A path of {n_bars} bars; it must have at least one for each groove and "
            f"{MAX_PATH_BARS} at most."
        )
    if not 0 <= route.glide <= 1:
        raise ConfigError(f"The glide is {route.glide:g}; it must lie in 0 to 1.")
