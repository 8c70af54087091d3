"""Completing grooves of any length with a groove lab, stretch by stretch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from musicvae_core.kept import Controls, Flags, Floats, Kept, condition_features
from musicvae_core.lab.checkpoint import LabCheckpoint
from musicvae_core.lab.options import Chance
from musicvae_core.models.lab import known_of
from musicvae_core.vocabulary import N_VOICES, STEPS_PER_BAR


class Example(NamedTuple):
    """A groove to play like: its code (1, Z), and whole bars of it, (1, T, 27)."""

    z: Tensor
    features: Floats


class Stretch(NamedTuple):
    """Bars that the model hears at once, from start to end, and the first that it makes."""

    start: int
    first_made: int
    end: int


def complete(
    checkpoint: LabCheckpoint,
    kept: Kept,
    controls: Controls,
    chance: Chance,
    *,
    context_bars: int = 1,
    like: Example | None = None,
) -> Floats:
    """Complete grooves of any number of bars.

    What is longer than the model's window is made stretch by stretch: each hears the bars
    before its own as they were kept or made, and the code of all is drawn by one chance.

    Parameters
    ----------
    checkpoint
        The lab.
    kept
        What is known of (B, T) grooves, T whole bars.
    controls
        What else is asked for.
    chance
        Temperatures and seed.
    context_bars
        Bars before its own that a stretch hears, where there are any: more are surer and slower.
    like
        Take its code in place of one that is drawn, and let every stretch hear its bars first.

    Returns
    -------
    (B, T, 27) float32, what is known as it was.
    """
    generator = torch.Generator().manual_seed(chance.seed)
    noise = torch.randn((len(kept.features), checkpoint.config.z_size), generator=generator)
    known = np.concatenate([kept.hits, kept.velocities, kept.offsets], axis=-1)
    kept = replace(kept, features=np.where(known, kept.features, 0).astype(np.float32))
    n_lead = like.features.shape[1] if like else 0
    window_bars = checkpoint.config.n_bars - n_lead // STEPS_PER_BAR
    for stretch in stretches(open_bars(kept), window_bars, context_bars):
        heard, n_before = _heard(kept, stretch)
        if like:
            heard = Kept.everything(like.features).followed_by(heard)
        made = _complete_stretch(checkpoint, heard, controls, chance, like or noise, generator)
        features = kept.features.copy()
        made_steps = slice(stretch.first_made * STEPS_PER_BAR, stretch.end * STEPS_PER_BAR)
        features[:, made_steps] = made[:, n_lead + n_before :]
        kept = replace(kept, features=features)
    return kept.features


def open_bars(kept: Kept) -> Flags:
    """Return the bars in which something is not known of one groove or another: (U,) bool."""
    unknown_feel = ~(kept.velocities & kept.offsets) & (kept.features[..., :N_VOICES] > 0)
    is_open = (~kept.hits | unknown_feel).any(axis=(0, 2))  # (T,)
    return np.asarray(is_open.reshape(-1, STEPS_PER_BAR).any(axis=1))


def stretches(is_open: Flags, window_bars: int, context_bars: int) -> Iterator[Stretch]:
    """Lay windows over the open bars, in order, none made twice.

    Parameters
    ----------
    is_open
        (U,) bool.
    window_bars
        How many bars the model hears at once.
    context_bars
        Of these, how many come before the first that is made, where there are any; more at
        the end of a groove, so that its last window is full.
    """
    n_bars = len(is_open)
    done = 0
    while is_open[done:].any():
        first = done + int(is_open[done:].argmax())
        start = max(0, min(first - context_bars, n_bars - window_bars))
        done = min(n_bars, start + window_bars)
        yield Stretch(start, first, done)


def _heard(kept: Kept, stretch: Stretch) -> tuple[Kept, int]:
    """Return what is known in a stretch, and the steps before the first that it makes."""
    heard = kept.at(slice(stretch.start * STEPS_PER_BAR, stretch.end * STEPS_PER_BAR))
    n_before = (stretch.first_made - stretch.start) * STEPS_PER_BAR
    is_before = np.arange(heard.hits.shape[1]) < n_before
    return heard.revealing(np.broadcast_to(is_before, heard.hits.shape[:2])), n_before


@torch.inference_mode()
def _complete_stretch(
    checkpoint: LabCheckpoint,
    kept: Kept,
    controls: Controls,
    chance: Chance,
    code: Example | Tensor,
    generator: torch.Generator,
) -> Floats:
    """Complete grooves of one window or less, by an example's code or by the prior's noise."""
    config, model = checkpoint.config, checkpoint.model
    n_styles, n_drummers = len(config.style_names), len(config.drummer_names)
    condition = condition_features(kept, controls, n_styles, n_drummers)
    context, mu, sigma = model.read(torch.from_numpy(condition))
    if isinstance(code, Example):
        z = code.z
    else:
        z = model.draw_code(mu, sigma, code, torch.from_numpy(kept.kinds()))
    features: Floats = model.complete(
        z,
        context,
        known_of(kept),
        temperature=chance.temperature,
        feel_temperature=chance.feel_temperature,
        generator=generator,
    ).numpy()
    return features
