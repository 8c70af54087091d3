"""Mixtures of discretised logistics, against a naive sum in float64."""

import numpy as np
import pytest
import torch

from musicvae_core.models import mixture

K = 3
VELOCITIES = mixture.Lattice(-1.0, 1.0, half_bin=1 / 126)
OFFSETS = mixture.Lattice(-1.0, 59 / 60, half_bin=1 / 120)
LATTICES = pytest.mark.parametrize("lattice", [VELOCITIES, OFFSETS], ids=["velocities", "offsets"])


def centres_of(lattice):
    n_bins = round((lattice.highest - lattice.lowest) / (2 * lattice.half_bin)) + 1
    return np.linspace(lattice.lowest, lattice.highest, n_bins)


def random_parameters(n, seed=0):
    """Return (n, 3K): weights, means within the range or a little beyond, log scales."""
    rng = np.random.default_rng(seed)
    parts = rng.normal(0, 1, (n, K)), rng.uniform(-1.3, 1.3, (n, K)), rng.uniform(-5, 0, (n, K))
    return torch.tensor(np.concatenate(parts, axis=-1), dtype=torch.float32)


def naive_mass(parameters, lattice):
    """Return the probability of every bin of one mixture, component by component."""
    centres, half_bin = centres_of(lattice), lattice.half_bin
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


def score_all(parameters, lattice):
    """Return the log probability of every bin, (..., bins), of parameters (..., 3K)."""
    values = torch.tensor(centres_of(lattice), dtype=torch.float32)
    shape = (*parameters.shape[:-1], len(values), 3 * K)
    values = values.expand(shape[:-1])
    return mixture.log_prob(parameters.unsqueeze(-2).expand(shape), values, lattice)


@LATTICES
def test_the_bins_take_all_the_probability(lattice):
    total = score_all(random_parameters(50), lattice).exp().sum(dim=-1)
    torch.testing.assert_close(total, torch.ones(50), rtol=0, atol=1e-4)


@LATTICES
def test_log_probability_is_a_difference_of_logistic_functions(lattice):
    for parameters in random_parameters(20, seed=1):
        mass = naive_mass(parameters, lattice)
        likely = mass > 1e-9  # in float64 the naive difference of smaller ones is noise
        expected = torch.tensor(np.log(mass[likely]), dtype=torch.float32)
        scores = score_all(parameters, lattice)[likely]
        torch.testing.assert_close(scores, expected, rtol=1e-3, atol=1e-3)


@LATTICES
def test_snapped_samples_have_the_distribution_that_log_prob_scores(lattice):
    centres = centres_of(lattice)
    for seed in range(3):
        parameters = random_parameters(1, seed)[0]
        mass = naive_mass(parameters, lattice)
        drawn = lattice.snap(torch.from_numpy(draw(parameters, 20_000, 1.0, seed))).numpy()
        bins = np.rint((drawn - lattice.lowest) / (2 * lattice.half_bin)).astype(int)
        shares = np.bincount(bins, minlength=len(centres)) / len(bins)
        assert np.abs(np.cumsum(shares) - np.cumsum(mass)).max() < 0.015
        mean = mass @ centres
        assert drawn.mean() == pytest.approx(mean, abs=0.02)
        assert drawn.std() == pytest.approx(np.sqrt(mass @ (centres - mean) ** 2), abs=0.02)


@LATTICES
def test_snapping_moves_to_the_nearest_centre_and_no_further(lattice):
    centres = torch.tensor(centres_of(lattice), dtype=torch.float32)
    torch.testing.assert_close(lattice.snap(centres), centres, rtol=0, atol=1e-6)
    for shift in (-0.9, 0.9):
        moved = centres + shift * lattice.half_bin
        torch.testing.assert_close(lattice.snap(moved), centres, rtol=0, atol=1e-6)
    beyond = lattice.snap(torch.tensor([-7.0, 7.0]))
    assert beyond.tolist() == pytest.approx([lattice.lowest, lattice.highest])


def test_temperature_moves_spread_and_choice():
    one_wide = torch.tensor([9.0, 0.0, 0.0, 0.0, 0.5, -0.5, -2.5, -6.0, -6.0])
    cold, plain, hot = (draw(one_wide, 5000, t).std() for t in (0.5, 1.0, 2.0))
    assert cold == pytest.approx(plain / 2, rel=0.1)
    assert hot == pytest.approx(plain * 2, rel=0.2)
    two_sharp = torch.tensor([1.0, 0.0, -9.0, 0.5, -0.5, 0.0, -6.0, -6.0, -6.0])
    for temperature in (0.5, 1.0, 2.0):
        share = (draw(two_sharp, 20_000, temperature) > 0).mean()
        assert share == pytest.approx(1 / (1 + np.exp(-1 / temperature)), abs=0.02)


def test_temperature_zero_is_the_mean_of_means_by_weight():
    parameters = torch.tensor([0.0, np.log(2.0), -30.0, 0.4, -0.2, 0.0, -3.0, -2.0, -1.0])
    expected = torch.tensor((0.4 - 2 * 0.2) / 3)
    torch.testing.assert_close(mixture.mean(parameters), expected, rtol=0, atol=1e-6)
    torch.testing.assert_close(
        mixture.sample(parameters, 0.0, torch.zeros(K), torch.tensor(0.9)), mixture.mean(parameters)
    )


@pytest.mark.parametrize("log_scale", [-50.0, -6.0, 0.0, 20.0])
@pytest.mark.parametrize("mean", [-1e3, -1.0, 0.0, 1e3])
@pytest.mark.parametrize("weight", [-100.0, 100.0])
def test_likelihood_and_gradients_are_finite_at_extremes(weight, mean, log_scale):
    parameters = torch.tensor([weight, 0.0, 0.0, mean, 0.0, 0.1, log_scale, -2.0, log_scale])
    parameters.requires_grad_()
    values = torch.tensor([-1.0, -1 + 1 / 60, 0.0, 59 / 60, 1.0])
    log_probs = mixture.log_prob(parameters.expand(5, -1), values, OFFSETS)
    assert torch.isfinite(log_probs).all()
    assert (log_probs <= 1e-6).all()
    log_probs.sum().backward()
    assert torch.isfinite(parameters.grad).all()


def test_leading_dimensions_stay():
    parameters = random_parameters(24).view(4, 6, 3 * K)
    drawn = mixture.sample(parameters, 2.0, torch.zeros(4, 6, K), torch.full((4, 6), 0.5))
    assert drawn.shape == mixture.mean(parameters).shape == (4, 6)
    assert mixture.log_prob(parameters, torch.zeros(4, 6), VELOCITIES).shape == (4, 6)
