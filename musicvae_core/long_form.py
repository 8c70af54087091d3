"""Pieces of many bars: each bar decodes from an embedding of its own, and can be changed alone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from musicvae_core.checkpoint import Checkpoint
from musicvae_core.codec import features_to_groove
from musicvae_core.errors import ConfigError
from musicvae_core.groove import Groove
from musicvae_core.latent import Codes, PriorName, encode_grooves, sample_codes, slerp
from musicvae_core.models.decoders import ConductorDecoder
from musicvae_core.morph import MAX_STEPS, MIN_STEPS
from musicvae_core.vocabulary import STEPS_PER_BAR

Embeddings = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Piece:
    """A groove, and what each of its bars was decoded from.

    Parameters
    ----------
    groove
        U bars.
    embeddings
        (U, bar size) float32, the conductor's; they decode to the groove's bars, but for those
        that were played or edited by hand.
    model
        The name of its model.
    seed, temperature
        Of the chance that all bars were drawn by.
    """

    groove: Groove
    embeddings: Embeddings
    model: str
    seed: int
    temperature: float


def sample_piece(
    checkpoint: Checkpoint, model: str, seed: int, temperature: float, tempo_bpm: float
) -> Piece:
    """Draw a piece from the learned prior, or from N(0, I) where there is none.

    `Studio.sample` draws the same for the same seed and prior.

    Raises
    ------
    ConfigError
        If the model has no conductor, or what `latent.sample_codes` raises.
    """
    embeddings = _drawn(checkpoint, seed)
    groove = _decoded(checkpoint, embeddings, seed, temperature, tempo_bpm)
    return Piece(groove, embeddings, model, seed, temperature)


def piece_of(checkpoint: Checkpoint, model: str, groove: Groove, z: Codes | None = None) -> Piece:
    """Take up a groove as a piece, its notes as they are.

    Parameters
    ----------
    checkpoint, model
        The model, and its name.
    groove
        Of the model's length.
    z
        (Z,) where the groove was decoded from this code of the model; else it is encoded.

    Raises
    ------
    ConfigError, GrooveLengthError
        If the model has no conductor, or the groove another length.
    """
    codes = encode_grooves(checkpoint, [groove]) if z is None else z[None]
    [embeddings] = embed(checkpoint, codes)
    return Piece(groove, embeddings, model, 0, 0.0)


def vary_bars(
    checkpoint: Checkpoint, piece: Piece, bars: Collection[int], amount: float, seed: int
) -> Piece:
    """Change some bars of a piece, and hold all others exactly.

    Each bar's embedding moves towards the embedding of the same bar in another piece, drawn
    from the prior: so a bar stays likely where it stands, and bars that change together go
    together. The chance that bars are drawn by stays.

    Parameters
    ----------
    checkpoint
        Of the piece's model.
    piece
        What to change.
    bars
        Which, counted from 0.
    amount
        0 decodes the bars again as they were; 1 takes the other piece's.
    seed
        Which other piece.

    Raises
    ------
    ConfigError
        If there are no such bars, or the amount is out of its range.
    """
    n_bars = piece.groove.n_bars
    if not bars or not set(bars) <= set(range(n_bars)):
        raise ConfigError(
            f"The bars to change are {sorted(bars)}; choose some of 0 to {n_bars - 1}."
        )
    if not 0 <= amount <= 1:
        raise ConfigError(f"The amount is {amount:g}; it must lie in 0 to 1.")
    others = _drawn(checkpoint, seed)
    moved = piece.embeddings.copy()
    for bar in bars:
        moved[bar] = slerp(piece.embeddings[bar], others[bar], amount)
    changed = _decoded(checkpoint, moved, piece.seed, piece.temperature, piece.groove.tempo_bpm)
    return replace(piece, groove=splice(piece.groove, changed, bars), embeddings=moved)


def splice(groove: Groove, other: Groove, bars: Collection[int]) -> Groove:
    """Return a groove with some bars of another of its length in place of its own."""
    chosen = np.isin(np.arange(groove.n_steps) // STEPS_PER_BAR, list(bars))[:, None]
    return Groove(
        np.where(chosen, other.hits, groove.hits),
        np.where(chosen, other.velocities, groove.velocities),
        np.where(chosen, other.offsets, groove.offsets),
        groove.tempo_bpm,
    )


def morph_pieces(
    checkpoint: Checkpoint, start: Piece, end: Piece, n_steps: int
) -> tuple[Piece, ...]:
    """Return pieces on the way from one to another, both included as they are.

    Every bar's embedding moves along the great circle to that of the same bar, and all by the
    chance of the start; tempo and temperature are the start's.

    Parameters
    ----------
    checkpoint
        Of both pieces' model.
    start, end
        The ends.
    n_steps
        3 to 33.

    Raises
    ------
    ConfigError
        If the number of steps is out of its range.
    """
    if not MIN_STEPS <= n_steps <= MAX_STEPS:
        raise ConfigError(f"A morph of {n_steps} steps; it must have {MIN_STEPS} to {MAX_STEPS}.")
    n_bars, fractions = len(start.embeddings), np.linspace(0, 1, n_steps)[1:-1]
    between = [_moved(checkpoint, start, end, np.full(n_bars, fraction)) for fraction in fractions]
    return (start, *between, replace(end, groove=end.groove.at_tempo(start.groove.tempo_bpm)))


def cross_over(checkpoint: Checkpoint, start: Piece, end: Piece) -> Piece:
    """Return one piece whose bars lead from a piece to another, the outermost as they are.

    The first bar is the start's first and the last is the end's last; every bar between lies
    farther along the way from the start's bar to the end's.

    Parameters
    ----------
    checkpoint
        Of both pieces' model.
    start, end
        The ends.
    """
    n_bars = len(start.embeddings)
    moved = _moved(checkpoint, start, end, np.linspace(0, 1, n_bars))
    groove = splice(splice(moved.groove, start.groove, [0]), end.groove, [n_bars - 1])
    return replace(moved, groove=groove)


def _moved(
    checkpoint: Checkpoint, start: Piece, end: Piece, fractions: NDArray[np.float64]
) -> Piece:
    """Return the start with each bar its own fraction (U,) of the way to the end's."""
    ways = zip(start.embeddings, end.embeddings, fractions, strict=True)
    between = np.stack([slerp(a, b, float(fraction)) for a, b, fraction in ways])
    tempo_bpm = start.groove.tempo_bpm
    groove = _decoded(checkpoint, between, start.seed, start.temperature, tempo_bpm)
    return replace(start, groove=groove, embeddings=between)


def _drawn(checkpoint: Checkpoint, seed: int) -> Embeddings:
    prior: PriorName = "normal" if checkpoint.prior is None else "learned"
    embeddings: Embeddings = embed(checkpoint, sample_codes(checkpoint, 1, prior, seed))[0]
    return embeddings


@torch.inference_mode()
def embed(checkpoint: Checkpoint, codes: Codes) -> Embeddings:
    """Return the embeddings of all bars (n, U, bar size) of codes (n, Z).

    Raises
    ------
    ConfigError
        If the model has no conductor.
    """
    embeddings = _conductor(checkpoint).embeddings(torch.from_numpy(codes))
    return np.asarray(embeddings.numpy(), np.float32)


@torch.inference_mode()
def _decoded(
    checkpoint: Checkpoint, embeddings: Embeddings, seed: int, temperature: float, tempo_bpm: float
) -> Groove:
    """Return the groove of embeddings (U, bar size); a seed gives each bar the same chance."""
    generator = torch.Generator().manual_seed(seed)
    bars = torch.from_numpy(embeddings)[None]
    model = checkpoint.model
    features = _conductor(checkpoint).generate_bars(bars, model.head, temperature, generator)
    return features_to_groove(features[0].numpy(), tempo_bpm)


def _conductor(checkpoint: Checkpoint) -> ConductorDecoder:
    decoder = checkpoint.model.decoder
    if not isinstance(decoder, ConductorDecoder):
        raise ConfigError(
            f"The model {checkpoint.name} has no conductor, so its bars cannot be changed alone; "
            "choose a hierarchical one."
        )
    return decoder
