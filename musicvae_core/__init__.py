"""MusicVAE for drums, melodies and a band: encode, sample, morph and play what players play."""

import os

# Before PyTorch is imported. Its threads spin while they wait for each other: without a limit,
# eight grooves took 0.7 s on a machine with one busy core. With a short limit they take 0.05 s
# there and 0.03 s on an idle machine; with none at all, large batches take twice as long.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

__version__ = "0.1.0"
