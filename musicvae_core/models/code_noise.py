"""What the noise of z is turned into before it is added to the prior's mean."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from musicvae_core.kept import N_KINDS


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
        self.register_buffer("means", torch.zeros(N_KINDS, z_size))
        self.register_buffer("roots", torch.eye(z_size).repeat(N_KINDS, 1, 1))

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

    def forget(self) -> None:
        """Go back to N(0, I)."""
        self.means.zero_()
        self.roots.copy_(torch.eye(self.means.shape[1]))
