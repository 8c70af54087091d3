"""PyTorch's threads do not spin while they wait, so that a busy neighbour does not stall them."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("given", "expected"), [({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")]
)
def test_threads_wait_passively_unless_the_user_says_otherwise(given, expected):
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    code = "import os, musicvae_core; print(os.environ['OMP_WAIT_POLICY'])"
    said = subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | given,
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == expected
