"""Windows of the data set as the groove lab meets them: with all that may be told of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from musicvae_core.config import LabConfig
from musicvae_core.dataset import Windows
from musicvae_core.kept import UNKNOWN, Controls, Floats
from musicvae_core.vocabulary import N_VOICES


class Examples(NamedTuple):
    """Grooves with all that may be told of them; features is (B, T, 27) float32."""

    features: Floats
    controls: Controls

    def take(self, indices: NDArray[np.int64]) -> Examples:
        """Return the examples at the indices."""
        return Examples(np.asarray(self.features[indices]), self.controls.take(indices))


def examples_of(windows: Windows, config: LabConfig) -> Examples:
    """Return windows with all that may be told of them: tempo, density, style and drummer."""

    def places(names: tuple[str, ...], field: str) -> NDArray[np.int64]:
        known = {name: place for place, name in enumerate(names)}
        of_label = [known.get(getattr(label, field), UNKNOWN) for label in windows.labels]
        return np.array(of_label, np.int64)[windows.performance]

    hits = windows.features[..., :N_VOICES]
    densities = hits.sum(axis=(1, 2), dtype=np.float32) / np.float32(hits.shape[1])
    controls = Controls(
        windows.tempos_bpm,
        densities,
        places(config.style_names, "style"),
        places(config.drummer_names, "drummer"),
    )
    return Examples(windows.features, controls)
