"""Steering: moving z until the decoded groove's measured attributes reach their targets.

The corrected attribute vectors predict how z should move, but the decoder is not linear. So
candidates are decoded and measured, the linear model is updated with the measurements, and the
search continues from the best candidate. It is deterministic and needs only the decoder and a
few small matrix products: one query decodes nine batches of 24 grooves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from musicvae_core.errors import ConfigError
from musicvae_core.latent.attribute_vectors import AttributeVectors
from musicvae_core.latent.results import SteeredTake, Take
from musicvae_core.models.checkpoint import Checkpoint
from musicvae_core.models.kinds import kind_of
from musicvae_core.music.forms import Music

_Array = NDArray[np.float64]
_Features = NDArray[np.float32]

_SET_WEIGHT = 5.0
"""Weight of a miss, in standard deviations, of an attribute that is set; 1 for one that is held."""
_BOUND_WEIGHTS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "step_density": {
            "step_density": 6.0,
            "snare_activity": 1.8,
            "hat_activity": 1.6,
            "sixteenth_syncopation": 1.3,
        },
        "snare_activity": {"step_density": 2.0},
        "fill_ness": {"fill_ness": 9.0, "hat_activity": 5.0, "open_hat_share": 3.0},
    }
)
"""Weights that rise when an attribute is set: its own, and those of the attributes it depends on.

Without them, the related attributes move by up to half as much as the one that is set: fill-ness
needs beats that leave out the hi-hat, for example. The weights were chosen on the validation
split to keep that below a third.
"""
_MOVE_WEIGHT = 0.002
"""Weight of squared Mahalanobis distance relative to squared misses."""

_N_ROUNDS = 9
_OVERSHOOT = 2.0
"""How far `look_ahead` goes beyond the vectors' prediction, which overestimates the change."""
_DAMPINGS = (0.1, 0.5, 3.0, 15.0)
_FIRST_STRENGTHS = (0.6, 1.0, 1.5, 2.2, 3.5, 5.5)
"""Mostly above 1, because hits appear only once z has moved past a threshold."""
_STRENGTHS = (0.4, 1.0, 1.6)
_JITTERS = (0.5, 0.5, 0.5)
"""Standard deviations of random changes to the candidates' goals, for exploration."""
_STRAY = 0.3
"""Size of random moves along each further direction, to learn its effect."""
_SAME = 1e-3
"""Further directions shorter than this fraction of the longest vector are ignored."""
_JITTER_SEED = 7
_TRUST = 1.0
"""Squared Mahalanobis length below which a move's measured effect is trusted less."""
_BATCH = 256


@dataclass(frozen=True, eq=False)
class Steered:
    """The results of steering n codes.

    Parameters
    ----------
    codes
        (n, Z) float32.
    features
        (n, T, F) float32: the codes decoded at temperature 0.
    before, after
        (n, K): the attributes measured before and after, in their own units.
    """

    codes: NDArray[np.float32]
    features: _Features
    before: _Array
    after: _Array


def steer_take(
    checkpoint: Checkpoint,
    vectors: AttributeVectors,
    model: str,
    z: NDArray[np.float32],
    targets: Mapping[str, float],
    styles: Mapping[str, float],
    tempo_bpm: float,
) -> SteeredTake:
    """Move one code (Z,) until its groove's attributes reach their targets; see `Studio.steer`.

    Raises
    ------
    ConfigError
        If the model has no such attribute or label.
    """
    unknown = {*targets, *styles} - {*vectors.controls, *vectors.labels}
    if unknown:
        raise ConfigError(f"{model} cannot be steered by {', '.join(sorted(unknown))}.")
    start = vectors.styled(z[None], styles).astype(np.float32)
    goal = np.array([[targets.get(name, np.nan) for name in vectors.controls]])
    found = steer(checkpoint, vectors, start, goal)
    take = Take(checkpoint.to_music(found.features[0], tempo_bpm), found.codes[0], model, 0, 0.0)
    before, after = (
        dict(zip(vectors.controls, map(float, values[0]), strict=True))
        for values in (found.before, found.after)
    )
    return SteeredTake(take, before, after)


def look_ahead(
    checkpoint: Checkpoint,
    vectors: AttributeVectors,
    z: NDArray[np.float32],
    n_positions: int,
    tempo_bpm: float,
) -> dict[str, tuple[tuple[float, Music], ...]]:
    """Decode a code (Z,) moved along each attribute's vector, without a search.

    This lets a slider respond while it is being dragged. For each attribute it returns up to
    `n_positions` pieces of music with their measured values of that attribute, in ascending
    order. They cover `vectors.lowest` to `vectors.highest` as far as a single vector reaches.
    """
    names = vectors.controls
    [here] = measured(checkpoint, vectors, decode_codes(checkpoint, z[None]))
    ways = _OVERSHOOT * (np.stack([vectors.lowest, vectors.highest]) - here) / vectors.deviations
    strengths = np.linspace(np.minimum(ways[0], 0), np.maximum(ways[1], 0), n_positions)
    codes = z + strengths[..., None] * vectors.corrected  # (n, K, Z)
    features = decode_codes(checkpoint, codes.reshape(-1, z.size).astype(np.float32))
    values = measured(checkpoint, vectors, features)
    ahead: dict[str, tuple[tuple[float, Music], ...]] = {}
    for at, name in enumerate(names):
        rows = range(at, len(features), len(names))
        by_value = {float(values[row, at]): row for row in rows}
        ahead[name] = tuple(
            (value, checkpoint.to_music(features[by_value[value]], tempo_bpm))
            for value in sorted(by_value)
        )
    return ahead


def measured(checkpoint: Checkpoint, vectors: AttributeVectors, features: _Features) -> _Array:
    """Measure the attributes `vectors.controls` of features (n, T, F): (n, K)."""
    attributes = kind_of(checkpoint.config).attributes(features, checkpoint.config)
    return np.stack([attributes[name] for name in vectors.controls], axis=1)


def steer(
    checkpoint: Checkpoint, vectors: AttributeVectors, codes: NDArray[np.float32], targets: _Array
) -> Steered:
    """Move codes so that some attributes reach target values while the others stay.

    Parameters
    ----------
    checkpoint, vectors
        The model and its vectors.
    codes
        (n, Z): where to start.
    targets
        (n, K): target value of each of `vectors.controls`, in its own unit; NaN for one that
        should stay as it is.

    Returns
    -------
    The best candidates, decoded at temperature 0. The cost of a candidate is the sum of its
    squared misses, in standard deviations and weighted by `weights_of`, plus `_MOVE_WEIGHT`
    times the squared Mahalanobis length of its move.

    The search space is spanned by the corrected, plain and style vectors. The corrected vectors
    alone are only as many as the attributes, which would leave no choice among grooves with
    the same measurements.

    Source: our own. The rounds are Levenberg-Marquardt steps; the Jacobian starts as that of
    the corrected vectors and is updated from all candidates as in Broyden 1965.
    """

    def decode(z: _Array) -> tuple[_Array, _Features]:
        features = decode_codes(checkpoint, z.astype(np.float32))
        return measured(checkpoint, vectors, features), features

    before, features = decode(codes.astype(np.float64))
    is_set = ~np.isnan(targets)
    if not is_set.any():
        return Steered(codes, features, before, before)
    search = _Search(vectors, codes, features, before, np.where(is_set, targets, before), is_set)
    for number in range(_N_ROUNDS):
        search.advance(search.proposals(is_first=number == 0), decode)
    after = search.measured * vectors.deviations
    return Steered(search.codes(search.at).astype(np.float32), search.features, before, after)


def weights_of(controls: Sequence[str], is_set: NDArray[np.bool_]) -> _Array:
    """Return the weight (n, K) of a miss of each attribute, given which are set (n, K).

    It is 1 for an attribute that is held, `_SET_WEIGHT` for one that is set, or more where
    `_BOUND_WEIGHTS` says so.
    """
    weights = np.where(is_set, _SET_WEIGHT, 1.0)
    places = {name: at for at, name in enumerate(controls)}
    for name in _BOUND_WEIGHTS.keys() & places:
        rows = is_set[:, places[name]]
        for other in _BOUND_WEIGHTS[name].keys() & places:
            at = places[other]
            weights[rows, at] = np.maximum(weights[rows, at], _BOUND_WEIGHTS[name][other])
    return weights


@torch.inference_mode()
def decode_codes(checkpoint: Checkpoint, codes: NDArray[np.float32]) -> _Features:
    """Decode codes (n, Z) at temperature 0 into features (n, T, F)."""
    parts = torch.split(torch.from_numpy(codes), _BATCH)
    return torch.cat([checkpoint.model.decode(part, 0.0) for part in parts]).numpy()


class _Search:
    """The state of the search for n codes: the best candidates so far, and the Jacobian.

    Moves are (n, M) coordinates along M directions. The first K span the corrected vectors,
    scaled so that length is Mahalanobis length. The rest are the directions of `_beyond`, with
    lengths under N(0, I); the Jacobian starts as zero for them. Attributes are in standard
    deviations.
    """

    def __init__(
        self,
        vectors: AttributeVectors,
        codes: NDArray[np.float32],
        features: _Features,
        before: _Array,
        goals: _Array,
        is_set: NDArray[np.bool_],
    ) -> None:
        # metric = L L': with w = L'^-1 move, w @ corrected has the move's length.
        triangle = np.linalg.inv(np.linalg.cholesky(vectors.metric))
        n, size = goals.shape
        further = _beyond(vectors)
        self._start = codes.astype(np.float64)
        self._basis: _Array = np.concatenate([triangle @ vectors.corrected, further])
        self._deviations, self._goals = vectors.deviations, goals / vectors.deviations
        self._weights = weights_of(vectors.controls, is_set)
        known = np.concatenate([triangle.T, np.zeros((size, len(further)))], axis=1)
        self._jacobian = np.broadcast_to(known, (n, *known.shape)).copy()
        self._strays = np.repeat([0.0, _STRAY], [size, len(further)])
        self._random = np.random.default_rng(_JITTER_SEED)
        self.at, self.features = np.zeros((n, len(self._basis))), features
        self.measured = before / vectors.deviations
        self._cost = self._costs(self.at[:, None], self.measured[:, None])[:, 0]

    def codes(self, moves: _Array) -> _Array:
        """Return the codes (n, ..., Z) that moves (n, ..., M) lead to."""
        start = self._start.reshape(len(self._start), *(1,) * (moves.ndim - 2), -1)
        return np.asarray(start + moves @ self._basis)

    def _costs(self, moves: _Array, measured: _Array) -> _Array:
        """Return the costs of (n, m) candidates; see `steer`."""
        misses = self._weights[:, None] * (measured - self._goals[:, None])
        return np.asarray((misses**2).sum(-1) + _MOVE_WEIGHT * (moves**2).sum(-1))

    def proposals(self, *, is_first: bool) -> _Array:
        """Return the moves to try next, (n, m, M)."""
        weighted = self._jacobian * self._weights[:, :, None]
        square = weighted.transpose(0, 2, 1) @ weighted
        missing = self._goals - self.measured
        strengths = _FIRST_STRENGTHS if is_first else _STRENGTHS
        moves = []
        for damping in _DAMPINGS:
            goals = [strength * missing for strength in strengths]
            if not is_first:
                goals += [missing + jitter * self._noise(missing.shape[1]) for jitter in _JITTERS]
            wanted = np.stack(goals, axis=-1) * self._weights[:, :, None]  # (n, K, goals)
            damped = square + damping * np.eye(square.shape[-1])
            steps = np.linalg.solve(damped, weighted.transpose(0, 2, 1) @ wanted)
            stray = self._strays * self._noise(wanted.shape[-1], len(self._strays))
            moves.append(self.at[:, None] + steps.transpose(0, 2, 1) + stray)
        return np.concatenate(moves, axis=1)

    def _noise(self, *shape: int) -> _Array:
        return np.asarray(self._random.standard_normal(shape))

    def advance(self, moves: _Array, decode: Callable[[_Array], tuple[_Array, _Features]]) -> None:
        """Decode candidates (n, m, M), update the Jacobian, and keep the best."""
        n, m, _ = moves.shape
        measured, features = decode(self.codes(moves).reshape(n * m, -1))
        seen = measured.reshape(n, m, -1) / self._deviations
        self._learn(moves - self.at[:, None], seen - self.measured[:, None])
        costs = self._costs(moves, seen)
        rows, best = np.arange(n), costs.argmin(axis=1)
        better = costs[rows, best] < self._cost
        self._cost = np.where(better, costs[rows, best], self._cost)
        self.at = np.where(better[:, None], moves[rows, best], self.at)
        self.measured = np.where(better[:, None], seen[rows, best], self.measured)
        chosen = features.reshape(n, m, *features.shape[1:])[rows, best]
        self.features = np.where(better[:, None, None], chosen, self.features)

    def _learn(self, moves: _Array, changes: _Array) -> None:
        """Fit the Jacobian to the measured changes of (n, m) moves, changing it least."""
        surprises = changes - moves @ self._jacobian.transpose(0, 2, 1)
        alike = moves @ moves.transpose(0, 2, 1) + _TRUST * np.eye(moves.shape[1])
        self._jacobian += np.linalg.solve(alike, surprises).transpose(0, 2, 1) @ moves


def _beyond(vectors: AttributeVectors) -> _Array:
    """Return orthonormal directions (M - K, Z) orthogonal to the corrected vectors.

    They span what remains of the plain and style vectors: how drummers differ.
    """
    reached = np.linalg.qr(vectors.corrected.T)[0]  # (Z, K)
    others = np.concatenate([vectors.plain, vectors.styles])
    _, lengths, directions = np.linalg.svd(
        others - others @ reached @ reached.T, full_matrices=False
    )
    is_new = lengths > _SAME * np.linalg.norm(others, axis=1).max(initial=0.0)
    return np.asarray(directions[is_new])
