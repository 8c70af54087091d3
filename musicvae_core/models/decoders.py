"""Decoders: from z to decoder states, fed with the truth or with their own output."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from musicvae_core.models.fast_lstm import Arranged
from musicvae_core.models.free_running import StepPlan, product_dtype
from musicvae_core.models.heads import CategoricalHead, Noise
from musicvae_core.vocabulary import STEPS_PER_BAR

_CPU_ROWS = 256
"""Rows that run free together on a CPU: what they work on then stays in its caches, and 256
pieces of 16 bars take two thirds of the time."""


class FlatDecoder(nn.Module):
    """A plain LSTM over all steps.

    z gives, through a linear layer and a tanh, the initial states of every layer; z is also
    joined to the previous output as the input of every step.

    Source: Roberts et al. 2018, section 3.1, and Magenta's `CategoricalLstmDecoder`.

    Deviation: with a step size, a linear layer of z gives every step a few inputs of its own,
    so that what z says of one step need not be found by counting to it.

    Parameters
    ----------
    n_features, size, n_layers, z_size
        Features a step, width, depth, and latent dimensions.
    n_steps, step_size
        Sequence length, and width of the direct path to every step; 0 for none.
    context_size
        Width of what else is heard at every step, given from outside and for any number of
        steps; it takes the place of the direct path.
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
        self._plans: Arranged[StepPlan] = Arranged()

    def initial_states(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return hidden and cell states, each (layers, B, H), of z (B, Z)."""
        states = torch.tanh(self.to_initial(z))
        states = states.view(-1, 2, self.n_layers, self.size)  # (B, 2, layers, H)
        hidden, cell = states.permute(1, 2, 0, 3).contiguous()
        return hidden, cell

    def forward(self, z: Tensor, previous: Tensor, context: Tensor | None = None) -> Tensor:
        """Decode under given inputs.

        Parameters
        ----------
        z
            (B, Z).
        previous
            (B, T, F): at each step the output of the step before, zeros at the first.
        context
            (B, T, context size), for a decoder that hears one.

        Returns
        -------
        (B, T, H) states for the head.
        """
        steps = self._of_steps(z) if context is None else context
        repeated = z.unsqueeze(1).expand(-1, previous.shape[1], -1)  # (B, T, Z)
        heard = [previous, repeated, *([] if steps is None else [steps])]
        inputs = torch.cat([part.to(previous.dtype) for part in heard], dim=-1)
        states: Tensor = self.lstm(inputs, self.initial_states(z))[0]
        return states

    def _of_steps(self, z: Tensor) -> Tensor | None:
        """Return what z says to every single step, (B, T, step size); None without the path."""
        if self.to_steps is None:
            return None
        steps: Tensor = self.to_steps(z).view(-1, self.n_steps, self.step_size)
        return steps

    def generate(
        self,
        z: Tensor,
        head: CategoricalHead,
        temperature: float,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Decode free-running: every step hears what was drawn at the step before.

        Parameters
        ----------
        z
            (B, Z).
        head
            The head that draws the steps.
        temperature
            Logit divisor; 0 takes the most likely choice.
        generator
            Source of randomness; unused at temperature 0.

        Returns
        -------
        (B, T, F) features.
        """
        n_parts = -(-len(z) // _CPU_ROWS) if z.device.type == "cpu" else 1
        parts = z.chunk(max(1, n_parts))
        return torch.cat([self._generate(part, head, temperature, generator) for part in parts])

    def _generate(
        self,
        z: Tensor,
        head: CategoricalHead,
        temperature: float,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Decode some rows; noise goes row by row, so that parts get what the whole would."""
        noise = head.draw_noise((self.n_steps, z.shape[0]), generator) if temperature > 0 else None
        return self.run(z, self._of_steps(z), self.n_steps, head, temperature, noise)

    def run(
        self,
        z: Tensor,
        of_steps: Tensor | None,
        n_steps: int,
        head: CategoricalHead,
        temperature: float,
        noise: Noise | None,
    ) -> Tensor:
        """Decode free-running under given noise.

        Parameters
        ----------
        z
            (B, Z).
        of_steps
            (B, T, step or context size): what every step hears of its own; None for nothing.
        n_steps
            T.
        head, temperature, noise
            As `StepPlan.run`.

        Returns
        -------
        (B, T, F) features.
        """
        plan = self._step_plan(head, product_dtype(z.shape[0], z.device))
        return plan.run(z, of_steps, n_steps, head, temperature, noise)

    def _step_plan(self, head: CategoricalHead, dtype: torch.dtype) -> StepPlan:
        """Return the weights arranged for running free, made anew when they have changed."""
        return self._plans.get(
            dtype,
            [*self.to_initial.parameters(), *self.lstm.parameters(), *head.parameters()],
            lambda: StepPlan.of(self.to_initial, self.lstm, head, self.n_features, dtype),
        )


class ConductorDecoder(nn.Module):
    """A conductor LSTM that gives every bar an embedding, and a flat decoder of single bars.

    z gives the conductor's initial states; the conductor is not fed what was decoded, so all
    that bars know of one another goes through z, and all bars decode at the same time. The
    bottom decoder starts anew at every bar: its bar's embedding is to it what z is to a flat
    decoder of one bar.

    Source: Roberts et al. 2018, section 3.2.

    Deviation: every bar has its own part of z, from which a linear layer, the same for all
    bars, gives the conductor an input; it is also added to the bar's embedding. This is the
    direct path of `FlatDecoder`, for bars.

    Parameters
    ----------
    n_features, size, n_layers, z_size
        Features a step, width and depth of the bottom decoder, and latent dimensions.
    n_bars, conductor_size, bar_size
        Bars a sequence, width of the conductor, and of a bar's embedding.
    step_size
        Width of the direct path from a bar's embedding to every step; 0 for none.
    """

    def __init__(
        self,
        n_features: int,
        size: int,
        n_layers: int,
        z_size: int,
        n_bars: int,
        conductor_size: int,
        bar_size: int,
        step_size: int = 0,
    ) -> None:
        super().__init__()
        self.n_bars = n_bars
        self.to_initial = nn.Linear(z_size, 2 * conductor_size)
        self.to_bars = nn.Linear(z_size // n_bars, bar_size)
        self.conductor = nn.LSTM(bar_size, conductor_size, batch_first=True)
        self.to_embedding = nn.Linear(conductor_size, bar_size)
        self.bottom = FlatDecoder(n_features, size, n_layers, bar_size, STEPS_PER_BAR, step_size)

    def embeddings(self, z: Tensor) -> Tensor:
        """Return the embeddings of all bars, (B, U, bar size), of z (B, Z)."""
        bars = self.to_bars(z.view(len(z), self.n_bars, -1))  # (B, U, bar size)
        hidden, cell = torch.tanh(self.to_initial(z)).unsqueeze(0).chunk(2, dim=-1)
        outputs, _ = self.conductor(bars, (hidden.contiguous(), cell.contiguous()))
        embeddings: Tensor = bars + self.to_embedding(outputs)
        return embeddings

    def forward(self, z: Tensor, previous: Tensor) -> Tensor:
        """Decode under given inputs, each bar's first left out; see `FlatDecoder.forward`."""
        n_examples, n_steps, n_features = previous.shape
        embeddings = self.embeddings(z).flatten(0, 1)  # (B * U, bar size)
        bars = previous.reshape(-1, STEPS_PER_BAR, n_features)  # (B * U, 16, F)
        bars = torch.cat([torch.zeros_like(bars[:, :1]), bars[:, 1:]], dim=1)
        states: Tensor = self.bottom(embeddings, bars)
        return states.reshape(n_examples, n_steps, -1)  # (B, T, H)

    def generate(
        self,
        z: Tensor,
        head: CategoricalHead,
        temperature: float,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Decode free-running, all bars at once; see `FlatDecoder.generate`.

        Of many pieces the conductor, too, multiplies in bfloat16 (`product_dtype`): the accuracy
        of `drums_16bar_hier` stays at .9933.
        """
        half = product_dtype(len(z), z.device) == torch.bfloat16
        with torch.autocast(z.device.type, torch.bfloat16, enabled=half):
            embeddings = self.embeddings(z).float()
        return self.generate_bars(embeddings, head, temperature, generator)

    def generate_bars(
        self,
        embeddings: Tensor,
        head: CategoricalHead,
        temperature: float,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Decode bars from their embeddings (B, U, bar size) into features (B, U * 16, F)."""
        rows = embeddings.flatten(0, 1)  # (B * U, bar size)
        features = self.bottom.generate(rows, head, temperature, generator)
        return features.view(len(embeddings), -1, features.shape[-1])
