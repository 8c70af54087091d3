"""Muon: matrices made orthogonal, in float32 on any processor."""

import pytest
import torch
from torch import nn

from musicvae_core.training.run import Muon, _orthogonalised


@pytest.mark.parametrize("shape", [(24, 24), (96, 24), (24, 96)])
def test_singular_values_are_brought_near_one(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    update = _orthogonalised(matrix)
    assert update.shape == shape
    assert update.dtype == torch.float32
    sizes = torch.linalg.svdvals(update)
    assert sizes.min() > 0.4
    assert sizes.max() < 1.3


def test_a_zero_gradient_gives_a_zero_step():
    assert not _orthogonalised(torch.zeros(4, 4)).any()


def test_a_step_is_as_long_whatever_the_gradient_is():
    moved = []
    for size in (1.0, 1e-3):
        matrix = nn.Parameter(torch.zeros(8, 8))
        optimiser = Muon([matrix], learning_rate=0.1, weight_decay=0.0)
        matrix.grad = size * torch.eye(8)
        optimiser.step()
        moved.append(matrix.detach().clone())
    torch.testing.assert_close(moved[0], moved[1], rtol=1e-4, atol=1e-6)
    assert 0.06 < -moved[0].diagonal().mean() < 0.13


def test_the_optimiser_fits_a_linear_map():
    generator = torch.Generator().manual_seed(0)
    target = torch.linalg.qr(torch.randn(6, 6, generator=generator))[0]
    inputs = torch.randn(64, 6, generator=generator)
    matrix = nn.Parameter(torch.zeros(6, 6))
    optimiser = Muon([matrix], learning_rate=0.05, weight_decay=0.0)
    for step in range(80):
        optimiser.param_groups[0]["lr"] = 0.05 * (1 - step / 80)
        loss = ((inputs @ matrix.T - inputs @ target.T) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.01
