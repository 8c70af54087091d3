"""PyTorch's threads spin only briefly while they wait: a busy neighbour does not stall them."""

import os
import subprocess
import sys

import pytest

NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "None 1000"),
        ({"OMP_WAIT_POLICY": "active"}, "active None"),
        ({"GOMP_SPINCOUNT": "20"}, "None 20"),
    ],
)
def test_threads_spin_briefly_unless_the_user_says_otherwise(given, expected):
    inherited = {name: value for name, value in os.environ.items() if name not in NAMES}
    code = f"import os, musicvae_core; print(*(os.environ.get(name) for name in {NAMES}))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=inherited | given,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == expected
