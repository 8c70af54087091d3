"""Journeys: through every stop, each leg as a morph."""

import numpy as np
import pytest

from musicvae_core.errors import ConfigError
from musicvae_core.latent.codes import slerp
from musicvae_core.latent.morph import journey_codes


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize("n_stops", [2, 3, 6])
def test_a_journey_passes_every_stop_and_slerps_between(n_stops, steps):
    stops = np.random.default_rng(0).standard_normal((n_stops, 8)).astype(np.float32)
    path = journey_codes(stops, steps)
    assert path.shape == ((n_stops - 1) * steps + 1, 8)
    assert path.dtype == np.float32
    np.testing.assert_array_equal(path[::steps], stops)
    for at, code in enumerate(path[:-1]):
        leg, step = divmod(at, steps)
        np.testing.assert_allclose(code, slerp(stops[leg], stops[leg + 1], step / steps), rtol=1e-6)


def test_a_journey_that_goes_nowhere_is_refused():
    stops = np.ones((2, 4), np.float32)
    with pytest.raises(ConfigError, match="two or more"):
        journey_codes(stops[:1], 4)
    with pytest.raises(ConfigError, match="at least one"):
        journey_codes(stops, 0)
