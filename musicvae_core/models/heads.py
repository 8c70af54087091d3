"""Output heads: from a decoder state to the classes and feel of one step, and their likelihood.

All heads share one interface, so that decoders, losses and sampling treat them alike:
`log_prob` scores the ground truth, `draw_noise` draws all the noise of a sequence in advance,
and `sample` turns a state and its noise into the features that are returned and fed back.
Free-running decoding draws the same steps faster, with the head's `sampler`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar, cast

import numpy as np
import torch
from torch import Tensor, nn

from musicvae_core.models import mixture
from musicvae_core.models.arithmetic import Sampler, on_whole_blocks
from musicvae_core.music.drums import DRUM_CLASSES, N_FEATURES, N_VOICES, OFFSET_SCALE, Alphabet
from musicvae_core.music.grid import COMMON_TIME, VELOCITY_LEVELS, Grid

VELOCITY_LATTICE = mixture.Lattice(-1.0, 1.0, half_bin=1 / (VELOCITY_LEVELS - 1))
"""MIDI's 127 levels, spread over [-1, 1]."""

_T = TypeVar("_T")
_TINY = 2.0**-24
"""Half the distance between two of torch's random numbers."""


def _offset_lattice(grid: Grid) -> mixture.Lattice:
    """Return the lattice of ticks within a step (120 to a sixteenth), in model units."""
    tick = OFFSET_SCALE / grid.ticks_per_step
    return mixture.Lattice(-OFFSET_SCALE / 2, OFFSET_SCALE / 2 - tick, half_bin=tick / 2)


class Noise(NamedTuple):
    """The noise of a sequence, drawn in advance; fields that a head does not use are None.

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

    def select_rows(self, rows: Tensor) -> Noise:
        """Return the noise of some of the B examples, by index; an index may repeat."""
        components, values = (
            None if part is None else part[:, rows] for part in (self.components, self.values)
        )
        return Noise(self.hits[:, rows], components, values)


def _uniform(
    shape: tuple[int, ...], width: int, like: Tensor, generator: torch.Generator | None
) -> Tensor:
    """Return uniform noise (*shape, width) in [0, 1), with shape (T, B).

    It is on the generator's device or, without a generator, on that of `like`. It is drawn
    example by example.
    """
    device = like.device if generator is None else generator.device
    noise = torch.rand(
        (*reversed(shape), width), generator=generator, device=device
    )  # (B, T, width)
    axes = range(len(shape))
    return noise.permute(*reversed(axes), len(shape))


def _to_gumbel(uniform: Tensor) -> Tensor:
    return uniform.log_().neg_().log_().neg_()


class _HeadSampler(NamedTuple):
    """A head with a temperature and the noise of a sequence or of a step; see `Sampler`."""

    head: CategoricalHead
    temperature: float
    noise: Noise | None

    def steps(self, n_steps: int) -> list[_HeadSampler]:
        """Return one sampler per step."""
        noise = [None] * n_steps if self.noise is None else self.noise.steps()
        return [self._replace(noise=one) for one in noise]

    def draw(self, projected: Tensor) -> Tensor:
        """Draw one step from projected states."""
        return self.head.draw(projected, self.temperature, self.noise)


class CategoricalHead(nn.Module):
    """One class per step, of any number of classes; a table maps classes to decoder inputs.

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
        """Features per step that the model reads and returns."""
        return self.alphabet.n_features

    def make_tables(self) -> None:
        """Create the constant tables, which are not stored with the weights."""
        self.register_buffer("table", torch.tensor(self.alphabet.table), persistent=False)
        self.register_buffer("_key", torch.tensor(self.alphabet.key), persistent=False)

    @property
    def n_states(self) -> int:
        """Width of a decoder state."""
        return self.to_logits.in_features

    def onsets(self, features: Tensor) -> Tensor:
        """Return the onsets at each step: (..., F) features to (..., K) bool."""
        return features[..., self.alphabet.onset_features] > 0.5

    def classes(self, features: Tensor) -> Tensor:
        """Return the class of each step: (..., F) features to (...) int64."""
        return ((features[..., : len(self._key)] > 0.5) * self._key).sum(dim=-1)

    def log_prob(self, states: Tensor, features: Tensor) -> dict[str, Tensor]:
        """Return the log likelihood of the true features, in nats, term by term.

        Parameters
        ----------
        states
            (..., H) decoder states.
        features
            (..., F) ground truth.

        Returns
        -------
        (...) float32, keyed by the alphabet's name.
        """
        log_probs = self.to_logits(states).float().log_softmax(dim=-1)
        chosen = log_probs.gather(-1, self.classes(features).unsqueeze(-1)).squeeze(-1)
        return {self.alphabet.name: chosen}

    def draw_noise(self, shape: tuple[int, ...], generator: torch.Generator | None = None) -> Noise:
        """Draw the noise of a whole sequence; `shape` is (T, B).

        An example's noise does not depend on how many examples follow it.
        """
        return Noise(_to_gumbel(_uniform(shape, self.alphabet.n_classes, self.table, generator)))

    def projection(self) -> tuple[Tensor, Tensor]:
        """Return weight (P, H) and bias (P,) of the projection of a state that `draw` takes.

        Free-running decoding merges them with the decoder's own weights, so that each step
        needs a single matrix product.
        """
        return self.to_logits.weight, self.to_logits.bias

    def sampler(self, temperature: float, noise: Noise | None) -> Sampler:
        """Return what draws a sequence with given noise; None at temperature 0."""
        return _HeadSampler(self, temperature, noise)

    def draw(self, projected: Tensor, temperature: float, noise: Noise | None) -> Tensor:
        """Draw one step from a projected state: (..., P) to (..., F) features."""
        return self._draw_hits(projected, temperature, noise)

    def _draw_hits(self, logits: Tensor, temperature: float, noise: Noise | None) -> Tensor:
        if temperature > 0:
            assert noise is not None
            # The argmax is that of logits / temperature + noise, in a single operation.
            logits = torch.add(logits, noise.hits, alpha=temperature)
        # Faster than indexing, and free-running decoding waits for it at every step.
        return nn.functional.embedding(_argmax(logits), self.table)

    def sample(self, states: Tensor, temperature: float, noise: Noise | None) -> Tensor:
        """Draw one step: (..., H) states to (..., F) features.

        Temperature 0 takes the most likely class and the mean feel, and needs no noise.
        """
        projected = nn.functional.linear(states, *self.projection())
        return self.draw(projected, temperature, noise)


class PartsHead(nn.Module):
    """A head for each of several parts, with states and features concatenated.

    Given the states, the parts of a step are independent.

    Parameters
    ----------
    size
        Width of one part's decoder state.
    alphabets
        The classes of each part, by part name.
    """

    def __init__(self, size: int, alphabets: Mapping[str, Alphabet]) -> None:
        super().__init__()
        heads = {name: CategoricalHead(size, alphabet) for name, alphabet in alphabets.items()}
        self.parts = nn.ModuleDict(heads)

    def _heads(self) -> list[tuple[str, CategoricalHead]]:
        return [(name, cast(CategoricalHead, head)) for name, head in self.parts.items()]

    @property
    def part_features(self) -> list[int]:
        """Features per step of each part."""
        return [head.n_features for _, head in self._heads()]

    @property
    def n_features(self) -> int:
        """Features per step of all parts together."""
        return sum(self.part_features)

    @property
    def n_states(self) -> int:
        """Width of the decoder states of all parts together."""
        return sum(head.n_states for _, head in self._heads())

    def split_features(self, features: Tensor) -> tuple[Tensor, ...]:
        """Split features (..., F) into those of each part."""
        return torch.split(features, self.part_features, dim=-1)

    def onsets(self, features: Tensor) -> Tensor:
        """Return the onsets at each step, (..., K) bool; see `CategoricalHead`."""
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
        """Draw the noise of a whole sequence for all parts; `shape` is (T, B)."""
        noise = [head.draw_noise(shape, generator).hits for _, head in self._heads()]
        return Noise(torch.cat(noise, dim=-1))

    def sample(self, states: Tensor, temperature: float, noise: Noise | None) -> Tensor:
        """Draw all parts of one step; see `CategoricalHead`."""
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
        """Yield each part's name, head and states, with the matching item of `others`."""
        return zip(self._heads(), states.chunk(len(self.parts), dim=-1), others, strict=True)


AnyHead = CategoricalHead | PartsHead


class GrooveHead(CategoricalHead):
    """The hits of `CategoricalHead`, with a velocity and an offset for every hit.

    Each voice's velocity and offset follow mixtures of discretised logistics over MIDI's levels
    and ticks. Their parameters depend on the state and on which voices are hit at the step. So
    feel is sampled, not averaged, and temperature affects it too. Given the state and the hits,
    the voices are independent.

    Source: replaces GrooVAE's deterministic means (Gillick et al. 2019, section 3), which
    flatten dynamics and timing.
    """

    @property
    def n_features(self) -> int:
        """Features per step: hits, velocities and offsets."""
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
        """Initialise each mixture's components to be wide and spread out."""
        bias = self.to_feel.bias.view(2 * N_VOICES, 3, self.n_mixtures)
        bias[:, 0] = 0
        # Not torch.linspace: on the meta device, used to load checkpoints, it imports SymPy.
        bias[:, 1] = torch.tensor(np.linspace(-0.5, 0.5, self.n_mixtures))
        bias[:, 2] = -2.0

    def feel_parameters(self, feel_states: Tensor, hits: Tensor) -> Tensor:
        """Return the mixture parameters of a step's velocities and offsets.

        Parameters
        ----------
        feel_states
            (..., feel size): states after `feel_of_state`.
        hits
            (..., 9): which voices are hit.

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
        """Draw the noise of a whole sequence; `shape` is (T, B); see the base class."""
        n_cells = 2 * N_VOICES
        widths = [DRUM_CLASSES.n_classes, n_cells * self.n_mixtures, n_cells]
        noise = _uniform(shape, sum(widths), self.table, generator)
        hits, components, values = torch.split(noise, widths, dim=-1)
        components = _to_gumbel(components).view(*shape, n_cells, self.n_mixtures)
        return Noise(_to_gumbel(hits), components, values.clamp_(_TINY, 1 - _TINY))

    def projection(self) -> tuple[Tensor, Tensor]:
        """Return the stacked weights of logits and feel; see the base class."""
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
        """Draw velocities and offsets for hits (..., 9); return the features (..., 27)."""
        parameters = on_whole_blocks(self.feel_parameters, feel_states, hits)
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
    """Return the argmax over (..., K); on a CPU with NumPy, which takes a sixth of the time."""
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
