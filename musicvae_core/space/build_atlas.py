"""Making the atlas of a checkpoint from the train split of a data set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from musicvae_core.attributes import beats_of
from musicvae_core.checkpoint import Checkpoint
from musicvae_core.controls import controls_of, measure_controls
from musicvae_core.dataset import Dataset, Windows
from musicvae_core.latent import encode_features
from musicvae_core.space.atlas import Atlas, Performance
from musicvae_core.space.projection import MIN_CODES, fit_principal, fit_tsne

N_WINDOWS = 4096


def build_atlas(
    checkpoint: Checkpoint, dataset: Dataset, *, n: int = N_WINDOWS, seed: int = 0
) -> Atlas:
    """Encode windows of the train split and lay them out.

    Parameters
    ----------
    checkpoint, dataset
        Whose space, of what music.
    n
        At least so many windows, or all there are: see `spread`.
    seed
        Of the t-SNE map.

    Raises
    ------
    TooFewExamplesError
        If the train split has not windows enough for a map.
    """
    n_bars = checkpoint.config.n_bars
    windows = dataset.windows("train", n_bars, minimum=MIN_CODES)
    some = windows.take(spread(windows.performance, n))
    codes = encode_features(checkpoint, some.features).astype(np.float16).astype(np.float32)
    present, performance = np.unique(some.performance, return_inverse=True)
    return Atlas(
        fingerprint=checkpoint.fingerprint(),
        n_bars=n_bars,
        codes=codes,
        performance=performance.astype(np.int64),
        start_bar=some.start_bar,
        performances=tuple(_performance(some, int(index)) for index in present),
        attributes=_attributes(some.features, checkpoint.config.has_feel),
        principal=fit_principal(codes),
        tsne=fit_tsne(codes, seed),
    )


def spread(performance: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Choose windows so that performances count alike, however long they are.

    Parameters
    ----------
    performance
        (N,): which performance each window is of; those of one stand together.
    n
        How many to choose, at least; all where there are not more.

    Returns
    -------
    Indices in order. Of each performance they are the same number, evenly spaced from its
    first window to its last, or all it has.
    """
    _, firsts, counts = np.unique(performance, return_index=True, return_counts=True)
    each = 1
    while np.minimum(counts, each).sum() < min(n, len(performance)):
        each += 1
    return np.concatenate(
        [
            first + np.rint(np.linspace(0, count - 1, min(count, each))).astype(np.int64)
            for first, count in zip(firsts, counts, strict=True)
        ]
    )


def _performance(windows: Windows, index: int) -> Performance:
    label = windows.labels[index]
    tempo_bpm = float(windows.tempos_bpm[windows.performance == index][0])
    return Performance(label.name, label.style, label.drummer, label.beat_type, tempo_bpm)


def _attributes(features: NDArray[np.float32], has_feel: bool) -> dict[str, NDArray[np.float32]]:
    """Return what can be told of what the model plays of the windows, by the controls' names."""
    names = controls_of(has_feel)
    table = measure_controls(beats_of(features), names).astype(np.float32)
    return dict(zip(names, table.T, strict=True))
