"""Attributes as a listener meets them: with titles, units and steps, for sliders and figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from musicvae_core.music.attributes import (
    Array,
    Beats,
    crash_activity,
    dynamic_range,
    eighth_syncopation,
    fill_ness,
    hat_activity,
    kick_activity,
    laid_backness,
    looseness,
    mean_velocity,
    open_hat_share,
    ride_activity,
    sixteenth_syncopation,
    snare_activity,
    step_density,
    swing,
    tom_activity,
)
from musicvae_core.music.grid import VELOCITY_LEVELS


@dataclass(frozen=True)
class Control:
    """An attribute as a listener meets it: on a slider, in a figure.

    Parameters
    ----------
    measure
        Gives the attribute in its own unit.
    title, unit
        What it is called, and in what it is shown.
    scale
        Shown units to one of its own.
    step
        The slider's, in shown units.
    group
        The heading that it is listed under.
    help
        What more of it sounds like, in one sentence.
    of_feel
        Whether it is about velocity or timing, which not every model plays.
    """

    measure: Callable[[Beats], Array]
    title: str
    unit: str
    scale: float
    step: float
    group: str
    help: str
    of_feel: bool = False


CONTROLS: Mapping[str, Control] = MappingProxyType(
    {
        "step_density": Control(
            step_density,
            *("How busy", "% of steps", 100, 1, "Rhythm"),
            "Fewer sixteenths pass in silence.",
        ),
        "sixteenth_syncopation": Control(
            sixteenth_syncopation,
            *("16th syncopation", "% of hits", 100, 1, "Rhythm"),
            "More hits on the “e” and the “a” whose voice was silent just before.",
        ),
        "eighth_syncopation": Control(
            eighth_syncopation,
            *("8th syncopation", "% of hits", 100, 1, "Rhythm"),
            "More hits on the “and” whose voice was silent on the beat.",
        ),
        "fill_ness": Control(
            fill_ness,
            *("Fills", "% of beats", 100, 5, "Rhythm"),
            "More beats of snare and toms that no hi-hat or ride keeps time for.",
        ),
        "kick_activity": Control(
            kick_activity, "Kick", "hits a bar", 1, 0.5, "Voices", "More kicks."
        ),
        "snare_activity": Control(
            snare_activity, "Snare", "hits a bar", 1, 0.5, "Voices", "More snare, ghosts included."
        ),
        "hat_activity": Control(
            hat_activity, "Hi-hat", "hits a bar", 1, 0.5, "Voices", "A busier hi-hat."
        ),
        "open_hat_share": Control(
            open_hat_share,
            *("Open hi-hat", "% of the hi-hat", 100, 1, "Voices"),
            "More of the hi-hat is played open.",
        ),
        "ride_activity": Control(
            ride_activity, "Ride", "hits a bar", 1, 0.5, "Voices", "A busier ride."
        ),
        "crash_activity": Control(
            crash_activity, "Crash", "hits a bar", 1, 0.5, "Voices", "More crashes."
        ),
        "tom_activity": Control(
            tom_activity, "Toms", "hits a bar", 1, 0.5, "Voices", "More of the three toms."
        ),
        "swing": Control(
            swing,
            *("Swing", "% of a step", 100, 1, "Feel"),
            "The “e” and the “a” come later than the beat and the “and”.",
            of_feel=True,
        ),
        "laid_backness": Control(
            laid_backness,
            *("Laid-back", "% of a step", 100, 1, "Feel"),
            "Behind the beat to the right, ahead of it to the left.",
            of_feel=True,
        ),
        "looseness": Control(
            looseness,
            *("Tight to loose", "% of a step", 100, 1, "Feel"),
            "Hits stray further from their places in time, swing aside.",
            of_feel=True,
        ),
        "velocity_mean": Control(
            mean_velocity,
            *("Loudness", "velocity", VELOCITY_LEVELS, 1, "Feel"),
            "Played harder on average.",
            of_feel=True,
        ),
        "velocity_spread": Control(
            dynamic_range,
            *("Dynamic range", "velocity", VELOCITY_LEVELS, 1, "Feel"),
            "A wider gap between accents and ghosts.",
            of_feel=True,
        ),
    }
)
"""What can be steered, in the order of the sliders; names as in `ATTRIBUTES` mean the same."""


def controls_of(has_feel: bool) -> tuple[str, ...]:
    """Return the names of the controls that a model with or without feel can follow."""
    return tuple(name for name, control in CONTROLS.items() if has_feel or not control.of_feel)


def measure_controls(beats: Beats, names: Sequence[str]) -> Array:
    """Return the named controls of grooves (..., T, 9) in their own units, (..., K)."""
    return np.stack([CONTROLS[name].measure(beats) for name in names], axis=-1)
