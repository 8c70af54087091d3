"""What training minimises, against `torch.distributions` and by hand."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from musicvae_core.models.encoder import kl_nats
from musicvae_core.models.musicvae import _beyond_free_bits, elbo_losses

B, Z = 5, 7


@pytest.fixture
def posterior():
    generator = torch.Generator().manual_seed(0)
    mu = torch.randn(B, Z, generator=generator)
    return mu, torch.rand(B, Z, generator=generator) * 2 + 0.01


HITS, VELOCITIES, OFFSETS = (torch.full((B,), nats) for nats in (4.0, 2.0, 1.0))


def joined(kl, *, kl_weights=None, beta=1.0, free_bits=0.0, feel_weight=1.0, **terms):
    weights = torch.ones(len(kl)) if kl_weights is None else kl_weights
    return elbo_losses(
        {"kl": kl, **terms}, weights, beta=beta, free_bits=free_bits, feel_weight=feel_weight
    )


def test_divergence_is_that_of_torch_summed_over_z(posterior):
    mu, sigma = posterior
    expected = kl_divergence(Normal(mu, sigma), Normal(0.0, 1.0)).sum(dim=-1)
    torch.testing.assert_close(kl_nats(mu, sigma), expected)


def test_the_prior_itself_costs_nothing():
    assert kl_nats(torch.zeros(B, Z), torch.ones(B, Z)).tolist() == [0.0] * B


def test_free_bits_are_a_budget_in_bits_for_the_whole_of_z():
    kl = torch.tensor([1.0, 48 * math.log(2), 40.0])
    beyond = _beyond_free_bits(kl, 48.0)
    torch.testing.assert_close(beyond, torch.tensor([0.0, 0.0, 40.0 - 48 * math.log(2)]))


def test_the_budget_is_each_examples_own():
    kl = torch.tensor([0.0, 0.0, 0.0, 0.0, 10.0])
    losses = joined(kl, free_bits=5 / math.log(2), hits=HITS)
    # A budget spent by the mean of the batch, 2, would cost nothing.
    assert float(losses["loss/total"]) == pytest.approx(4 + (10 - 5) / B)


def test_each_example_weighs_its_divergence():
    kl, weights = torch.full((B,), 3.0), torch.tensor([0.0, 0.0, 0.0, 0.0, 2.0])
    losses = joined(kl, kl_weights=weights, beta=0.5, hits=HITS)
    assert float(losses["loss/total"]) == pytest.approx(4 + 0.5 * 2 * 3 / B)
    assert float(losses["kl/nats"]) == 3


def test_terms_are_averaged_and_weighted():
    kl, feel = torch.full((B,), 3.0), {"velocities": VELOCITIES, "offsets": OFFSETS}
    losses = joined(kl, beta=0.5, feel_weight=0.25, hits=HITS, **feel)
    assert {name: float(value) for name, value in losses.items()} == pytest.approx(
        {
            "loss/total": 4.0 + 0.25 * (2.0 + 1.0) + 0.5 * 3.0,
            "kl/nats": 3.0,
            "recon/hits": 4.0,
            "recon/velocities": 2.0,
            "recon/offsets": 1.0,
        }
    )


def test_without_feel_there_are_no_terms_of_feel():
    losses = joined(torch.zeros(B), feel_weight=9.0, hits=HITS)
    assert set(losses) == {"loss/total", "kl/nats", "recon/hits"}
    assert float(losses["loss/total"]) == 4.0


def test_within_the_budget_the_divergence_has_no_gradient(posterior):
    mu, sigma = (part.requires_grad_() for part in posterior)
    for free_bits, is_free in ((1e6, True), (0.0, False)):
        losses = joined(kl_nats(mu, sigma), free_bits=free_bits, hits=torch.zeros(B))
        gradients = torch.autograd.grad(losses["loss/total"], (mu, sigma))
        assert all((gradient == 0).all() == is_free for gradient in gradients)
