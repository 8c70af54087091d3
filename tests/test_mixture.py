"""Mixtures of discretised logistics, against a naive sum in float64."""

import numpy as np
import pytest
import torch

from musicvae_core.models import mixture

K = 3
VELOCITY_BINS = (np.linspace(-1, 1, 127), 1 / 126)
OFFSET_BINS = (np.linspace(-1, 1, 121), 1 / 120)
"""Ticks of a step in either direction; the topmost is the next step's own and never played."""
BINS = pytest.mark.parametrize(
    ("centres", "half_bin"), [VELOCITY_BINS, OFFSET_BINS], ids=["velocities", "offsets"]
)


def random_parameters(n, seed=0):
    """Return (n, 3K): weights, means within the range or a little beyond, log scales."""
    rng = np.random.default_rng(seed)
    parts = rng.normal(0, 1, (n, K)), rng.uniform(-1.3, 1.3, (n, K)), rng.uniform(-5, 0, (n, K))
    return torch.tensor(np.concatenate(parts, axis=-1), dtype=torch.float32)


def naive_mass(parameters, centres, half_bin):
    """Return the probability of every bin of one mixture, component by component."""
    weights, means, log_scales = np.split(np.asarray(parameters, np.float64), 3)
    shares = np.exp(weights) / np.exp(weights).sum()
    mass = np.zeros(len(centres))
    for share, mean, log_scale in zip(shares, means, log_scales, strict=True):
        edges = np.append(centres - half_bin, centres[-1] + half_bin)
        below = 1 / (1 + np.exp(-(edges - mean) / np.exp(log_scale)))
        below[0], below[-1] = 0, 1
        mass += share * np.diff(below)
    return mass


def draw(parameters, n, temperature, seed=0):
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(n, generator=generator).clamp(1e-6, 1 - 1e-6)
    gumbel = -torch.log(-torch.log(torch.rand(n, K, generator=generator)))
    return mixture.sample(parameters.expand(n, -1), temperature, gumbel, uniform).numpy()


@BINS
def test_the_bins_take_all_the_probability(centres, half_bin):
    parameters = random_parameters(50).unsqueeze(1)
    values = torch.tensor(centres, dtype=torch.float32).expand(50, -1)
    log_probs = mixture.log_prob(parameters.expand(-1, len(centres), -1), values, half_bin)
    torch.testing.assert_close(log_probs.exp().sum(dim=1), torch.ones(50), rtol=0, atol=1e-4)


@BINS
def test_log_probability_is_a_difference_of_logistic_functions(centres, half_bin):
    for parameters in random_parameters(20, seed=1):
        mass = naive_mass(parameters, centres, half_bin)
        values = torch.tensor(centres, dtype=torch.float32)
        log_probs = mixture.log_prob(parameters.expand(len(centres), -1), values, half_bin)
        likely = mass > 1e-9  # in float64 the naive difference of smaller ones is noise
        expected = torch.tensor(np.log(mass[likely]), dtype=torch.float32)
        torch.testing.assert_close(log_probs[likely], expected, rtol=1e-3, atol=1e-3)


def test_samples_have_the_law_that_log_prob_scores():
    centres, half_bin = VELOCITY_BINS
    for seed in range(3):
        parameters = random_parameters(1, seed)[0]
        mass = naive_mass(parameters, centres, half_bin)
        drawn = draw(parameters, 20_000, temperature=1.0, seed=seed)
        bins = np.rint((drawn + 1) / (2 * half_bin)).astype(int)
        shares = np.bincount(bins, minlength=len(centres)) / len(bins)
        assert np.abs(np.cumsum(shares) - np.cumsum(mass)).max() < 0.015
        mean = mass @ centres
        assert drawn.mean() == pytest.approx(mean, abs=0.02)
        assert drawn.std() == pytest.approx(np.sqrt(mass @ (centres - mean) ** 2), abs=0.02)


def test_temperature_moves_spread_and_choice():
    one_wide = torch.tensor([9.0, 0.0, 0.0, 0.0, 0.5, -0.5, -2.5, -6.0, -6.0])
    cold, plain, hot = (draw(one_wide, 5000, t).std() for t in (0.5, 1.0, 2.0))
    assert cold == pytest.approx(plain / 2, rel=0.1)
    assert hot == pytest.approx(plain * 2, rel=0.2)
    two_sharp = torch.tensor([1.0, 0.0, -9.0, 0.5, -0.5, 0.0, -6.0, -6.0, -6.0])
    for temperature in (0.5, 1.0, 2.0):
        share = (draw(two_sharp, 20_000, temperature) > 0).mean()
        assert share == pytest.approx(1 / (1 + np.exp(-1 / temperature)), abs=0.02)


def test_temperature_zero_is_the_mean_of_means_kept_in_range():
    parameters = torch.tensor([0.0, np.log(2.0), -30.0, 0.4, -0.2, 0.0, -3.0, -2.0, -1.0])
    expected = torch.tensor((0.4 - 2 * 0.2) / 3)
    torch.testing.assert_close(mixture.mean(parameters), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(
        mixture.sample(parameters, 0.0, torch.zeros(K), torch.tensor(0.9)), mixture.mean(parameters)
    )
    beyond = torch.tensor([0.0, 0.0, 0.0, 5.0, 5.0, 5.0, 0.0, 0.0, 0.0])
    assert float(mixture.mean(beyond)) == 1.0


@pytest.mark.parametrize("log_scale", [-50.0, -6.0, 0.0, 20.0])
@pytest.mark.parametrize("mean", [-1e3, -1.0, 0.0, 1e3])
@pytest.mark.parametrize("weight", [-100.0, 100.0])
def test_likelihood_and_gradients_are_finite_at_extremes(weight, mean, log_scale):
    parameters = torch.tensor([weight, 0.0, 0.0, mean, 0.0, 0.1, log_scale, -2.0, log_scale])
    parameters.requires_grad_()
    values = torch.tensor([-1.0, -1 + 1 / 60, 0.0, 59 / 60, 1.0])
    log_probs = mixture.log_prob(parameters.expand(5, -1), values, 1 / 120)
    assert torch.isfinite(log_probs).all()
    assert (log_probs <= 1e-6).all()
    log_probs.sum().backward()
    assert torch.isfinite(parameters.grad).all()


def test_samples_stay_in_range_and_keep_leading_dimensions():
    parameters = random_parameters(24).view(4, 6, 3 * K)
    drawn = mixture.sample(parameters, 2.0, torch.zeros(4, 6, K), torch.full((4, 6), 1 - 1e-6))
    assert drawn.shape == (4, 6)
    assert (drawn.abs() <= 1).all()
    assert mixture.mean(parameters).shape == (4, 6)
