"""Learned priors over z: a flow from noise to the codes of real music, and the lab's noise.

At the divergence at which a model reconstructs well, the codes of real music fill little of
N(0, I), and plain samples from it fall into the holes between. The flow is fitted to the
codes of the train split afterwards, and leaves encoder and decoder as they are, so that one
checkpoint both reconstructs and samples.

Source: flow matching along straight paths, Lipman et al. 2023 (arXiv 2210.02747), section
4.1, with a residual network in place of theirs, and times drawn from the logistic of a
standard normal, which dwells where the path is hardest (Esser et al. 2024, section 3.1).
Where bars share z, every bar's part of it is a token, and a block also attends over the bars
(Vaswani et al. 2017, section 3.2): what makes bars repeat and vary is then learned alike
wherever it happens. Codes are not standardised: the KL term has scaled them already, and a
dimension that says little stays small.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from musicvae_core.errors import ConfigError
from musicvae_core.models.arithmetic import on_whole_blocks
from musicvae_core.models.conditioning import Kept
from musicvae_core.models.config import Config, Size

_N_FREQUENCIES = 16
_TIME_SIZE = 64


class PriorConfig(Config):
    """Width and depth of the network, steps of the solver that draws from it, and spread.

    Six steps of the solver bring the codes of `drums_2bar` within 0.5% of the variance of where 24
    runs of the network bring them. Over bars, whose flow bends more, it takes 16 for 1.8%
    (`groove_16bar`).

    n_parts is into how many parts z falls, 1 for a z that is one whole; with more, blocks have
    n_heads heads of attention.

    spread multiplies what is drawn. Samples of the fitted flow have about .89 of the codes'
    variance in every dimension, which makes timing too tight; stretched to all of it they
    stray between the codes and use too many voices. 1.03 brought both within 0.2 standard
    deviations of the train split, on which it was chosen among 1, 1.02, 1.03, 1.04 and 1.06.
    """

    width: Size = 512
    depth: Size = 5
    n_solver_steps: Size = 6
    spread: Annotated[float, Field(gt=0, le=2)] = 1.03
    n_parts: Size = 1
    n_heads: Size = 4

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        if self.n_parts > 1 and self.width % self.n_heads:
            raise ConfigError(
                f"width is {self.width!r}; it must be a multiple of n_heads, {self.n_heads}."
            )


class _Attention(nn.Module):
    """Attention of every part to all parts, added to what it was."""

    def __init__(self, width: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.norm = nn.LayerNorm(width)
        self.to_all = nn.Linear(width, 3 * width)
        self.outer = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, parts, W) to (B, parts, W)."""
        n_examples, n_parts, width = x.shape
        heads = self.to_all(self.norm(x)).view(n_examples, n_parts, 3, self.n_heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each (B, heads, parts, W / heads)
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        updated: Tensor = x + self.outer(mixed.transpose(1, 2).reshape(n_examples, n_parts, width))
        return updated


class _Block(nn.Module):
    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        width = config.width
        self.attention = _Attention(width, config.n_heads) if config.n_parts > 1 else None
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulate = nn.Linear(_TIME_SIZE, 2 * width)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Return x (B, parts, W) updated at a time that is embedded as (B, 1, time size)."""
        if self.attention is not None:
            x = self.attention(x)
        scale, shift = on_whole_blocks(self.modulate, time).chunk(2, dim=-1)
        inner = nn.functional.silu(self.inner(self.norm(x) * (1 + scale) + shift))
        updated: Tensor = x + self.outer(inner)
        return updated


class LatentPrior(nn.Module):
    """Velocity field of a flow that carries N(0, I) at time 0 to the codes at time 1.

    Parameters
    ----------
    config
        Dimensions of the network.
    z_size
        Z.
    """

    def __init__(self, config: PriorConfig, z_size: int) -> None:
        super().__init__()
        self.config, self.z_size = config, z_size
        part_size = z_size // config.n_parts
        self.into = nn.Linear(part_size, config.width)
        self.time = nn.Sequential(nn.Linear(2 * _N_FREQUENCIES, _TIME_SIZE), nn.SiLU())
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.depth))
        self.out = nn.Linear(config.width, part_size)
        self.places: nn.Parameter | None = None
        if config.n_parts > 1:
            places = torch.empty(config.n_parts, config.width)
            self.places = nn.Parameter(nn.init.trunc_normal_(places, std=0.02))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        """Return the velocity (B, Z) at codes x (B, Z) and times (B,) in 0..1."""
        velocity: Tensor = on_whole_blocks(self._velocity, x, time, rows_each=self.config.n_parts)
        return velocity

    def _velocity(self, x: Tensor, time: Tensor) -> Tensor:
        powers = torch.arange(_N_FREQUENCIES, device=x.device) / _N_FREQUENCIES
        angles = time.unsqueeze(-1) * (2 * math.pi * 64**powers)  # (B, frequencies)
        waves = torch.cat([angles.sin(), angles.cos()], dim=-1)
        embedded = on_whole_blocks(self.time, waves).unsqueeze(1)  # (B, 1, time size)
        hidden = self.into(x.view(len(x), self.config.n_parts, -1))  # (B, parts, W)
        if self.places is not None:
            hidden = hidden + self.places
        for block in self.blocks:
            hidden = block(hidden, embedded)
        velocity: Tensor = self.out(hidden).flatten(1)
        return velocity

    def loss(self, codes: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Return the flow matching loss of codes (B, Z), a scalar."""
        noise = torch.randn(codes.shape, generator=generator, device=codes.device)
        time = torch.randn(len(codes), generator=generator, device=codes.device).sigmoid()
        between = noise + time.unsqueeze(-1) * (codes - noise)
        return nn.functional.mse_loss(self(between, time).float(), codes - noise)

    @torch.no_grad()
    def sample(self, noise: Tensor) -> Tensor:
        """Carry standard normal noise (B, Z) to codes (B, Z), by the solver's steps."""
        return self.config.spread * self._carry(noise, torch.zeros(len(noise), device=noise.device))

    @torch.no_grad()
    def refine(self, codes: Tensor, time: Tensor) -> Tensor:
        """Draw codes towards those of real music: take them back to a time, and on again.

        Parameters
        ----------
        codes
            (B, Z).
        time
            (B,) in 0..1, how much is left of each code; 1 changes nothing.

        Source: Meng et al. 2022 (SDEdit, arXiv 2108.01073), section 3, here along a flow, and
        without their noise, so that a path stays one.
        """
        return self._carry(time.unsqueeze(-1) * codes, time)

    @torch.no_grad()
    def redraw(self, codes: Tensor, chosen: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        """Draw a part of codes anew, so that it fits the rest, which is held.

        Parameters
        ----------
        codes, noise
            (B, Z); the noise standard normal.
        chosen
            (B, Z) bool: what is drawn anew.
        time
            (B,) in 0..1, how much is left of it: 0 is wholly new, 1 changes nothing.

        Source: Song et al. 2021 (arXiv 2011.13456), section 5: what is known is put in at every
        step as noisy as the rest; here along straight paths.
        """

        def hold(x: Tensor, at: Tensor) -> Tensor:
            kept = at.unsqueeze(-1)
            return torch.where(chosen, x, kept * codes + (1 - kept) * noise)

        kept = time.unsqueeze(-1)
        drawn = self._carry(kept * codes + (1 - kept) * noise, time, hold)
        return hold(drawn, torch.ones_like(time))

    def _carry(
        self,
        x: Tensor,
        start: Tensor,
        hold: Callable[[Tensor, Tensor], Tensor] = lambda x, time: x,
    ) -> Tensor:
        """Follow the flow from times (B,) to time 1.

        `hold` may put another place for where the flow has come at a time.

        Source: the two-step Adams-Bashforth method (Hairer, Norsett and Wanner 1993, section
        III.1): one run of the network a step. With six runs the error is a third of what the
        midpoint rule leaves (`drums_2bar`).
        """
        n_steps, left = self.config.n_solver_steps, 1 - start  # (B,)
        step_size = (left / n_steps).unsqueeze(-1)
        before: Tensor | None = None
        for step in range(n_steps):
            velocity = self(x, start + step / n_steps * left)
            slope = velocity if before is None else 1.5 * velocity - 0.5 * before
            x = hold(x + step_size * slope, start + (step + 1) / n_steps * left)
            before = velocity
        return x


class CodeNoise(nn.Module):
    """A Gaussian with correlations, one for each kind of what is hidden, see `Kept.kinds`.

    The prior that is trained has independent dimensions, so that a code drawn from it lies
    between the codes of real grooves where these lie on a slant: velocities and timing then
    differ less from groove to groove than they do in truth. Here the noise gets the mean and
    the covariance that the codes of the train split have beside that prior. Until it is
    fitted it is N(0, I), and changes nothing.

    Source: ours; a density fitted to the codes of a finished model is Ghosh et al. 2020,
    section 4.

    Parameters
    ----------
    z_size
        Latent dimensions.
    """

    means: Tensor
    roots: Tensor

    def __init__(self, z_size: int) -> None:
        super().__init__()
        self.register_buffer("means", torch.zeros(Kept.N_KINDS, z_size))
        self.register_buffer("roots", torch.eye(z_size).repeat(Kept.N_KINDS, 1, 1))
        self.register_load_state_dict_pre_hook(_leave_unfitted)  # type: ignore[no-untyped-call]

    def forward(self, noise: Tensor, kinds: Tensor) -> Tensor:
        """Return standard normal noise (B, Z) as that of grooves of the kinds (B,)."""
        turned = self.roots[kinds] @ noise.unsqueeze(-1)  # (B, Z, 1)
        return self.means[kinds] + turned.squeeze(-1)

    def log_prob(self, residuals: Tensor, kinds: Tensor) -> Tensor:
        """Return the log density (B,) of noise (B, Z)."""
        roots = self.roots[kinds]
        law = MultivariateNormal(self.means[kinds], covariance_matrix=roots @ roots)
        density: Tensor = law.log_prob(residuals)  # type: ignore[no-untyped-call]
        return density

    def set_law(self, kind: int, mean: Tensor, covariance: Tensor) -> None:
        """Set the mean (Z,) and the covariance (Z, Z) of one kind.

        Its symmetric root is the one that moves noise the least, so that the code of a long
        groove stays near itself where the kind changes from one stretch to the next.
        """
        values, vectors = torch.linalg.eigh(covariance)
        self.means[kind] = mean
        self.roots[kind] = vectors @ torch.diag(values.clamp(min=0).sqrt()) @ vectors.T


def _leave_unfitted(noise: CodeNoise, tensors: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Read N(0, I) from checkpoints that are older than this noise."""
    for name, law in CodeNoise(noise.means.shape[1]).named_buffers():
        tensors.setdefault(prefix + name, law)
