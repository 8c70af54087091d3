"""An untrained groove lab, and grooves of every length to put into it."""

import functools

import numpy as np
import torch
from tiny_data import random_groove

from musicvae_core.lab.tools import Lab
from musicvae_core.models.checkpoint import Checkpoint, LabCheckpoint
from musicvae_core.models.presets import preset
from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.groove import Groove

N_BARS = (1, 2, 3, 4, 5, 6, 9)
"""Of a window's length, shorter, longer, and no multiple of it."""


@functools.cache
def tiny_checkpoint() -> LabCheckpoint:
    torch.manual_seed(5)
    checkpoint = Checkpoint.new(preset("groove_lab_tiny"))
    checkpoint.model.eval()
    return checkpoint


@functools.cache
def tiny_lab() -> Lab:
    return Lab(tiny_checkpoint())


def any_groove(seed: int) -> Groove:
    """Return a groove of any length, tempo and density, its first hits before the beat."""
    rng = np.random.default_rng(seed)
    groove = random_groove(rng, int(rng.choice(N_BARS)), float(rng.uniform(40, 240)))
    hits = groove.hits | (rng.random(groove.hits.shape) < rng.choice([0.0, 0.3, 0.9]))
    hits[0] = True
    velocities = np.where(groove.hits, groove.velocities, 0.5)
    offsets = np.array(groove.offsets)
    offsets[0] = rng.uniform(-0.5, -0.1, N_VOICES)
    return Groove.from_hits(hits, velocities, offsets, groove.tempo_bpm)


def cells_of(groove: Groove, voices, bars) -> np.ndarray:
    """Return which cells (T, 9) belong to some voices of some bars."""
    cells, steps = np.zeros(groove.hits.shape, bool), groove.grid.steps_per_bar
    for bar in bars:
        cells[bar * steps : (bar + 1) * steps, list(voices)] = True
    return cells


def differing(one: Groove, other: Groove) -> np.ndarray:
    """Return the cells (T, 9) in which two grooves of one length are not exactly equal."""
    return (
        (one.hits != other.hits)
        | (one.velocities != other.velocities)
        | (one.offsets != other.offsets)
    )
