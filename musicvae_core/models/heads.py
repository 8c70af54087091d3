"""Output heads: from a decoder state to the drums of one step, and their likelihood.

Both heads share one contract, so that decoders, losses and sampling know no difference:
`log_prob` scores the truth, `draw_noise` makes all the randomness of a sequence at once, and
`sample` turns a state and its noise into the features that are fed back and returned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from musicvae_core.models import mixture
from musicvae_core.music.drums import DRUM_CLASSES, N_FEATURES, N_VOICES, OFFSET_SCALE, Alphabet
from musicvae_core.music.grid import COMMON_TIME, VELOCITY_LEVELS, Grid

VELOCITY_LATTICE = mixture.Lattice(-1.0, 1.0, half_bin=1 / (VELOCITY_LEVELS - 1))
"""MIDI's 127 levels, spread over [-1, 1]."""

_T = TypeVar("_T")
_TINY = 2.0**-24
"""Half the distance between two of torch's random numbers."""


def _offset_lattice(grid: Grid) -> mixture.Lattice:
    """Return the ticks of a step, 120 of a sixteenth, in model units."""
    tick = OFFSET_SCALE / grid.ticks_per_step
    return mixture.Lattice(-OFFSET_SCALE / 2, OFFSET_SCALE / 2 - tick, half_bin=tick / 2)


class Noise(NamedTuple):
    """The randomness of a sequence, drawn ahead; fields are None where a head has no use.

    hits: (T, B, classes) Gumbel. components: (T, B, 18, K) Gumbel. values: (T, B, 18) uniform.
    """

    hits: Tensor
    components: Tensor | None = None
    values: Tensor | None = None

    def steps(self) -> list[Noise]:
        """Return the noise of each step."""
        parts = [self.hits.unbind(0)]
        parts += [part.unbind(0) for part in (self.components, self.values) if part is not None]
        return [Noise(*step) for step in zip(*parts, strict=True)]


def _uniform(
    shape: tuple[int, ...], width: int, like: Tensor, generator: torch.Generator | None
) -> Tensor:
    """Return noise (*shape, width) from 0 to below 1 on the generator's device, or a tensor's.

    It is made example by example, shape being (T, B).
    """
    device = like.device if generator is None else generator.device
    noise = torch.rand(
        (*reversed(shape), width), generator=generator, device=device
    )  # (B, T, width)
    axes = range(len(shape))
    return noise.permute(*reversed(axes), len(shape))


def _to_gumbel(uniform: Tensor) -> Tensor:
    return uniform.log_().neg_().log_().neg_()


class CategoricalHead(nn.Module):
    """One class a step out of any number: what the decoder hears of a class stands in a table.

    Source: Roberts et al. 2018, section 4.

    Parameters
    ----------
    size
        Width of a decoder state.
    alphabet
        The classes: their features, and the name of their likelihood.
    """

    def __init__(self, size: int, alphabet: Alphabet = DRUM_CLASSES) -> None:
        super().__init__()
        self.alphabet = alphabet
        self.to_logits = nn.Linear(size, alphabet.n_classes)
        self.table: Tensor
        self._key: Tensor
        self.make_tables()

    @property
    def n_features(self) -> int:
        """Features a step that the model hears and returns."""
        return self.alphabet.n_features

    def make_tables(self) -> None:
        """Make the constant tables that are not stored with the weights."""
        self.register_buffer("table", torch.tensor(self.alphabet.table), persistent=False)
        self.register_buffer("_key", torch.tensor(self.alphabet.key), persistent=False)

    @property
    def n_states(self) -> int:
        """Width of a decoder state."""
        return self.to_logits.in_features

    def onsets(self, features: Tensor) -> Tensor:
        """Return what begins at each step: (..., F) features to (..., K) bool."""
        return features[..., self.alphabet.onset_features] > 0.5

    def classes(self, features: Tensor) -> Tensor:
        """Return the class of each step: (..., F) features to (...) int64."""
        return ((features[..., : len(self._key)] > 0.5) * self._key).sum(dim=-1)

    def log_prob(self, states: Tensor, features: Tensor) -> dict[str, Tensor]:
        """Return the log likelihood in nats of the true features, term by term.

        Parameters
        ----------
        states
            (..., H) decoder states.
        features
            (..., F) the truth.

        Returns
        -------
        (...) float32 under the alphabet's name.
        """
        log_probs = self.to_logits(states).float().log_softmax(dim=-1)
        chosen = log_probs.gather(-1, self.classes(features).unsqueeze(-1)).squeeze(-1)
        return {self.alphabet.name: chosen}

    def draw_noise(self, shape: tuple[int, ...], generator: torch.Generator | None = None) -> Noise:
        """Draw the noise of a whole sequence, of leading shape (T, B).

        What an example gets does not depend on how many are drawn after it.
        """
        return Noise(_to_gumbel(_uniform(shape, self.alphabet.n_classes, self.table, generator)))

    def projection(self) -> tuple[Tensor, Tensor]:
        """Return the weight (P, H) and bias (P,) of all that `draw` needs of a state.

        A decoder that runs free joins them to its own, so that a step costs one product.
        """
        return self.to_logits.weight, self.to_logits.bias

    def draw(self, projected: Tensor, temperature: float, noise: Noise | None) -> Tensor:
        """Draw the drums of a step from a projected state: (..., P) to (..., F) features."""
        return self._draw_hits(projected, temperature, noise)

    def _draw_hits(self, logits: Tensor, temperature: float, noise: Noise | None) -> Tensor:
        if temperature > 0:
            assert noise is not None
            # The same choice as of logits / temperature + noise, in one operation.
            logits = torch.add(logits, noise.hits, alpha=temperature)
        # In less time than by indexing, and one loop alone waits for it at every step.
        return nn.functional.embedding(_argmax(logits), self.table)

    def sample(self, states: Tensor, temperature: float, noise: Noise | None) -> Tensor:
        """Draw the drums of a step: (..., H) states to (..., F) features.

        A temperature of 0 takes the most likely combination, and the mean feel, and needs no
        noise.
        """
        projected = nn.functional.linear(states, *self.projection())
        return self.draw(projected, temperature, noise)


class PartsHead(nn.Module):
    """The heads of several parts, their states and their features side by side.

    Given the states, the parts of a step are independent.

    Parameters
    ----------
    size
        Width of the decoder state of one part.
    alphabets
        The classes of each part, by its name.
    """

    def __init__(self, size: int, alphabets: Mapping[str, Alphabet]) -> None:
        super().__init__()
        heads = {name: CategoricalHead(size, alphabet) for name, alphabet in alphabets.items()}
        self.parts = nn.ModuleDict(heads)

    def _heads(self) -> list[tuple[str, CategoricalHead]]:
        return [(name, cast(CategoricalHead, head)) for name, head in self.parts.items()]

    @property
    def part_features(self) -> list[int]:
        """Features a step of each part."""
        return [head.n_features for _, head in self._heads()]

    @property
    def n_features(self) -> int:
        """Features a step of all parts."""
        return sum(self.part_features)

    @property
    def n_states(self) -> int:
        """Width of the decoder states of all parts."""
        return sum(head.n_states for _, head in self._heads())

    def split_features(self, features: Tensor) -> tuple[Tensor, ...]:
        """Return the features (..., F) of each part."""
        return torch.split(features, self.part_features, dim=-1)

    def onsets(self, features: Tensor) -> Tensor:
        """Return what begins at each step, (..., K) bool; see `CategoricalHead`."""
        each = zip(self._heads(), self.split_features(features), strict=True)
        return torch.cat([head.onsets(part) for (_, head), part in each], dim=-1)

    def classes(self, features: Tensor) -> Tensor:
        """Return the class of each part at each step: (..., F) features to (..., P) int64."""
        each = zip(self._heads(), self.split_features(features), strict=True)
        return torch.stack([head.classes(part) for (_, head), part in each], dim=-1)

    def log_prob(self, states: Tensor, features: Tensor) -> dict[str, Tensor]:
        """Return the log likelihood of each part, (...) in nats; see `CategoricalHead`."""
        log_probs: dict[str, Tensor] = {}
        for (name, head), own, part in self._each(states, self.split_features(features)):
            log_probs |= {
                f"{name}_{term}": value for term, value in head.log_prob(own, part).items()
            }
        return log_probs

    def draw_noise(self, shape: tuple[int, ...], generator: torch.Generator | None = None) -> Noise:
        """Draw the noise of a whole sequence, of leading shape (T, B), for all parts."""
        noise = [head.draw_noise(shape, generator).hits for _, head in self._heads()]
        return Noise(torch.cat(noise, dim=-1))

    def sample(self, states: Tensor, temperature: float, noise: Noise | None) -> Tensor:
        """Draw the parts of a step; see `CategoricalHead`."""
        widths = [head.alphabet.n_classes for _, head in self._heads()]
        noises = [None] * len(widths) if noise is None else torch.split(noise.hits, widths, dim=-1)
        drawn = [
            head.sample(own, temperature, None if one is None else Noise(one))
            for (_, head), own, one in self._each(states, noises)
        ]
        return torch.cat(drawn, dim=-1)

    def _each(
        self, states: Tensor, others: Sequence[_T]
    ) -> Iterator[tuple[tuple[str, CategoricalHead], Tensor, _T]]:
        """Yield every head with its states and one of the others."""
        return zip(self._heads(), states.chunk(len(self.parts), dim=-1), others, strict=True)


AnyHead = CategoricalHead | PartsHead


class GrooveHead(CategoricalHead):
    """Combinations as `CategoricalHead`, and a velocity and an offset for every hit.

    Velocity and offset of each voice are mixtures of discretised logistics, over MIDI's
    levels and ticks, whose parameters depend on the state and on which voices sound at the
    step; so feel is drawn, not averaged, and temperature moves it too.

    Source: replaces GrooVAE's deterministic means (Gillick et al. 2019, section 3), which
    flatten dynamics and timing. Given state and hits the voices are independent.
    """

    @property
    def n_features(self) -> int:
        """Hits, velocities and offsets of a step."""
        return N_FEATURES

    def __init__(
        self, size: int, feel_size: int, n_mixtures: int, grid: Grid = COMMON_TIME
    ) -> None:
        super().__init__(size)
        self.offset_lattice = _offset_lattice(grid)
        self.n_mixtures = n_mixtures
        self.feel_size = feel_size
        self.feel_of_state = nn.Linear(size, feel_size)
        self.feel_of_hits = nn.Linear(N_VOICES, feel_size, bias=False)
        self.to_feel = nn.Linear(feel_size, 2 * N_VOICES * 3 * n_mixtures)
        self._spread_components()

    @torch.no_grad()
    def _spread_components(self) -> None:
        """Start the components of each mixture apart, and wide."""
        bias = self.to_feel.bias.view(2 * N_VOICES, 3, self.n_mixtures)
        bias[:, 0] = 0
        # Not torch.linspace: without storage, as a checkpoint is loaded, it imports all of SymPy.
        bias[:, 1] = torch.tensor(np.linspace(-0.5, 0.5, self.n_mixtures))
        bias[:, 2] = -2.0

    def feel_parameters(self, feel_states: Tensor, hits: Tensor) -> Tensor:
        """Return the mixtures of a step's velocities and offsets.

        Parameters
        ----------
        feel_states
            (..., feel size): states after `feel_of_state`.
        hits
            (..., 9): which voices sound.

        Returns
        -------
        (..., 18, 3K) float32: nine rows for the voices' velocities, nine for their offsets.
        """
        inner = torch.tanh(feel_states + self.feel_of_hits(hits.to(feel_states.dtype)))
        flat: Tensor = self.to_feel(inner).float()
        return flat.view(*flat.shape[:-1], 2 * N_VOICES, 3 * self.n_mixtures)

    def log_prob(self, states: Tensor, features: Tensor) -> dict[str, Tensor]:
        """Return `hits`, `velocities` and `offsets`, each (...) in nats; see the base class."""
        hits = features[..., :N_VOICES]
        parameters = self.feel_parameters(self.feel_of_state(states), hits)
        velocities, offsets = parameters.chunk(2, dim=-2)  # each (..., 9, 3K)
        true_velocities = velocity_to_unit(features[..., N_VOICES : 2 * N_VOICES])
        velocity = mixture.log_prob(velocities, true_velocities, VELOCITY_LATTICE)
        offset = mixture.log_prob(offsets, features[..., 2 * N_VOICES :], self.offset_lattice)
        return super().log_prob(states, features) | {
            "velocities": (velocity * hits).sum(dim=-1),
            "offsets": (offset * hits).sum(dim=-1),
        }

    def draw_noise(self, shape: tuple[int, ...], generator: torch.Generator | None = None) -> Noise:
        """Draw the noise of a whole sequence, of leading shape (T, B); see the base class."""
        n_cells = 2 * N_VOICES
        widths = [DRUM_CLASSES.n_classes, n_cells * self.n_mixtures, n_cells]
        noise = _uniform(shape, sum(widths), self.table, generator)
        hits, components, values = torch.split(noise, widths, dim=-1)
        components = _to_gumbel(components).view(*shape, n_cells, self.n_mixtures)
        return Noise(_to_gumbel(hits), components, values.clamp_(_TINY, 1 - _TINY))

    def projection(self) -> tuple[Tensor, Tensor]:
        """Return the weights of logits and feel in one; see the base class."""
        layers = (self.to_logits, self.feel_of_state)
        weight = torch.cat([layer.weight for layer in layers])
        return weight, torch.cat([layer.bias for layer in layers])

    def draw(self, projected: Tensor, temperature: float, noise: Noise | None) -> Tensor:
        """Draw hits, then their velocities and offsets: (..., P) to (..., 27)."""
        logits, feel_states = torch.split(
            projected, [self.to_logits.out_features, self.feel_size], dim=-1
        )
        hits = self._draw_hits(logits, temperature, noise)
        return self._draw_feel(feel_states, hits, temperature, noise)

    def _draw_feel(
        self, feel_states: Tensor, hits: Tensor, temperature: float, noise: Noise | None
    ) -> Tensor:
        """Return the features (..., 27) of hits (..., 9) with velocities and offsets drawn."""
        parameters = self.feel_parameters(feel_states, hits)
        if temperature == 0:
            values = mixture.mean(parameters)
        else:
            assert noise is not None
            assert noise.components is not None
            assert noise.values is not None
            values = mixture.sample(parameters, temperature, noise.components, noise.values)
        velocities, offsets = values.chunk(2, dim=-1)  # each (..., 9)
        velocities = _unit_to_velocity(VELOCITY_LATTICE.snap(velocities))
        offsets = self.offset_lattice.snap(offsets)
        return torch.cat([hits, velocities * hits, offsets * hits], dim=-1)


def _argmax(logits: Tensor) -> Tensor:
    """Return the index of the greatest of (..., K), on a CPU by NumPy, which takes a sixth."""
    is_plain = logits.device.type == "cpu" and logits.dtype == torch.float32
    if not is_plain or logits.requires_grad or torch.compiler.is_compiling():
        return logits.argmax(dim=-1)
    return torch.as_tensor(logits.numpy().argmax(axis=-1))


def velocity_to_unit(velocities: Tensor) -> Tensor:
    """Map velocities 1/127..1 to -1..1."""
    return (velocities * VELOCITY_LEVELS - 1) / (VELOCITY_LEVELS - 1) * 2 - 1


def _unit_to_velocity(values: Tensor) -> Tensor:
    """Undo `velocity_to_unit`."""
    return ((values + 1) / 2 * (VELOCITY_LEVELS - 1) + 1) / VELOCITY_LEVELS
