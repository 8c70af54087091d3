"""Decoders: from z to decoder states, teacher-forced or free-running."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from musicvae_core.models.arithmetic import (
    PlanCache,
    Sampler,
    StepPlan,
    on_whole_blocks,
    product_dtype,
    step_dtype,
)
from musicvae_core.models.compiled import RunsSteps
from musicvae_core.models.heads import AnyHead, CategoricalHead, Noise, PartsHead

_CPU_ROWS = 256
"""Rows per batch of free-running decoding on a CPU. The working set then stays in cache, and 256
pieces of 16 bars take two thirds of the time."""


class FlatDecoder(RunsSteps):
    """A plain LSTM over all steps.

    A linear layer and a tanh turn z into the initial states of every layer. At every step, z is
    also concatenated to the previous output as input.

    Source: Roberts et al. 2018, section 3.1, and Magenta's `CategoricalLstmDecoder`.

    Deviation: with a step size, a linear layer of z gives every step a few inputs of its own,
    so that the LSTM need not count steps to find the information meant for one of them.

    Parameters
    ----------
    n_features, size, n_layers, z_size
        Features per step, width, depth, and latent dimensions.
    n_steps, step_size
        Sequence length, and width of the direct path to every step; 0 for none.
    context_size
        Width of an external context, given at every step for any number of steps; it replaces
        the direct path.
    """

    def __init__(
        self,
        n_features: int,
        size: int,
        n_layers: int,
        z_size: int,
        n_steps: int = 0,
        step_size: int = 0,
        context_size: int = 0,
    ) -> None:
        super().__init__()
        self.n_steps, self.step_size = n_steps, step_size
        self.size, self.n_layers, self.n_features = size, n_layers, n_features
        self.to_initial = nn.Linear(z_size, 2 * n_layers * size)
        self.to_steps = nn.Linear(z_size, n_steps * step_size) if step_size else None
        n_inputs = n_features + z_size + step_size + context_size
        self.lstm = nn.LSTM(n_inputs, size, num_layers=n_layers, batch_first=True)
        self._plans: PlanCache[StepPlan] = PlanCache()

    def initial_states(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return initial hidden and cell states, each (layers, B, H), of z (B, Z)."""
        states = torch.tanh(self.to_initial(z))
        states = states.view(-1, 2, self.n_layers, self.size)  # (B, 2, layers, H)
        hidden, cell = states.permute(1, 2, 0, 3).contiguous()
        return hidden, cell

    def forward(self, z: Tensor, previous: Tensor, context: Tensor | None = None) -> Tensor:
        """Decode with given previous outputs: teacher forcing.

        Parameters
        ----------
        z
            (B, Z).
        previous
            (B, T, F): at each step the output of the step before, zeros at the first.
        context
            (B, T, context size), for a decoder with an external context.

        Returns
        -------
        (B, T, H) states for the head.
        """
        steps = self._step_inputs(z) if context is None else context
        repeated = z.unsqueeze(1).expand(-1, previous.shape[1], -1)  # (B, T, Z)
        parts = [previous, repeated, *([] if steps is None else [steps])]
        inputs = torch.cat([part.to(previous.dtype) for part in parts], dim=-1)
        states: Tensor = self.lstm(inputs, self.initial_states(z))[0]
        return states

    def _step_inputs(self, z: Tensor) -> Tensor | None:
        """Return z's direct input to each step, (B, T, step size); None without that path."""
        if self.to_steps is None:
            return None
        steps: Tensor = on_whole_blocks(self.to_steps, z)
        return steps.view(-1, self.n_steps, self.step_size)

    @torch.no_grad()
    def generate(
        self,
        z: Tensor,
        head: CategoricalHead,
        temperature: float,
        generator: torch.Generator | None = None,
        n_noise_rows: int | None = None,
    ) -> Tensor:
        """Free-running decoding: each step is conditioned on the previous sample.

        Parameters
        ----------
        z
            (B, Z).
        head
            The head that samples the steps.
        temperature
            Logit divisor; 0 takes the most likely choice.
        generator
            Source of randomness; unused at temperature 0.
        n_noise_rows
            Number of rows to draw noise for; it is repeated for the rest. None: for every row.

        Returns
        -------
        (B, T, F) features.
        """

        def draw_noise(n_rows: int) -> Noise | None:
            return head.draw_noise((self.n_steps, n_rows), generator) if temperature > 0 else None

        shared = draw_noise(n_noise_rows) if n_noise_rows else None

        # Noise is drawn row by row, so decoding in parts changes nothing.
        def decode(z: Tensor, rows: Tensor) -> Tensor:
            noise = draw_noise(len(z)) if shared is None else shared.select_rows(rows)
            sampler = head.sampler(temperature, noise)
            return self.run(z, self._step_inputs(z), self.n_steps, sampler)

        n_rows = _CPU_ROWS if z.device.type == "cpu" else len(z)
        rows = torch.arange(len(z), device=z.device) % (n_noise_rows or len(z))
        parts = zip(torch.split(z, n_rows), torch.split(rows, n_rows), strict=True)
        if step_dtype(z.device) == torch.int8:  # exact for any number of rows
            return torch.cat([decode(*part) for part in parts])
        return torch.cat([on_whole_blocks(decode, *part) for part in parts])

    def run(
        self,
        z: Tensor,
        step_inputs: Tensor | None,
        n_steps: int,
        sampler: Sampler,
    ) -> Tensor:
        """Free-running decoding with a given sampler.

        Parameters
        ----------
        z
            (B, Z).
        step_inputs
            (B, T, step or context size): extra input of each step; None for none.
        n_steps
            T.
        sampler
            As in `StepPlan.run`.

        Returns
        -------
        (B, T, F) features.
        """
        dtype, head = step_dtype(z.device), sampler.head
        plan = self._plans.get(
            dtype,
            [*self.to_initial.parameters(), *self.lstm.parameters(), *head.parameters()],
            lambda: StepPlan.of(self.to_initial, self.lstm, head, self.n_features, dtype),
        )
        return self.run_plan(plan, z, step_inputs, n_steps, sampler)


class _PartDecoders(nn.Module):
    """A flat decoder for each of several parts, with inputs and states concatenated.

    Each part is conditioned on its own portion of z and its own previous output.

    Parameters
    ----------
    part_features
        Features per step of each part.
    size, z_size, n_steps, step_size
        Dimensions of one part's decoder; see `FlatDecoder`.
    n_layers
        Depth of each part's decoder.
    """

    def __init__(
        self,
        part_features: Sequence[int],
        size: int,
        n_layers: Sequence[int],
        z_size: int,
        n_steps: int,
        step_size: int = 0,
    ) -> None:
        super().__init__()
        self.part_features = list(part_features)
        self.parts = nn.ModuleList(
            FlatDecoder(n_features, size, depth, z_size, n_steps, step_size)
            for n_features, depth in zip(self.part_features, n_layers, strict=True)
        )

    def forward(self, z: Tensor, previous: Tensor) -> Tensor:
        """Decode z (B, P * Z) into states (B, T, P * H), given previous outputs (B, T, F)."""
        split = torch.split(previous, self.part_features, dim=-1)
        portions = z.chunk(len(self.parts), dim=-1)
        states = [
            part(own, before) for part, own, before in zip(self.parts, portions, split, strict=True)
        ]
        return torch.cat(states, dim=-1)

    def generate(
        self,
        z: Tensor,
        head: PartsHead,
        temperature: float,
        generator: torch.Generator | None = None,
        n_noise_rows: int | None = None,
    ) -> Tensor:
        """Decode z (B, P * Z) free-running into features (B, T, F); see `FlatDecoder.generate`.

        Each part has its own random stream, so that an example's result does not depend on the
        batch size.
        """
        decoders: list[Any] = list(self.parts)
        drawn = [
            decoder.generate(own, part, temperature, _spawned(generator), n_noise_rows)
            for decoder, part, own in zip(
                decoders, head.parts.values(), z.chunk(len(decoders), dim=-1), strict=True
            )
        ]
        return torch.cat(drawn, dim=-1)


def _spawned(generator: torch.Generator | None) -> torch.Generator | None:
    """Return a new generator seeded from another."""
    if generator is None:
        return None
    seed = torch.randint(2**62, (), generator=generator, device=generator.device)
    return torch.Generator(generator.device).manual_seed(int(seed))


class _GroupedLinear(nn.Module):
    """A separate linear layer for each of several equal portions of a vector."""

    def __init__(self, n_portions: int, n_inputs: int, n_outputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(n_inputs, n_outputs) for _ in range(n_portions))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., portions * inputs) to (..., portions * outputs)."""
        portions = x.chunk(len(self.layers), dim=-1)
        return torch.cat(
            [layer(own) for layer, own in zip(self.layers, portions, strict=True)], dim=-1
        )


class ConductorDecoder(nn.Module):
    """A conductor LSTM that gives every bar an embedding, and a decoder for single bars.

    z sets the conductor's initial states. The conductor is not fed the decoded output, so bars
    are coordinated only through z, and all bars decode in parallel. The bottom decoder restarts
    at every bar and treats the bar's embedding as a flat decoder treats z.

    Source: Roberts et al. 2018, section 3.2.

    Deviation: each bar owns a part of z. A linear layer, the same for all bars, turns that part
    into the conductor's input and is also added to the bar's embedding: the direct path of
    `FlatDecoder`, for bars. Without it, all of z passes through the conductor's initial states,
    as in the paper.

    Parameters
    ----------
    n_features, size, n_layers, z_size
        Features per step, width and depth of the bottom decoder, and latent dimensions. Given
        features and a depth for each of several parts, there is one bottom decoder per part:
        every part of every bar has its own portion of z and of the bar's embedding, and the
        conductor reads all of them.
    n_bars, conductor_size, bar_size
        Bars per sequence, width of the conductor, and width of a bar's embedding for one part.
    steps_per_bar
        Steps in a bar.
    step_size
        Width of the direct path from a bar's embedding to every step; 0 for none.
    bar_paths
        Whether bars have these direct paths; with several parts, they always do.
    """

    def __init__(
        self,
        n_features: int | Sequence[int],
        size: int,
        n_layers: int | Sequence[int],
        z_size: int,
        n_bars: int,
        conductor_size: int,
        bar_size: int,
        *,
        steps_per_bar: int,
        step_size: int = 0,
        bar_paths: bool = True,
    ) -> None:
        super().__init__()
        self.n_bars, self.steps_per_bar = n_bars, steps_per_bar
        self.to_initial = nn.Linear(z_size, 2 * conductor_size)
        of_bar = (bar_size, steps_per_bar, step_size)
        self.to_bars: nn.Module | None
        self.bottom: Any
        if isinstance(n_features, int):
            assert isinstance(n_layers, int)
            n_parts = 1
            self.to_bars = nn.Linear(z_size // n_bars, bar_size) if bar_paths else None
            self.bottom = FlatDecoder(n_features, size, n_layers, *of_bar)
        else:
            assert not isinstance(n_layers, int)
            n_parts = len(n_features)
            self.to_bars = _GroupedLinear(n_parts, z_size // (n_bars * n_parts), bar_size)
            self.bottom = _PartDecoders(n_features, size, n_layers, *of_bar)
        self.conductor = nn.LSTM(n_parts * bar_size, conductor_size, batch_first=True)
        self.to_embedding = nn.Linear(conductor_size, n_parts * bar_size)

    def embeddings(self, z: Tensor) -> Tensor:
        """Return the embeddings (B, U, bar size) of all bars of z (B, Z)."""
        embeddings: Tensor = on_whole_blocks(self._embeddings, z)
        return embeddings

    def _embeddings(self, z: Tensor) -> Tensor:
        if self.to_bars is None:
            bars = z.new_zeros(len(z), self.n_bars, self.conductor.input_size)
        else:
            bars = self.to_bars(z.view(len(z), self.n_bars, -1))  # (B, U, bar size)
        hidden, cell = torch.tanh(self.to_initial(z)).unsqueeze(0).chunk(2, dim=-1)
        outputs, _ = self.conductor(bars, (hidden.contiguous(), cell.contiguous()))
        return torch.add(bars, self.to_embedding(outputs))

    def forward(self, z: Tensor, previous: Tensor) -> Tensor:
        """Decode with given previous outputs; each bar's first step gets zeros.

        See `FlatDecoder.forward`.
        """
        n_examples, n_steps, n_features = previous.shape
        embeddings = self.embeddings(z).flatten(0, 1)  # (B * U, bar size)
        # (B * U, steps of a bar, F)
        bars = previous.reshape(-1, self.steps_per_bar, n_features)
        bars = torch.cat([torch.zeros_like(bars[:, :1]), bars[:, 1:]], dim=1)
        states: Tensor = self.bottom(embeddings, bars)
        return states.reshape(n_examples, n_steps, -1)  # (B, T, H)

    @torch.no_grad()
    def generate(
        self,
        z: Tensor,
        head: AnyHead,
        temperature: float,
        generator: torch.Generator | None = None,
        n_noise_rows: int | None = None,
    ) -> Tensor:
        """Free-running decoding of all bars in parallel; see `FlatDecoder.generate`.

        The bottom decoder has one row per bar.
        """
        half = product_dtype(z.device) == torch.bfloat16
        with torch.autocast(z.device.type, torch.bfloat16, enabled=half):
            embeddings = self.embeddings(z).float()
        return self.generate_bars(embeddings, head, temperature, generator, n_noise_rows)

    def generate_bars(
        self,
        embeddings: Tensor,
        head: AnyHead,
        temperature: float,
        generator: torch.Generator | None = None,
        n_noise_rows: int | None = None,
    ) -> Tensor:
        """Decode bars from their embeddings (B, U, bar size) into features (B, T, F)."""
        rows = embeddings.flatten(0, 1)  # (B * U, bar size)
        features: Tensor = self.bottom.generate(rows, head, temperature, generator, n_noise_rows)
        return features.view(len(embeddings), -1, features.shape[-1])


def shift_right(features: Tensor) -> Tensor:
    """Return the decoder's inputs under teacher forcing, (B, T, F).

    Each step gets the features of the step before; the first step gets zeros.
    """
    return torch.cat([torch.zeros_like(features[:, :1]), features[:, :-1]], dim=1)
