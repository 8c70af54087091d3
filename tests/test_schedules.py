"""Schedules: their ends, their direction, and the formulas in between."""

import math

import pytest

from musicvae_core.models.config import TrainConfig

CONFIG = TrainConfig(
    n_steps=1000,
    warmup_steps=100,
    learning_rate=2e-3,
    final_learning_rate=1e-5,
    beta=0.2,
    beta_rate=0.99,
)


def test_learning_rate_warms_up_in_equal_steps_to_its_peak():
    rates = [CONFIG.learning_rate_at(step) for step in range(101)]
    assert rates[0] == pytest.approx(2e-5)
    assert rates[49] == pytest.approx(1e-3)
    assert rates[99] == rates[100] == pytest.approx(2e-3)


def test_learning_rate_falls_by_a_cosine_to_its_floor_and_stays():
    rates = [CONFIG.learning_rate_at(step) for step in range(100, 1001)]
    assert rates == sorted(rates, reverse=True)
    assert rates[450] == pytest.approx((2e-3 + 1e-5) / 2)  # halfway down at half the time
    assert rates[225] == pytest.approx(1e-5 + (2e-3 - 1e-5) * (2 + math.sqrt(2)) / 4)
    assert rates[-1] == pytest.approx(1e-5)
    assert CONFIG.learning_rate_at(5000) == pytest.approx(1e-5)


@pytest.mark.parametrize("warmup_steps", [0, 10, 20])
def test_learning_rate_of_any_warmup_is_finite_and_positive(warmup_steps):
    config = TrainConfig(n_steps=10, warmup_steps=warmup_steps)
    rates = [config.learning_rate_at(step) for step in range(12)]
    assert all(0 < rate <= config.learning_rate for rate in rates)


def test_beta_rises_from_zero_to_its_weight():
    betas = [CONFIG.beta_at(step) for step in range(0, 3000, 50)]
    assert betas[0] == 0
    assert betas == sorted(betas)
    assert CONFIG.beta_at(1) == pytest.approx(0.2 * 0.01)
    assert CONFIG.beta_at(100) == pytest.approx(0.2 * (1 - 0.99**100))
    assert betas[-1] == pytest.approx(0.2)


def test_sampling_probability_is_the_papers_inverse_sigmoid():
    rate = 1000.0
    config = TrainConfig(sampling_rate=rate)
    probabilities = [config.sampling_probability_at(step) for step in range(0, 30000, 500)]
    assert probabilities[0] == pytest.approx(1 / 1001)
    assert probabilities == sorted(probabilities)
    # Half of the inputs where rate = exp(step / rate).
    half = config.sampling_probability_at(round(rate * math.log(rate)))
    assert half == pytest.approx(0.5, abs=1e-3)
    assert config.sampling_probability_at(10**9) == 1.0


def test_sampling_can_be_turned_off():
    assert [TrainConfig().sampling_probability_at(step) for step in (0, 10**9)] == [0.0, 0.0]
