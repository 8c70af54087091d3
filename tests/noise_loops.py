"""Loops of noise that are each unlike every other, at any shift: they show which loop sounds."""

import numpy as np

from musicvae_core.sound.render import SAMPLE_RATE

HIGHEST_HZ = 1_000
PEAK = 0.5


def noise_loop(index: int, n_samples: int) -> np.ndarray:
    """(n_samples,) of smooth periodic noise; the index is its seed."""
    rng = np.random.default_rng(index)
    n_harmonics = HIGHEST_HZ * n_samples // SAMPLE_RATE
    spectrum = np.zeros(n_samples // 2 + 1, complex)
    spectrum[1 : n_harmonics + 1] = rng.standard_normal((n_harmonics, 2)) @ (1, 1j)
    sound = np.fft.irfft(spectrum, n_samples)
    return PEAK * sound / np.abs(sound).max()
