"""The groove lab's model: a conditional VAE that completes a partly known groove."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from musicvae_core.models import mixture
from musicvae_core.models.arithmetic import on_whole_blocks
from musicvae_core.models.conditioning import (
    Conditioning,
    Controls,
    condition_features,
    n_condition_features,
)
from musicvae_core.models.config import LabConfig
from musicvae_core.models.decoders import FlatDecoder, shift_right
from musicvae_core.models.encoder import BidirectionalEncoder, kl_nats
from musicvae_core.models.heads import (
    VELOCITY_LATTICE,
    GrooveHead,
    Noise,
    velocity_to_unit,
)
from musicvae_core.models.prior import CodeNoise
from musicvae_core.music.drums import N_VOICES
from musicvae_core.music.grid import COMMON_TIME, Grid

_RAREST = 0.03
"""Combinations less likely than this fraction of the most likely one are never drawn."""
_VELOCITY_DEVIATION, _OFFSET_DEVIATION = 0.55, 0.41
"""Standard deviations of velocities in -1..1 and offsets in model units, in the train split."""


class _Known(NamedTuple):
    """The known values that the output has to match.

    features: (..., 27) ground truth. cells: (..., 27) bool, where it is known. tapped: (...)
    bool, where at least one voice has to be hit.
    """

    features: Tensor
    cells: Tensor
    tapped: Tensor


def known_of(given: Conditioning, device: torch.device | str = "cpu") -> _Known:
    """Return the constraints on an output as tensors."""
    cells = np.concatenate([given.hits, given.velocities, given.offsets], axis=-1)
    parts = (np.asarray(given.features), cells, given.taps[..., 0] > 0)
    return _Known(*(torch.from_numpy(part).to(device) for part in parts))


class _ConstrainedSampler(NamedTuple):
    """Draws the unknown cells of a sequence or of a step; see `Sampler` and `LabHead.draw_unknown`.

    known, forbidden: (T, B, ...) for a sequence, (B, ...) for a step.
    """

    head: LabHead
    temperature: float
    feel_temperature: float
    noise: Noise
    known: _Known
    forbidden: Tensor

    def steps(self, n_steps: int) -> list[_ConstrainedSampler]:
        """Return one sampler per step."""
        known = [_Known(*parts) for parts in zip(*(p.unbind(0) for p in self.known), strict=True)]
        parts = zip(self.noise.steps(), known, self.forbidden.unbind(0), strict=True)
        return [
            self._replace(noise=noise, known=own, forbidden=forbidden)
            for noise, own, forbidden in parts
        ]

    def draw(self, projected: Tensor) -> Tensor:
        """Draw one step from projected states."""
        return self.head.draw_unknown(
            projected,
            self.temperature,
            self.feel_temperature,
            self.noise,
            self.known,
            self.forbidden,
        )


class LabHead(GrooveHead):
    """A `GrooveHead` whose output always agrees with the known cells.

    Combinations that contradict a known voice have probability 0, and known velocities and
    offsets are returned unchanged. So the known parts are reproduced exactly, and the model
    learns the distribution of the rest given them.
    """

    def forbidden(self, known: _Known) -> Tensor:
        """Return which of the 512 combinations contradict what is known: (..., 512) bool."""
        hits = known.features[..., :N_VOICES].float()
        cells = known.cells[..., :N_VOICES].float()
        sounding = self.table.T  # (9, 512)
        conflicts = (cells * hits) @ (1 - sounding) + (cells * (1 - hits)) @ sounding
        forbidden = conflicts > 0.5
        is_open = known.tapped & (cells.sum(dim=-1) < N_VOICES)
        forbidden[..., 0] |= is_open
        return forbidden

    def log_prob_of_rest(self, states: Tensor, known: _Known) -> dict[str, Tensor]:
        """Return the log likelihood of the unknown cells given the known ones.

        Parameters
        ----------
        states
            (..., H) decoder states.
        known
            The complete ground truth, and which cells of it are known.

        Returns
        -------
        `hits`, `velocities` and `offsets`, each (...) in nats.
        """
        truth = known.features
        logits = self.to_logits(states).float()
        log_probs = logits.masked_fill(self.forbidden(known), -torch.inf).log_softmax(dim=-1)
        hits, velocities, offsets = torch.split(truth, N_VOICES, dim=-1)
        _, knows_velocity, knows_offset = torch.split(known.cells, N_VOICES, dim=-1)
        parameters = self.feel_parameters(self.feel_of_state(states), hits)
        velocity, offset = self._score_feel(parameters, velocity_to_unit(velocities), offsets)
        return {
            "hits": log_probs.gather(-1, self.classes(truth).unsqueeze(-1)).squeeze(-1),
            "velocities": (velocity * hits * ~knows_velocity).sum(dim=-1),
            "offsets": (offset * hits * ~knows_offset).sum(dim=-1),
        }

    def _score_feel(
        self, parameters: Tensor, velocities: Tensor, offsets: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the log probabilities of velocities in -1..1 and of offsets, (..., 9) each."""
        of_velocity, of_offset = parameters.chunk(2, dim=-2)  # each (..., 9, 3K)
        return (
            mixture.log_prob(of_velocity, velocities, VELOCITY_LATTICE),
            mixture.log_prob(of_offset, offsets, self.offset_lattice),
        )

    def draw_unknown(
        self,
        projected: Tensor,
        temperature: float,
        feel_temperature: float,
        noise: Noise,
        known: _Known,
        forbidden: Tensor,
    ) -> Tensor:
        """Draw the unknown cells of a step: (..., P) to (..., 27).

        Source: combinations far less likely than the most likely one are left out, as in min-p
        sampling (Nguyen et al. 2024, section 3). There are 512 combinations, and the many
        unlikely ones together would add voices that real grooves do not use.
        """
        logits, feel_states = torch.split(
            projected, [self.to_logits.out_features, self.feel_size], dim=-1
        )
        logits = logits.masked_fill(forbidden, -torch.inf)
        floor = logits.amax(dim=-1, keepdim=True) + math.log(_RAREST)
        logits = logits.masked_fill(logits < floor, -torch.inf)
        hits = self._draw_hits(logits, temperature, noise)
        drawn = self._draw_feel(feel_states, hits, feel_temperature, noise)
        return torch.where(known.cells, known.features, drawn)


class MeansHead(LabHead):
    """A baseline `LabHead` with deterministic feel: means learned by squared error.

    Source: GrooVAE's outputs (Gillick et al. 2019, section 3). The errors are divided by the
    variances of the train split, so that they are on the same scale as the other terms.
    """

    def __init__(self, size: int, feel_size: int, grid: Grid = COMMON_TIME) -> None:
        super().__init__(size, feel_size, n_mixtures=1, grid=grid)

    def _score_feel(
        self, parameters: Tensor, velocities: Tensor, offsets: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the negative squared errors, as log probabilities up to a constant."""
        of_velocity, of_offset = mixture.mean(parameters).chunk(2, dim=-1)  # each (..., 9)
        return (
            -0.5 * ((velocities - of_velocity) / _VELOCITY_DEVIATION) ** 2,
            -0.5 * ((offsets - of_offset) / _OFFSET_DEVIATION) ** 2,
        )

    def _draw_feel(
        self, feel_states: Tensor, hits: Tensor, temperature: float, noise: Noise | None
    ) -> Tensor:
        return super()._draw_feel(feel_states, hits, 0.0, noise)


class LabBatch(NamedTuple):
    """The input of a lab's training step, and all the random numbers the step uses.

    Parameters
    ----------
    condition
        (B, T, C); see `GrooveLab.condition`.
    known
        (B, T, ...): the complete ground truth, and which cells of it are known.
    kl_weights
        (B,) float32: multiplies beta for each example.
    z_noise
        (B, Z) standard normal.
    is_blank
        (B, T) bool: steps at which the decoder's previous-step input is zeroed (word dropout).
    """

    condition: Tensor
    known: _Known
    kl_weights: Tensor
    z_noise: Tensor
    is_blank: Tensor


class Inference(NamedTuple):
    """A lab's context, posterior and prior for complete grooves and their conditioning.

    context: (B, T, context size). mu, sigma: (B, Z) of the posterior. prior_mu, prior_sigma:
    (B, Z) of the trained prior.
    """

    context: Tensor
    mu: Tensor
    sigma: Tensor
    prior_mu: Tensor
    prior_sigma: Tensor


class GrooveLab(nn.Module):
    """A conditional VAE that generates a complete groove from its known parts.

    A bidirectional LSTM reads the conditioning. At every step the decoder gets that LSTM's
    state, z, and its own previous output; z covers what the conditioning leaves open. The prior
    over z is a Gaussian that depends on the conditioning, with correlations fitted after
    training (`CodeNoise`). The posterior also reads the complete groove.

    Source: the encoder, z and decoder are MusicVAE's (Roberts et al. 2018, section 3.1), the
    tasks GrooVAE's (Gillick et al. 2019, section 4); the conditional prior follows Sohn et al.
    2015. Deviations: one model for all tasks, where GrooVAE has one for each; the conditioning;
    and the head constrained to the known parts.

    Parameters
    ----------
    config
        Dimensions of the networks.
    head
        Samples each step and scores it.
    """

    def __init__(self, config: LabConfig, head: LabHead) -> None:
        super().__init__()
        self.config, self.head = config, head
        n_features = self.head.n_features
        n_condition = n_condition_features(
            len(config.style_names), len(config.drummer_names), config.grid
        )
        self.reader = nn.LSTM(n_condition, config.reader_size, bidirectional=True, batch_first=True)
        self.to_context = nn.Linear(2 * config.reader_size, config.context_size)
        self.to_prior = nn.Linear(2 * config.reader_size, 2 * config.z_size)
        self.code_noise = CodeNoise(config.z_size)
        self.encoder = BidirectionalEncoder(
            n_features + n_condition, config.encoder_size, 1, config.z_size
        )
        self.decoder = FlatDecoder(
            n_features,
            config.decoder_size,
            config.decoder_layers,
            config.z_size,
            context_size=config.context_size,
        )

    def condition(self, given: Conditioning, controls: Controls) -> Tensor:
        """Return the conditioning features (B, T, C) float32 of known parts and controls."""
        n_styles, n_drummers = len(self.config.style_names), len(self.config.drummer_names)
        grid = self.config.grid
        return torch.from_numpy(condition_features(given, controls, n_styles, n_drummers, grid))

    def forward(self, batch: LabBatch) -> dict[str, Tensor]:
        """Return the loss terms of the unknown cells, each (B,) in nats.

        They are `kl`, the divergence of the posterior from the trained prior, and `hits`,
        `velocities` and `offsets`. Their sum bounds the negative log likelihood from above.
        """
        truth = batch.known.features
        inference = self.infer(batch.condition, truth)
        z = inference.mu + inference.sigma * batch.z_noise
        previous = shift_right(truth) * ~batch.is_blank.unsqueeze(-1)
        states = self.decode_forced(z, previous, inference.context)
        log_probs = self.head.log_prob_of_rest(states, batch.known)
        terms = {name: -log_prob.sum(dim=1) for name, log_prob in log_probs.items()}
        _, mu, sigma, prior_mu, prior_sigma = inference
        return {"kl": kl_nats((mu - prior_mu) / prior_sigma, sigma / prior_sigma), **terms}

    def infer(self, condition: Tensor, features: Tensor) -> Inference:
        """Return context, posterior and prior of complete grooves (B, T, 27)."""
        context, prior_mu, prior_sigma = self.read(condition)
        mu, sigma = self.encode(features, condition)
        return Inference(context, mu, sigma, prior_mu, prior_sigma)

    def read(self, condition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Read the conditioning features (B, T, C).

        Returns
        -------
        The context (B, T, context size), and the prior's mu and sigma, each (B, Z) float32.
        """
        context, mu, sigma = on_whole_blocks(self._read, condition)
        return context, mu, sigma

    def _read(self, condition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        outputs, _ = self.reader(condition)  # (B, T, 2H)
        context: Tensor = self.to_context(outputs)
        mu, sigma = self.to_prior(outputs.mean(dim=1)).float().chunk(2, dim=-1)
        return context, mu, functional.softplus(sigma) + BidirectionalEncoder.MIN_SIGMA

    def encode(self, features: Tensor, condition: Tensor) -> tuple[Tensor, Tensor]:
        """Return the posterior's mu and sigma, each (B, Z), of complete grooves (B, T, 27)."""
        mu, sigma = self.encoder(torch.cat([features, condition], dim=-1))
        return mu, sigma

    def draw_code(self, mu: Tensor, sigma: Tensor, noise: Tensor, kinds: Tensor) -> Tensor:
        """Draw z (B, Z) from the prior; see `read`.

        Parameters
        ----------
        mu, sigma
            (B, Z) of the prior.
        noise
            (B, Z) standard normal.
        kinds
            (B,) int64; see `Conditioning.kinds`.
        """
        turned: Tensor = on_whole_blocks(self.code_noise, noise, kinds)
        return mu + sigma * turned

    def decode_forced(self, z: Tensor, previous: Tensor, context: Tensor) -> Tensor:
        """Return decoder states (B, T, H), teacher-forced with previous outputs (B, T, 27)."""
        states: Tensor = self.decoder(z, previous, context)
        return states

    @torch.no_grad()
    def complete(
        self,
        z: Tensor,
        context: Tensor,
        known: _Known,
        *,
        temperature: float = 1.0,
        feel_temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Complete grooves by free-running decoding.

        Parameters
        ----------
        z, context
            (B, Z) and (B, T, context size); see `read`.
        known
            (B, T, ...): the known cells, which the output has to match.
        temperature, feel_temperature
            Temperature of the hits, and of velocities and offsets; 0 takes the most likely hits
            and the mean feel.
        generator
            Source of randomness.

        Returns
        -------
        (B, T, 27) features.
        """

        def decode(z: Tensor, context: Tensor, *known: Tensor) -> Tensor:
            n_examples, n_steps = context.shape[:2]
            noise = self.head.draw_noise((n_steps, n_examples), generator)
            by_step = _Known(*(part.transpose(0, 1) for part in known))  # (T, B, ...)
            sampler = _ConstrainedSampler(
                head=self.head,
                temperature=temperature,
                feel_temperature=feel_temperature,
                noise=noise,
                known=by_step,
                forbidden=self.head.forbidden(by_step),
            )
            return self.decoder.run(z, context, n_steps, sampler)

        features: Tensor = on_whole_blocks(decode, z, context, *known)
        return features
