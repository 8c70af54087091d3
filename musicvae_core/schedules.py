"""Schedules of training: pure functions of the step."""

from __future__ import annotations

import math

from musicvae_core.config import TrainConfig


def learning_rate(step: int, config: TrainConfig) -> float:
    """Return the learning rate of a step: linear warm-up, then half a cosine down.

    Deviation: the paper decays by 0.9999 a step from 1e-3 to 1e-5. On a run of a known, short
    length a cosine reaches the same floor at the end, whatever that length is.
    """
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    progress = (step - config.warmup_steps) / max(1, config.n_steps - config.warmup_steps)
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    return config.final_learning_rate + fall * (config.learning_rate - config.final_learning_rate)


def beta(step: int, config: TrainConfig) -> float:
    """Return the weight of the KL term at a step: beta * (1 - beta_rate ** step).

    Source: Roberts et al. 2018, section 4, and Magenta's `lstm_models`; there the rate is
    0.99999 over 50,000 steps.
    """
    return config.beta * (1 - config.beta_rate**step)


def sampling_probability(step: int, rate: float) -> float:
    """Return the share of the decoder's inputs drawn from the model itself at a step.

    The inverse sigmoid decay of teacher forcing, 1 - rate / (rate + exp(step / rate)); a rate
    of 0 means always 0.

    Source: Bengio et al. 2015, section 2.4; MusicVAE's 2-bar models use a rate of 1000.
    """
    if rate == 0:
        return 0.0
    return 1 - rate / (rate + math.exp(min(step / rate, 700.0)))
