"""Operations on z: drawing it, moving it, and what lies between."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from musicvae_core.checkpoint import Checkpoint
from musicvae_core.codec import groove_to_features
from musicvae_core.errors import ConfigError, GrooveLengthError
from musicvae_core.groove import Groove

PriorName = Literal["learned", "normal"]
MAX_SEED = 2**63 - 1
REFINING = 0.375
"""How far `refine_path` goes back along the flow in the middle. Chosen on the validation split,
so that the cost of what lies between is as level as that of the ends: see `blending`."""

_PARALLEL = 1e-6
_BATCH = 256

Codes = NDArray[np.float32]


def sample_codes(checkpoint: Checkpoint, n: int, prior: PriorName, seed: int) -> Codes:
    """Draw n codes (n, Z) float32.

    Parameters
    ----------
    checkpoint
        Whose latent space to draw from.
    n
        How many.
    prior
        `learned` for the flow fitted to the train split's codes; `normal` for N(0, I), the
        paper's.
    seed
        The same seed gives the same codes, and the first of them whatever n is.

    Raises
    ------
    ConfigError
        If the name is not a prior's, the checkpoint has no learned one, or the seed is
        out of its range.
    """
    if prior not in ("learned", "normal"):
        raise ConfigError(f"There is no prior {prior!r}; choose learned or normal.")
    if not 0 <= seed <= MAX_SEED:
        raise ConfigError(f"The seed is {seed}; it must be 0 to {MAX_SEED}.")
    z_size = checkpoint.config.z_size
    noise = torch.from_numpy(np.random.default_rng(seed).standard_normal((n, z_size), np.float32))
    if prior == "normal":
        return noise.numpy()
    if checkpoint.prior is None:
        raise ConfigError(
            f"The checkpoint {checkpoint.name} has no learned prior; use --prior normal, "
            "or fit one with the fit-prior command."
        )
    codes: Codes = checkpoint.prior.sample(noise).numpy()
    return codes


def encode_grooves(checkpoint: Checkpoint, grooves: Sequence[Groove]) -> Codes:
    """Return the posterior mean of each groove, (n, Z) float32.

    Raises
    ------
    GrooveLengthError
        If one is not as long as the model's own.

    Source: Roberts et al. 2018, section 5.2, moves between posterior means.
    """
    config = checkpoint.config
    for groove in grooves:
        if groove.n_bars != config.n_bars:
            raise GrooveLengthError(
                f"The groove has {groove.n_bars} bars and the model {checkpoint.name} hears "
                f"{config.n_bars}: choose {config.n_bars} of its bars, or repeat it."
            )
    if not grooves:
        return np.zeros((0, config.z_size), np.float32)
    return encode_features(checkpoint, np.stack([groove_to_features(g) for g in grooves]))


def encode_features(checkpoint: Checkpoint, features: NDArray[np.float32]) -> Codes:
    """Return the posterior means (N, Z) float32 of windows (N, T, 27) of the model's length."""
    codes = np.zeros((len(features), checkpoint.config.z_size), np.float32)
    for start in range(0, len(features), _BATCH):
        batch = torch.from_numpy(features[start : start + _BATCH])
        with torch.inference_mode():
            mu, _ = checkpoint.model.encode(batch)
        codes[start : start + _BATCH] = mu.numpy()
    return codes


def nearby_codes(z: Codes, towards: Codes, amount: float) -> Codes:
    """Move a code part of the way to each of others: like it, and still likely.

    Parameters
    ----------
    z
        (Z,).
    towards
        (n, Z) codes of real or sampled music.
    amount
        0 stays at z; 1 arrives at the others.

    Returns
    -------
    (n, Z) float32.
    """
    return np.stack([slerp(z, other, amount) for other in towards])


def refine_path(checkpoint: Checkpoint, codes: Codes, fractions: NDArray[np.floating]) -> Codes:
    """Draw the middle of a path between codes towards those of real music; its ends stay.

    Halfway between two codes lies little that drummers play. The learned prior knows where
    the likely codes are: each code is taken back some way along its flow, the farthest in the
    middle of the path, and carried on again.

    Parameters
    ----------
    checkpoint
        With a learned prior; without one the codes are given back.
    codes
        (n, Z).
    fractions
        (n,) how far along each lies, 0 at the start and 1 at the end.

    Returns
    -------
    (n, Z) float32.
    """
    if checkpoint.prior is None:
        return codes
    time = 1 - REFINING * 4 * fractions * (1 - fractions)
    kept = torch.from_numpy(np.asarray(time, np.float32))
    z = torch.from_numpy(codes)
    refined = torch.where(kept[:, None] < 1, checkpoint.prior.refine(z, kept), z)
    return np.asarray(refined.numpy(), np.float32)


def slerp(start: Codes, end: Codes, fraction: float) -> Codes:
    """Interpolate along the great circle through two codes, and between their lengths.

    Nearly parallel, opposite or zero codes have no such circle and are interpolated in a
    straight line.

    Parameters
    ----------
    start, end
        (Z,).
    fraction
        0 gives start and 1 gives end, exactly.

    Source: Shoemake 1985; Roberts et al. 2018, section 5.2, interpolate posterior means so.
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
