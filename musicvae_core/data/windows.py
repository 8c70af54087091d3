"""Windows of drums and their augmentation, and the protocols of windows of any form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.grid import COMMON_TIME, Grid

Split = Literal["train", "validation", "test"]

SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Label:
    """The metadata of one file: its split and what was played.

    `name` is its path inside the data set; `beat_type` is `beat`, `fill` or empty.
    """

    name: str
    split: Split
    drummer: str = ""
    style: str = ""
    beat_type: str = ""
    metre: str = "4-4"


@dataclass(frozen=True)
class Windows:
    """Sequences of equal length, cut from performances one bar apart.

    Parameters
    ----------
    features
        (N, T, 27) float32, see `music.drums`; an array, or rows of a file.
    tempos_bpm
        (N,) float32.
    performance
        (N,) int64: the index in `labels` of each window's performance.
    start_bar
        (N,) int64: the first bar of each window.
    labels
        One for each performance of the split.
    grid
        The grid of all windows.
    """

    features: NDArray[np.float32]
    tempos_bpm: NDArray[np.float32]
    performance: NDArray[np.int64]
    start_bar: NDArray[np.int64]
    labels: tuple[Label, ...]
    grid: Grid = COMMON_TIME

    def __len__(self) -> int:
        return len(self.features)

    def batch(
        self, step: int, batch_size: int, *, augmentation: float, seed: int
    ) -> NDArray[np.float32]:
        """Return the features (B, T, 27) for a training step.

        Each epoch is one permutation; `augmentation` is the share of examples that are recombined.
        Both are determined by seed and step.
        """
        chosen = batch_indices(step, len(self), batch_size, seed)
        rng = np.random.default_rng((seed, step))
        return augment(self.features[chosen], augmentation, rng, self.grid)

    def varied(self, seed: int) -> Windows:
        """Return the windows, each recombined with others; see `augment`."""
        rng = np.random.default_rng((seed, 2))
        return replace(self, features=augment(self.features[:], 1.0, rng, self.grid))

    def take(self, indices: NDArray[np.floating] | NDArray[np.integer]) -> Windows:
        """Return the windows at these indices, which are rounded down."""
        chosen = indices.astype(np.int64)
        arrays = ("features", "tempos_bpm", "performance", "start_bar")
        return replace(self, **{name: getattr(self, name)[chosen] for name in arrays})


class _FeatureRows(Protocol):
    """Windows as model features, (N, T, F) float32, possibly computed on demand."""

    def __len__(self) -> int:
        """Return N."""

    def __getitem__(self, index: slice) -> NDArray[np.float32]:
        """Return the features of some windows."""


class AnyWindows(Protocol):
    """What training needs from windows of any form."""

    @property
    def tempos_bpm(self) -> NDArray[np.float32]:
        """(N,) float32."""

    @property
    def features(self) -> _FeatureRows:
        """The windows as model features."""

    def __len__(self) -> int:
        """Return the number of windows."""

    def take(self, indices: NDArray[np.floating] | NDArray[np.integer]) -> Self:
        """Return the windows at these indices."""

    def batch(
        self, step: int, batch_size: int, *, augmentation: float, seed: int
    ) -> NDArray[np.float32]:
        """Return the features (B, T, F) for a training step."""

    def varied(self, seed: int) -> Self:
        """Return the windows, each changed as training changes them."""


_WindowsT_co = TypeVar("_WindowsT_co", bound=AnyWindows, covariant=True)


class WindowSource(Protocol[_WindowsT_co]):
    """A data set that windows are cut from."""

    def windows(
        self, split: Split, n_bars: int, minimum: int = 1, shortest_bars: int = 0
    ) -> _WindowsT_co:
        """Cut a split into windows of `n_bars` bars."""


def batch_indices(step: int, n_examples: int, batch_size: int, seed: int) -> NDArray[np.int64]:
    """Return the indices of a step's batch; each epoch is one seeded permutation."""
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    epochs, places = np.divmod(positions, n_examples)
    indices = np.empty(len(positions), np.int64)
    for epoch in np.unique(epochs):
        order = _order(seed, int(epoch), n_examples)
        indices[epochs == epoch] = order[places[epochs == epoch]]
    return indices


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, n_examples: int) -> NDArray[np.int64]:
    """Return the order of the examples in an epoch, computed once for all its steps."""
    order = np.random.default_rng((seed, 1, epoch)).permutation(n_examples)
    order.flags.writeable = False
    return order


_MAX_DROPPED = 0.5


def augment(
    features: NDArray[np.float32],
    share: float,
    rng: np.random.Generator,
    grid: Grid = COMMON_TIME,
) -> NDArray[np.float32]:
    """Return a batch with a share of its examples recombined, to reduce overfitting.

    Each altered example consists of whole voices, bars or beats that a drummer played, so that
    rhythm and feel stay real: some of its voices or bars come from another window, or it is rotated
    by whole beats and some of its hits are dropped.

    Parameters
    ----------
    features
        (B, T, F) float32 with F = 9 or 27, T whole bars; not changed.
    share
        Probability that an example is altered.
    rng
        Source of randomness.
    grid
        The grid of the features.

    Returns
    -------
    (B, T, F) float32.
    """
    kinds = np.where(rng.random(len(features)) < share, rng.integers(1, 4, len(features)), 0)
    others = features[rng.permutation(len(features))]
    result = features.copy()
    for kind, change in enumerate((_swap_voices, _swap_bars, _rotate_and_thin), start=1):
        chosen = kinds == kind
        if chosen.any():
            result[chosen] = change(features[chosen], others[chosen], rng, grid)
    return result


def _swap_voices(
    features: NDArray[np.float32],
    others: NDArray[np.float32],
    rng: np.random.Generator,
    grid: Grid,
) -> NDArray[np.float32]:
    swapped = rng.random((len(features), N_VOICES)) < 0.5
    every_part = np.tile(swapped, features.shape[-1] // N_VOICES)  # (B, F)
    return np.where(every_part[:, None, :], others, features)


def _swap_bars(
    features: NDArray[np.float32],
    others: NDArray[np.float32],
    rng: np.random.Generator,
    grid: Grid,
) -> NDArray[np.float32]:
    n_bars = features.shape[1] // grid.steps_per_bar
    swapped = np.repeat(rng.random((len(features), n_bars)) < 0.5, grid.steps_per_bar, axis=1)
    return np.where(swapped[:, :, None], others, features)


def _rotate_and_thin(
    features: NDArray[np.float32],
    others: NDArray[np.float32],
    rng: np.random.Generator,
    grid: Grid,
) -> NDArray[np.float32]:
    n_examples, n_steps, n_features = features.shape
    beats = rng.integers(0, n_steps // grid.steps_per_beat, n_examples)
    steps = (np.arange(n_steps) + grid.steps_per_beat * beats[:, None]) % n_steps  # (B, T)
    turned = np.take_along_axis(features, steps[:, :, None], axis=1)
    dropped = rng.random((n_examples, n_steps, N_VOICES))
    kept = dropped >= rng.uniform(0, _MAX_DROPPED, (n_examples, 1, 1))
    return turned * np.tile(kept, n_features // N_VOICES)
