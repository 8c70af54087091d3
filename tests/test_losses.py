"""What training minimises, against `torch.distributions` and by hand."""

import math

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from musicvae_core.losses import beyond_free_bits, elbo_losses, kl_nats

B, T, Z = 5, 4, 7


@pytest.fixture
def posterior():
    generator = torch.Generator().manual_seed(0)
    mu = torch.randn(B, Z, generator=generator)
    return mu, torch.rand(B, Z, generator=generator) * 2 + 0.01


@pytest.fixture
def log_probs():
    return {
        "hits": torch.full((B, T), -1.0),
        "velocities": torch.full((B, T), -0.5),
        "offsets": torch.full((B, T), -0.25),
    }


def test_divergence_is_that_of_torch_summed_over_z(posterior):
    mu, sigma = posterior
    expected = kl_divergence(Normal(mu, sigma), Normal(0.0, 1.0)).sum(dim=-1)
    torch.testing.assert_close(kl_nats(mu, sigma), expected)


def test_the_prior_itself_costs_nothing():
    assert kl_nats(torch.zeros(B, Z), torch.ones(B, Z)).tolist() == [0.0] * B


def test_free_bits_are_a_budget_in_bits_for_the_whole_of_z():
    kl = torch.tensor([1.0, 48 * math.log(2), 40.0])
    beyond = beyond_free_bits(kl, 48.0)
    torch.testing.assert_close(beyond, torch.tensor([0.0, 0.0, 40.0 - 48 * math.log(2)]))


def test_the_budget_is_each_examples_own(log_probs):
    kl = torch.tensor([0.0, 0.0, 0.0, 0.0, 10.0])
    losses = elbo_losses(
        {"hits": log_probs["hits"]}, kl, beta=1.0, free_bits=5 / math.log(2), feel_weight=1.0
    )
    # A budget spent by the mean of the batch, 2, would cost nothing.
    assert float(losses["loss/total"]) == pytest.approx(T * 1.0 + (10 - 5) / B)


def test_terms_are_summed_over_steps_and_weighted(log_probs):
    losses = elbo_losses(
        log_probs, torch.full((B,), 3.0), beta=0.5, free_bits=0.0, feel_weight=0.25
    )
    assert {name: float(value) for name, value in losses.items()} == pytest.approx(
        {
            "loss/total": 4.0 + 0.25 * (2.0 + 1.0) + 0.5 * 3.0,
            "kl/nats": 3.0,
            "recon/hits": 4.0,
            "recon/velocities": 2.0,
            "recon/offsets": 1.0,
        }
    )


def test_without_feel_there_are_no_terms_of_feel(log_probs):
    losses = elbo_losses(
        {"hits": log_probs["hits"]}, torch.zeros(B), beta=1.0, free_bits=0.0, feel_weight=9.0
    )
    assert set(losses) == {"loss/total", "kl/nats", "recon/hits"}
    assert float(losses["loss/total"]) == 4.0


def test_within_the_budget_the_divergence_has_no_gradient(posterior):
    mu, sigma = (part.requires_grad_() for part in posterior)
    log_probs = {"hits": torch.zeros(B, T)}
    for free_bits, is_free in ((1e6, True), (0.0, False)):
        losses = elbo_losses(
            log_probs, kl_nats(mu, sigma), beta=1.0, free_bits=free_bits, feel_weight=1.0
        )
        gradients = torch.autograd.grad(losses["loss/total"], (mu, sigma))
        assert all((gradient == 0).all() == is_free for gradient in gradients)
