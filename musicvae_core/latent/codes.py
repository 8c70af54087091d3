"""Operations on latent codes z: sampling, encoding, interpolation and decoding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from musicvae_core.errors import ConfigError, InvalidMusicError
from musicvae_core.latent.atlas import Atlas
from musicvae_core.models.checkpoint import Checkpoint
from musicvae_core.models.config import MAX_TEMPERATURE
from musicvae_core.models.kinds import kind_of
from musicvae_core.music.forms import FORMS, Music, form_of

PriorName = Literal["learned", "normal"]
_MAX_SEED = 2**63 - 1
_REFINING = 0.375
"""How far `refine_path` goes back along the flow in the middle of a path. Chosen on the
validation split, so that the cost along the path is as even as at its ends: see `blending`."""

_KEPT = 0.5
"""How much of a window's code `sample_codes_like` keeps: at 0.3 the style is lost, at 0.7 little
is new."""
_NEAREST = 48
"""`sample_codes_like` starts from some of this many windows nearest to the density asked for."""
_PARALLEL = 1e-6
_BATCH = 256

Codes = NDArray[np.float32]


def sample_codes(checkpoint: Checkpoint, n: int, prior: PriorName, seed: int) -> Codes:
    """Draw n codes (n, Z) float32.

    Parameters
    ----------
    checkpoint
        The model whose latent space to sample.
    n
        How many.
    prior
        `learned` for what was fitted to the train split: the model of its notes, whose music is
        encoded, or else the flow of its codes; `normal` for N(0, I), as in the paper.
    seed
        The same seed gives the same codes; a larger n only adds more.

    Raises
    ------
    ConfigError
        If there is no such prior, the checkpoint has no learned one, or the seed is out of
        range.
    """
    if prior not in ("learned", "normal"):
        raise ConfigError(f"There is no prior {prior!r}; choose learned or normal.")
    if not 0 <= seed <= _MAX_SEED:
        raise ConfigError(f"The seed is {seed}; it must be 0 to {_MAX_SEED}.")
    rng = np.random.default_rng(seed)
    if prior == "learned" and checkpoint.notes is not None:
        drawn = checkpoint.notes.sample(_noise(rng, n, checkpoint.notes.noise_size))
        return encode_features(checkpoint, checkpoint.notes.to_features(drawn).numpy())
    noise = _noise(rng, n, checkpoint.config.z_size)
    if prior == "normal":
        return noise.numpy()
    if checkpoint.prior is None:
        raise ConfigError(
            f"The checkpoint {checkpoint.name} has no learned prior; use --prior normal, "
            "or fit one with the fit-prior command."
        )
    codes: Codes = checkpoint.prior.sample(noise).numpy()
    return codes


def _noise(rng: np.random.Generator, n: int, size: int) -> torch.Tensor:
    return torch.from_numpy(rng.standard_normal((n, size), np.float32))


def sample_codes_like(
    checkpoint: Checkpoint,
    atlas: Atlas,
    n: int,
    style: str | None = None,
    busy: float | None = None,
    seed: int = 0,
) -> Codes:
    """Draw n new codes (n, Z) in a given style, or with a given density of notes.

    Each starts from a real window that matches: its code is moved halfway back to noise, and the
    prior carries it forward again. On `groove_2bar`, a classifier trained on other drummers'
    windows recognises the style as often as in real windows, while the new codes lie half as
    far from their window as windows lie from one another.

    Parameters
    ----------
    checkpoint, atlas
        The model, with a learned prior, and its windows.
    n
        How many.
    style
        One of `atlas.styles`; None for any.
    busy
        Note density, as the share of all windows that have fewer notes, 0 to 1; None for any.
    seed
        The same seed gives the same codes; a larger n only adds more.

    Raises
    ------
    ConfigError
        If there is no such style, `busy` is out of range, or the prior is missing.

    Source: Meng et al. 2022 (SDEdit, arXiv 2108.01073), section 3, here along a flow.
    """
    if checkpoint.prior is None:
        raise ConfigError(f"The checkpoint {checkpoint.name} has no learned prior.")
    windows = _windows_like(atlas, style, busy)
    choices, noises = np.random.default_rng(seed).spawn(2)
    start = atlas.codes[np.resize(choices.permutation(windows), n)]
    noise = noises.standard_normal(start.shape, np.float32)
    z, time = torch.from_numpy(start), torch.full((n,), _KEPT)
    redrawn = checkpoint.prior.redraw(
        z, torch.ones_like(z, dtype=torch.bool), torch.from_numpy(noise), time
    )
    return np.asarray(redrawn.numpy(), np.float32)


def _windows_like(atlas: Atlas, style: str | None, busy: float | None) -> NDArray[np.int64]:
    """Return the windows of a style; with `busy`, only those nearest to that density."""
    if style is not None and style not in atlas.styles:
        raise ConfigError(f"There is no style {style!r}; choose one of {', '.join(atlas.styles)}.")
    windows = np.arange(len(atlas)) if style is None else atlas.windows_of(style)
    if busy is None:
        return windows
    if not 0 <= busy <= 1:
        raise ConfigError(f"The value of busy is {busy:g}; it must lie in 0 to 1.")
    density = atlas.density
    far = np.abs(density[windows] - np.quantile(density, busy))
    return windows[np.argsort(far, kind="stable")[:_NEAREST]]


def encode_music(checkpoint: Checkpoint, music: Sequence[Music]) -> Codes:
    """Return the posterior mean of each piece of music, (n, Z) float32.

    Raises
    ------
    ConfigError
        If the model plays another form of music.
    InvalidMusicError
        If the music does not have the model's length, or a line has pitches outside the
        model's range.
    GridError
        If the music is on a different grid from the model's.

    Source: Roberts et al. 2018, section 5.2, interpolate between posterior means.
    """
    config = checkpoint.config
    for one in music:
        _check_form(checkpoint, one)
        if one.n_bars != config.n_bars:
            bars = "1 bar" if one.n_bars == 1 else f"{one.n_bars} bars"
            raise InvalidMusicError(
                f"The {form_of(one).noun} has {bars} and the model {checkpoint.name} "
                f"takes {config.n_bars}: choose {config.n_bars} of its bars, or repeat it."
            )
    if not music:
        return np.zeros((0, config.z_size), np.float32)
    return encode_features(checkpoint, np.stack([checkpoint.to_features(one) for one in music]))


def _check_form(checkpoint: Checkpoint, music: Music) -> None:
    plays, form = FORMS[kind_of(checkpoint.config).plays], form_of(music)
    if plays is not form:
        raise ConfigError(
            f"The model {checkpoint.name} plays a {plays.noun}, and this is a {form.noun}: "
            "choose another model."
        )


def encode_features(checkpoint: Checkpoint, features: NDArray[np.float32]) -> Codes:
    """Return the posterior means (N, Z) float32 of windows (N, T, F) of the model's length."""
    codes = np.zeros((len(features), checkpoint.config.z_size), np.float32)
    for start in range(0, len(features), _BATCH):
        batch = torch.from_numpy(features[start : start + _BATCH])
        with torch.inference_mode():
            mu, _ = checkpoint.model.encode(batch)
        codes[start : start + _BATCH] = mu.numpy()
    return codes


def refine_path(checkpoint: Checkpoint, codes: Codes, fractions: NDArray[np.floating]) -> Codes:
    """Pull the middle of a path towards the codes of real music; its ends stay fixed.

    Halfway between two codes lies little that a drummer would play, but the learned prior knows
    where the likely codes are. Each code is moved back along the prior's flow, farthest in the
    middle of the path, and then forward again.

    Parameters
    ----------
    checkpoint
        The model; without a learned prior, the codes are returned unchanged.
    codes
        (n, Z).
    fractions
        (n,) position of each code along the path, 0 at the start and 1 at the end.

    Returns
    -------
    (n, Z) float32.
    """
    if checkpoint.prior is None:
        return codes
    time = 1 - _REFINING * 4 * fractions * (1 - fractions)
    kept = torch.from_numpy(np.asarray(time, np.float32))
    z = torch.from_numpy(codes)
    refined = torch.where(kept[:, None] < 1, checkpoint.prior.refine(z, kept), z)
    return np.asarray(refined.numpy(), np.float32)


def slerp(start: Codes, end: Codes, fraction: float) -> Codes:
    """Spherical interpolation: along the great circle between two codes, and between their norms.

    Codes that are nearly parallel, opposite or zero define no such circle and are interpolated
    linearly.

    Parameters
    ----------
    start, end
        (Z,).
    fraction
        0 gives exactly the start, 1 exactly the end.

    Source: Shoemake 1985; Roberts et al. 2018, section 5.2, use it between posterior means.
    """
    a, b = start.astype(np.float64), end.astype(np.float64)  # float32 blurs opposite codes
    lengths = np.linalg.norm(a) * np.linalg.norm(b)
    cosine = float(np.dot(a, b) / lengths) if lengths > 0 else 1.0
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    if fraction in (0.0, 1.0) or np.sin(angle) < _PARALLEL:
        weights = (1 - fraction, fraction)
    else:
        weights = tuple(np.sin(np.array([1 - fraction, fraction]) * angle) / np.sin(angle))
    return np.asarray(weights[0] * a + weights[1] * b, np.float32)


@torch.inference_mode()
def decode_music(
    checkpoint: Checkpoint,
    codes: Codes,
    temperature: float,
    tempo_bpm: float,
    seed: int = 0,
    *,
    share_noise: bool = False,
) -> list[Any]:
    """Decode each code of (n, Z) into the music that the model plays.

    With `share_noise`, every code is decoded with the same noise; see `MusicVAE.decode`.

    Raises
    ------
    ConfigError, InvalidMusicError
        If the temperature or the tempo is out of range.
    """
    check_temperature(temperature)
    generator = torch.Generator().manual_seed(seed)
    z = torch.from_numpy(codes)
    features = checkpoint.model.decode(z, temperature, generator, share_noise)
    return [checkpoint.to_music(one, tempo_bpm) for one in features.numpy()]


def check_temperature(temperature: float) -> None:
    """Raise `ConfigError` unless the temperature is 0 to 2."""
    if not 0 <= temperature <= MAX_TEMPERATURE:
        raise ConfigError(
            f"The temperature is {temperature:g}; it must lie in 0 to {MAX_TEMPERATURE:g}."
        )


MIN_STEPS, MAX_STEPS = 3, 33
