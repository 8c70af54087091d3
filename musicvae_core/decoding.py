"""Decoding: codes to grooves, each by a chance of its own or all by the same."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

from musicvae_core.checkpoint import Checkpoint
from musicvae_core.codec import features_to_groove
from musicvae_core.errors import ConfigError
from musicvae_core.groove import Groove
from musicvae_core.latent import Codes
from musicvae_core.models.heads import CategoricalHead, Noise
from musicvae_core.models.musicvae import MusicVAE
from musicvae_core.vocabulary import MAX_TEMPERATURE


@torch.inference_mode()
def decode_grooves(
    checkpoint: Checkpoint,
    codes: Codes,
    temperature: float,
    tempo_bpm: float,
    seed: int = 0,
    *,
    alike: bool = False,
) -> list[Groove]:
    """Decode codes (n, Z) into as many grooves; `alike` as `decode_alike`.

    Raises
    ------
    ConfigError, InvalidGrooveError
        If the temperature or the tempo is out of its range.
    """
    check_temperature(temperature)
    generator = torch.Generator().manual_seed(seed)
    z = torch.from_numpy(codes)
    if alike:
        features = decode_alike(checkpoint.model, z, temperature, generator)
    else:
        features = checkpoint.model.decode(z, temperature, generator)
    return [features_to_groove(one, tempo_bpm) for one in features.numpy()]


def check_temperature(temperature: float) -> None:
    """Refuse a temperature that is not 0 to 2."""
    if not 0 <= temperature <= MAX_TEMPERATURE:
        raise ConfigError(
            f"The temperature is {temperature:g}; it must lie in 0 to {MAX_TEMPERATURE:g}."
        )


def decode_alike(
    model: MusicVAE, z: Tensor, temperature: float, generator: torch.Generator | None = None
) -> Tensor:
    """Decode z (B, Z) into features (B, T, F), all by the same chance.

    With noise of its own each step of a morph would differ from its neighbours however near
    their codes are; with one noise for all, what changes along the path is the code alone.
    """
    config = model.config
    rows_a_code = config.n_bars if config.conductor_size else 1
    head = cast(CategoricalHead, _OneChance(model.head, rows_a_code))
    features: Tensor = model.decoder.generate(z, head, temperature, generator)
    return features


class _OneChance:
    """A head whose noise is the same for every code; a decoder has some rows for each, in order.

    What is drawn for the first is given again and again: a decoder of many rows takes them in
    parts, which need not end with a code.
    """

    def __init__(self, head: CategoricalHead, rows_a_code: int) -> None:
        self._head, self._rows_a_code, self._n_given = head, rows_a_code, 0
        self._noise: Noise | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._head, name)

    def draw_noise(self, shape: tuple[int, ...], generator: torch.Generator | None = None) -> Noise:
        """Return the noise of the next rows, (T, rows)."""
        n_steps, n_rows = shape
        if self._noise is None:
            self._noise = self._head.draw_noise((n_steps, self._rows_a_code), generator)
        rows = torch.arange(self._n_given, self._n_given + n_rows) % self._rows_a_code
        self._n_given += n_rows
        parts = [None if part is None else part[:, rows] for part in self._noise]
        return Noise(*parts)  # type: ignore[arg-type]  # only the hits are never None
