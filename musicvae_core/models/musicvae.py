"""MusicVAE: the recurrent variational autoencoder, its training batches and its loss."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from musicvae_core.data.windows import AnyWindows
from musicvae_core.errors import ConfigError
from musicvae_core.models.arithmetic import product_dtype
from musicvae_core.models.config import ModelConfig, TrainConfig, step_seed
from musicvae_core.models.decoders import ConductorDecoder, FlatDecoder, shift_right
from musicvae_core.models.encoder import (
    BidirectionalEncoder,
    HierarchicalEncoder,
    PartsEncoder,
    kl_nats,
)
from musicvae_core.models.heads import AnyHead, Noise, PartsHead
from musicvae_core.music.drums import DRUMS

_SILENT_SIGMA = math.log(math.expm1(1.0))
"""softplus of this is 1."""
_BatchT = TypeVar("_BatchT", bound=tuple[Any, ...])


class _Batch(NamedTuple):
    """The input of a training step: windows, and all the random numbers the step uses.

    Parameters
    ----------
    features
        (B, T, F) float32.
    kl_weights
        (B,) float32: multiplies beta for each example.
    z_noise
        (B, Z) standard normal.
    is_blank
        (B, T) bool: steps at which the decoder's previous-step input is zeroed (word dropout).
    is_own, own_noise
        (B, T) bool, the steps at which the decoder is fed its own output instead of the ground
        truth, and the noise used to sample that output; None without scheduled sampling.
    dropout
        (B, T, H) float32: multiplies the decoder's outputs; None without dropout.
    """

    features: Tensor
    kl_weights: Tensor
    z_noise: Tensor
    is_blank: Tensor
    is_own: Tensor | None = None
    own_noise: Noise | None = None
    dropout: Tensor | None = None


def map_batch(function: Callable[[Tensor], Tensor], batch: _BatchT) -> _BatchT:
    """Apply a function to every tensor of a batch, whatever the kind of model."""

    def mapped(part: Any) -> Any:
        if isinstance(part, Tensor):
            return function(part)
        return None if part is None else type(part)(*map(mapped, part))

    return cast(_BatchT, mapped(batch))


class MusicVAE(nn.Module):
    """A recurrent variational autoencoder for drums, a melodic line, or several parts.

    Source: Roberts et al. 2018; encoder, decoder and head are described in their own classes.

    Parameters
    ----------
    config
        Dimensions of the encoder and decoder.
    head
        Samples each step and scores it; see `kinds`.
    """

    def __init__(self, config: ModelConfig, head: AnyHead) -> None:
        super().__init__()
        self.config, self.head = config, head
        self.encoder = _encoder(config, head)
        self.decoder = _decoder(config, head)

    @property
    def n_features(self) -> int:
        """Features per step that the model reads: those of its head."""
        return self.head.n_features

    def encode(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and sigma, each (B, Z) float32, of features (B, T, F or more).

        Without gradients, the matrix products run in `product_dtype`.
        """
        half = product_dtype(features.device) == torch.bfloat16 and not torch.is_grad_enabled()
        with torch.autocast(features.device.type, torch.bfloat16, enabled=half):
            mu, sigma = self.encoder(features[..., : self.n_features])
        return mu, sigma

    def forward(self, batch: _Batch) -> dict[str, Tensor]:
        """Return the loss terms, each (B,) in nats: `kl`, and one for each term of the head.

        Deviation: scheduled sampling takes the replaced inputs from a first, teacher-forced
        pass (Mihaylova and Martins 2019, section 3), so that all steps still train in parallel;
        the paper samples them one after another.
        """
        target = batch.features
        mu, sigma = self.encode(target)
        z = mu + sigma * batch.z_noise
        previous = shift_right(target)
        if batch.is_own is not None:
            with torch.no_grad():
                drawn = self.head.sample(self.decode_forced(z, previous), 1.0, batch.own_noise)
            previous = torch.where(batch.is_own.unsqueeze(-1), shift_right(drawn), previous)
        previous = previous * ~batch.is_blank.unsqueeze(-1)
        states = self.decode_forced(z, previous)
        if batch.dropout is not None:
            states = states * batch.dropout
        log_probs = self.head.log_prob(states, target)
        terms = {name: -log_prob.sum(dim=1) for name, log_prob in log_probs.items()}
        return {"kl": kl_nats(mu, sigma), **terms}

    @torch.no_grad()
    def spread_codes(self, features: Tensor, sigma: float) -> None:
        """Initialise the encoder from windows (B, T, F) so that their codes differ.

        See `TrainConfig.initial_sigma`.
        """
        self.encoder.spread(self.encoder(features[..., : self.n_features])[0], sigma)

    @torch.no_grad()
    def initialise_part(self, name: str, trained: MusicVAE) -> None:
        """Initialise the encoder, or one part of a trio, from a trained model.

        `encoder` takes the whole encoder of any model. A part takes the within-bar weights of a
        model trained on that part alone: the weights that relate bars to one another start out
        contributing nothing, and if the trained model's bar vectors or portions of z are narrower,
        they fill the first dimensions, and the remaining ones start out unused, at the prior.

        Raises
        ------
        ConfigError
            If this model has no such part, or the trained model differs in more than those
            widths.
        """
        if name == "encoder":
            try:
                self.encoder.load_state_dict(trained.encoder.state_dict())
            except RuntimeError as error:
                raise ConfigError("The encoder cannot start from one of other sizes.") from error
            return
        if not isinstance(self.head, PartsHead) or name not in self.head.parts:
            raise ConfigError(f"The model has no part {name!r} to start from a checkpoint.")
        index = list(self.head.parts).index(name)
        ours, theirs = _bar_tensors(self, index), _bar_tensors(trained)
        decoder: Any = self.decoder
        try:
            for key, tensor in ours.items():
                _fill(tensor, theirs[key], fill=_SILENT_SIGMA if key == "to_sigma.bias" else 0.0)
        except (KeyError, RuntimeError) as error:
            raise ConfigError(
                f"The part {name} cannot start from a model of other dimensions within the bar."
            ) from error
        decoder.to_embedding.weight.chunk(len(self.head.parts))[index].zero_()
        decoder.to_embedding.bias.chunk(len(self.head.parts))[index].zero_()

    def decode_forced(self, z: Tensor, previous: Tensor) -> Tensor:
        """Return decoder states (B, T, H), teacher-forced with previous outputs (B, T, F)."""
        states: Tensor = self.decoder(z, previous)
        return states

    def decode(
        self,
        z: Tensor,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
        share_noise: bool = False,
    ) -> Tensor:
        """Decode z (B, Z) free-running into features (B, T, F).

        With independent noise, neighbouring steps of a morph would differ however close their
        codes are. With `share_noise`, every code gets the same noise: only the code changes along
        the path.
        """
        decoder: Any = self.decoder
        rows_per_code = self.config.n_bars if self.config.conductor_size else 1
        features: Tensor = decoder.generate(
            z, self.head, temperature, generator, rows_per_code if share_noise else None
        )
        return features


def _bar_tensors(model: MusicVAE, index: int | None = None) -> dict[str, Tensor]:
    """Return the weights of a model, or of one of its parts, that act within a single bar.

    Where input widths differ between models, the weights are split by input: the bar's own
    vector from its neighbouring bars, and the embedding from the decoder's other inputs.

    Raises
    ------
    ConfigError
        If the model does not work bar by bar.
    """
    encoder, decoder, head = (
        cast(Any, part) for part in (model.encoder, model.decoder, model.head)
    )
    if not isinstance(decoder, ConductorDecoder) or model.config.n_z_parts == 1:
        raise ConfigError("A part can only start from a model in which each bar has its own z.")
    own, bottom, to_bars = encoder, decoder.bottom, cast(Any, decoder.to_bars)
    if index is not None:
        own, bottom, to_bars = encoder.parts[index], bottom.parts[index], to_bars.layers[index]
        head = list(head.parts.values())[index]
    modules = {"bar": own.bar, "to_bar": own.to_bar, "to_bars": to_bars, "head": head}
    modules |= {"to_mu": own.to_mu, "to_sigma": own.to_sigma, "bottom": bottom}
    tensors = {
        f"{name}.{key}": tensor.data
        for name, module in modules.items()
        for key, tensor in module.named_parameters()
    }
    width = model.config.bar_size
    for name in ("to_mu", "to_sigma"):
        tensors[f"{name}.weight"], tensors[f"{name}.around"] = tensors[f"{name}.weight"].split(
            [width, tensors[f"{name}.weight"].shape[1] - width], dim=1
        )
        if index is None:
            tensors[f"{name}.around"] = tensors[f"{name}.around"][:0, :0]
    weights = tensors.pop("bottom.lstm.weight_ih_l0")
    widths = [head.n_features, width, weights.shape[1] - head.n_features - width]
    tensors |= zip(("previous", "embedding", "step"), weights.split(widths, dim=1), strict=True)
    return tensors


def _fill(tensor: Tensor, values: Tensor, fill: float) -> None:
    """Copy values to the start of a tensor along every axis; put `fill` everywhere else."""
    tensor.fill_(fill)
    tensor[tuple(slice(size) for size in values.shape)] = values


def _encoder(
    config: ModelConfig, head: AnyHead
) -> BidirectionalEncoder | HierarchicalEncoder | PartsEncoder:
    sizes = (config.encoder_size, config.encoder_layers, config.z_size)
    bars = (config.n_bars, config.bar_size, config.encoder_bar_size)
    steps: dict[str, Any] = {
        "steps_per_bar": config.grid.steps_per_bar,
        "step_size": config.step_size,
    }
    if isinstance(head, PartsHead):
        return PartsEncoder(head.part_features, *sizes, *bars, **steps)
    if not config.encoder_bar_size:
        return BidirectionalEncoder(head.n_features, *sizes, config.n_steps, config.step_size)
    return HierarchicalEncoder(head.n_features, *sizes, *bars, **steps)


def _decoder(config: ModelConfig, head: AnyHead) -> FlatDecoder | ConductorDecoder:
    is_direct = config.direct_paths == "both"
    step_size = config.step_size if is_direct else 0
    sizes = (config.decoder_size, config.decoder_layers, config.z_size)
    bars = (config.n_bars, config.conductor_size, config.bar_size)
    steps: dict[str, Any] = {
        "steps_per_bar": config.grid.steps_per_bar,
        "step_size": step_size,
        "bar_paths": is_direct,
    }
    if isinstance(head, PartsHead):
        drums_layers = config.drums_layers or config.decoder_layers
        depths = [drums_layers if name == DRUMS else config.decoder_layers for name in head.parts]
        return ConductorDecoder(
            head.part_features, config.decoder_size, depths, config.z_size, *bars, **steps
        )
    if not config.conductor_size:
        return FlatDecoder(head.n_features, *sizes, config.n_steps, step_size)
    return ConductorDecoder(head.n_features, *sizes, *bars, **steps)


def make_batch(
    model: MusicVAE, features: NDArray[np.float32], config: TrainConfig, step: int
) -> _Batch:
    """Return a step's batch: windows (B, T, F), and noise determined by seed and step."""
    target = torch.from_numpy(features)[..., : model.n_features]
    shape = target.shape[:2]  # (B, T)
    generator = torch.Generator().manual_seed(step_seed(config, step))
    z_noise = torch.randn(shape[0], model.config.z_size, generator=generator)
    own_noise = is_own = dropout = None
    own_share = config.sampling_probability_at(step)
    if own_share > 0:
        own_noise = model.head.draw_noise(tuple(shape), generator)
        is_own = torch.rand(shape, generator=generator) < own_share
    is_blank = torch.zeros(shape, dtype=torch.bool)
    if config.word_dropout > 0:
        is_blank = torch.rand(shape, generator=generator) < config.word_dropout
    if config.dropout > 0:
        kept = torch.rand(*shape, model.head.n_states, generator=generator) >= config.dropout
        dropout = kept / (1 - config.dropout)
    return _Batch(target, torch.ones(shape[0]), z_noise, is_blank, is_own, own_noise, dropout)


def draw_batch(model: MusicVAE, windows: AnyWindows, config: TrainConfig, step: int) -> _Batch:
    """Return the batch of one training step; see `make_batch`."""
    features = windows.batch(
        step, config.batch_size, augmentation=config.augmentation, seed=config.seed
    )
    return make_batch(model, features, config, step)


def _beyond_free_bits(kl: Tensor, free_bits: float) -> Tensor:
    """Return how far each example's KL (B,) in nats exceeds a budget in bits, at least 0.

    Source: Roberts et al. 2018, equation 3. The budget applies to the sum over z, not to each
    dimension.
    """
    return (kl - free_bits * math.log(2)).clamp(min=0)


def elbo_losses(
    terms: Mapping[str, Tensor],
    kl_weights: Tensor,
    *,
    beta: float,
    free_bits: float,
    feel_weight: float,
) -> dict[str, Tensor]:
    """Combine the loss terms into the objective; each is a batch mean in nats per example.

    Parameters
    ----------
    terms
        The output of a model's `forward`, (B,) nats each: `kl`; `hits` or `notes`; and, with
        feel, `velocities` and `offsets`.
    kl_weights
        (B,): multiplies beta for each example.
    beta, free_bits, feel_weight
        See `config.TrainConfig`.

    Returns
    -------
    Scalars: `loss/total`, `kl/nats`, and `recon/...` for each reconstruction term.

    Source: Roberts et al. 2018, equations 2 and 3. The weight on feel is our addition.
    """
    kl = terms["kl"]
    losses = {f"recon/{name}": term.mean() for name, term in terms.items() if name != "kl"}
    weights = {"recon/velocities": feel_weight, "recon/offsets": feel_weight}
    total = torch.stack([weights.get(name, 1.0) * v for name, v in losses.items()]).sum()
    total = total + beta * (kl_weights * _beyond_free_bits(kl, free_bits)).mean()
    return {"loss/total": total, "kl/nats": kl.mean(), **losses}
