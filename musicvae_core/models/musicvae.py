"""MusicVAE: encode, reparameterise, decode; no losses."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor, nn

from musicvae_core.config import ModelConfig
from musicvae_core.models.decoders import ConductorDecoder, FlatDecoder
from musicvae_core.models.encoder import BidirectionalEncoder, HierarchicalEncoder
from musicvae_core.models.free_running import product_dtype
from musicvae_core.models.heads import CategoricalHead, GrooveHead


class MusicVAE(nn.Module):
    """A recurrent variational autoencoder of drum sequences.

    Source: Roberts et al. 2018; the parts are described in their own classes.

    Parameters
    ----------
    config
        Dimensions and kind of the parts.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.head: CategoricalHead
        if config.has_feel:
            self.head = GrooveHead(config.decoder_size, config.feel_size, config.n_mixtures)
        else:
            self.head = CategoricalHead(config.decoder_size)
        n_features = self.head.n_features
        self.encoder = _encoder(config, n_features)
        self.decoder = _decoder(config, n_features)

    @property
    def n_features(self) -> int:
        """Features a step that this model hears: 27 with feel, else the 9 hits."""
        return self.head.n_features

    def encode(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and sigma, each (B, Z) float32, of features (B, T, F or more).

        Without gradients it multiplies as `free_running.product_dtype` says; that costs the
        free-running accuracy of the shipped models 0.0001 on the test split.
        """
        dtype = product_dtype(len(features), features.device)
        is_half = dtype == torch.bfloat16 and not torch.is_grad_enabled()
        precision = torch.autocast(features.device.type, dtype) if is_half else nullcontext()
        with precision:
            mu, sigma = self.encoder(features[..., : self.n_features])
        return mu, sigma

    def reparameterise(
        self, mu: Tensor, sigma: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """Draw z (B, Z) from the posterior, differentiably."""
        noise = torch.randn(mu.shape, generator=generator, device=mu.device, dtype=mu.dtype)
        return mu + sigma * noise

    def decode_forced(self, z: Tensor, previous: Tensor) -> Tensor:
        """Return decoder states (B, T, H) under given previous outputs (B, T, F)."""
        states: Tensor = self.decoder(z, previous)
        return states

    def decode(
        self, z: Tensor, temperature: float = 1.0, generator: torch.Generator | None = None
    ) -> Tensor:
        """Decode z (B, Z) free-running into features (B, T, F)."""
        return self.decoder.generate(z, self.head, temperature, generator)


def _encoder(config: ModelConfig, n_features: int) -> BidirectionalEncoder | HierarchicalEncoder:
    sizes = (n_features, config.encoder_size, config.encoder_layers, config.z_size)
    if not config.encoder_bar_size:
        return BidirectionalEncoder(*sizes, config.n_steps, config.step_size)
    bars = (config.n_bars, config.bar_size, config.encoder_bar_size)
    return HierarchicalEncoder(*sizes, *bars, config.step_size)


def _decoder(config: ModelConfig, n_features: int) -> FlatDecoder | ConductorDecoder:
    step_size = config.step_size if config.step_paths == "both" else 0
    sizes = (n_features, config.decoder_size, config.decoder_layers, config.z_size)
    if not config.conductor_size:
        return FlatDecoder(*sizes, config.n_steps, step_size)
    bars = (config.n_bars, config.conductor_size, config.bar_size)
    return ConductorDecoder(*sizes, *bars, step_size)


def shift_right(features: Tensor) -> Tensor:
    """Return what the decoder hears at each step under teacher forcing.

    That is the features of the step before, zeros at the first: (B, T, F) to (B, T, F).
    """
    return torch.cat([torch.zeros_like(features[:, :1]), features[:, :-1]], dim=1)
