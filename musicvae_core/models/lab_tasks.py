"""Training batches of a groove lab: grooves with parts hidden at random.

Each example has one of these hidden. In half of the examples the first bar is then revealed
again, as happens when a long groove is completed window by window:

- how the notes are played: velocities, offsets, or both;
- some voices, in all bars or only some;
- some beats of all voices, often everything from one beat on;
- everything but taps, some of which are dropped or lose their velocities;
- everything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from musicvae_core.data.windows import Windows, batch_indices
from musicvae_core.models.conditioning import (
    UNKNOWN,
    Conditioning,
    Controls,
    Flags,
    Floats,
    taps_of,
)
from musicvae_core.models.config import LabConfig, TrainConfig, step_seed
from musicvae_core.models.lab import GrooveLab, LabBatch, known_of
from musicvae_core.models.musicvae import elbo_losses, map_batch
from musicvae_core.music.drums import N_VOICES, OFFSET_SCALE
from musicvae_core.music.grid import COMMON_TIME, Grid

_Hiding = Callable[[Floats, np.random.Generator, Grid], Conditioning]
_UNKNOWN_CONTROL = 0.5
"""Share of examples in which density, style or drummer is hidden."""
_VALIDATION_SEED = 1


def hide(features: Floats, rng: np.random.Generator, grid: Grid = COMMON_TIME) -> Conditioning:
    """Hide parts of a batch (B, T, 27), each example in its own way; return the conditioning."""
    kinds = rng.choice(len(_HIDINGS), len(features), p=_SHARES)
    parts = [
        _HIDINGS[kind](one[None], rng, grid) for kind, one in zip(kinds, features, strict=True)
    ]
    names = ("features", "hits", "velocities", "offsets", "taps")
    given = Conditioning(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in names)
    )
    first_bar = np.arange(features.shape[1]) < grid.steps_per_bar
    shown = rng.random((len(features), 1)) < 0.5
    return given.revealing(shown & first_bar)


def _hide_controls(controls: Controls, rng: np.random.Generator) -> Controls:
    """Hide each control in some examples; the tempo is always given."""
    hidden = rng.random((3, len(controls.styles))) < _UNKNOWN_CONTROL
    return Controls(
        controls.tempos_bpm,
        np.where(hidden[0], np.nan, controls.densities).astype(np.float32),
        np.where(hidden[1], UNKNOWN, controls.styles),
        np.where(hidden[2], UNKNOWN, controls.drummers),
    )


def _hide_feel(features: Floats, rng: np.random.Generator, grid: Grid) -> Conditioning:
    given = Conditioning.notes(features)
    what = rng.choice(3, p=[0.7, 0.15, 0.15])
    if what == 1:
        return replace(given, velocities=np.ones_like(given.hits))
    if what == 2:
        return replace(given, offsets=np.ones_like(given.hits))
    return given


def _hide_voices(features: Floats, rng: np.random.Generator, grid: Grid) -> Conditioning:
    given = Conditioning.everything(features)
    voices = rng.random(N_VOICES) < rng.uniform(0.1, 0.9)
    steps = (
        _some_beats(features, rng, grid) if rng.random() < 0.4 else np.ones_like(given.hits[..., 0])
    )
    return _without(given, steps[..., None] & voices, rng)


def _hide_beats(features: Floats, rng: np.random.Generator, grid: Grid) -> Conditioning:
    steps = _some_beats(features, rng, grid)
    return _without(
        Conditioning.everything(features), steps[..., None] & np.ones(N_VOICES, bool), rng
    )


def _hide_all_but_taps(features: Floats, rng: np.random.Generator, grid: Grid) -> Conditioning:
    taps = taps_of(features)
    if rng.random() < 0.2:
        taps = taps * (rng.random((*taps.shape[:2], 1)) > rng.uniform(0, 0.6))
    if rng.random() < 0.4:
        taps = taps * np.array([1, 0, 1], np.float32)
    return replace(Conditioning.nothing(features), taps=taps.astype(np.float32))


def _hide_all(features: Floats, rng: np.random.Generator, grid: Grid) -> Conditioning:
    return Conditioning.nothing(features)


def _some_beats(features: Floats, rng: np.random.Generator, grid: Grid) -> Flags:
    """Return the steps of a random run of beats, half of the time up to the end: (1, T)."""
    n_beats = features.shape[1] // grid.steps_per_beat
    start = rng.integers(0, n_beats)
    end = n_beats if rng.random() < 0.5 else rng.integers(start, n_beats) + 1
    beats = (np.arange(n_beats) >= start) & (np.arange(n_beats) < end)
    return np.repeat(beats, grid.steps_per_beat)[None]


def _without(given: Conditioning, cells: Flags, rng: np.random.Generator) -> Conditioning:
    """Hide cells, and sometimes the feel of the rest as well."""
    shown = given.hits & ~cells
    feel = shown if rng.random() < 0.8 else np.zeros_like(shown)
    return replace(given, hits=shown, velocities=feel, offsets=feel)


_HIDINGS: tuple[_Hiding, ...] = (
    _hide_feel,
    _hide_voices,
    _hide_beats,
    _hide_all_but_taps,
    _hide_all,
)
_SHARES = (0.35, 0.2, 0.2, 0.2, 0.05)


def controls_of_windows(windows: Windows, config: LabConfig) -> Controls:
    """Return the controls of windows: tempo, density, style and drummer."""
    labels = [windows.labels[place] for place in windows.performance]

    def places(names: tuple[str, ...], field: str) -> NDArray[np.int64]:
        known = {name: place for place, name in enumerate(names)}
        return np.array([known.get(getattr(label, field), UNKNOWN) for label in labels], np.int64)

    hits = windows.features[..., :N_VOICES]
    return Controls(
        windows.tempos_bpm,
        hits.sum(axis=(1, 2), dtype=np.float32) / np.float32(hits.shape[1]),
        places(config.style_names, "style"),
        places(config.drummer_names, "drummer"),
    )


def draw_batch(model: GrooveLab, windows: Windows, config: TrainConfig, step: int) -> LabBatch:
    """Return the batch of one training step: windows with parts hidden."""
    chosen = windows.take(batch_indices(step, len(windows), config.batch_size, config.seed))
    rng = np.random.default_rng((config.seed, step))
    controls = controls_of_windows(chosen, model.config)
    played = _change_feel(chosen.features, config.augmentation, rng.spawn(1)[0])
    given, controls = hide(played, rng, model.config.grid), _hide_controls(controls, rng)
    return _make_batch(model, given, controls, config, step_seed(config, step))


def _make_batch(
    model: GrooveLab, given: Conditioning, controls: Controls, config: TrainConfig, seed: int
) -> LabBatch:
    """Return a training batch; `given.features` holds the complete grooves."""
    generator = torch.Generator().manual_seed(seed)
    is_feel = torch.from_numpy(given.hits.all(axis=(1, 2)))
    return LabBatch(
        model.condition(given, controls),
        known_of(given),
        kl_weights=torch.where(is_feel, config.beta_of_feel, 1.0),
        z_noise=torch.randn(len(is_feel), model.config.z_size, generator=generator),
        is_blank=torch.rand(given.hits.shape[:2], generator=generator) < config.word_dropout,
    )


@torch.no_grad()
def measure(model: GrooveLab, windows: Windows, config: TrainConfig) -> dict[str, float]:
    """Return the objective over held-out windows, with the same parts hidden every time.

    `loss` is the total; the other terms are means in nats per example.
    """
    rng = np.random.default_rng(_VALIDATION_SEED)
    given = hide(windows.features, rng, model.config.grid)
    controls = _hide_controls(controls_of_windows(windows, model.config), rng)
    without_dropout = config.replaced(word_dropout=0.0)
    device = next(model.parameters()).device
    batch = _make_batch(model, given, controls, without_dropout, _VALIDATION_SEED)
    losses = elbo_losses(
        model(map_batch(lambda part: part.to(device), batch)),
        batch.kl_weights.to(device),
        beta=config.beta,
        free_bits=0.0,
        feel_weight=config.feel_weight,
    )
    return {
        name.removeprefix("loss/total") or "loss": float(value) for name, value in losses.items()
    }


_SWING, _LATENESS = 0.15, 0.06
"""Standard deviations, in steps, of the random changes of swing and of lateness."""
_LATEST = 0.98
"""The latest offset in model units; the next step begins at 1."""


def _change_feel(
    features: NDArray[np.float32], share: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Return a batch in which a share of the examples has random swing and lateness added.

    Swing moves the hits at odd steps relative to those at even steps; lateness moves all hits
    alike. No hit leaves its step.

    Parameters
    ----------
    features
        (B, T, 27) float32; not changed.
    share
        Probability that an example is altered.
    rng
        Source of randomness.

    Returns
    -------
    (B, T, 27) float32.
    """
    n_examples, n_steps, _ = features.shape
    chosen = rng.random((n_examples, 1)) < share
    swing = chosen * rng.normal(0.0, _SWING, (n_examples, 1))
    lateness = chosen * rng.normal(0.0, _LATENESS, (n_examples, 1))
    by_step = np.array([-0.5, 0.5])[np.arange(n_steps) % 2]  # (T,)
    moves = swing * by_step + lateness  # (B, T), in steps
    result = features.copy()
    is_hit = features[..., :N_VOICES] > 0
    moved = np.clip(result[..., 2 * N_VOICES :] + OFFSET_SCALE * moves[..., None], -1.0, _LATEST)
    result[..., 2 * N_VOICES :] = np.where(is_hit, moved, 0)
    return result
