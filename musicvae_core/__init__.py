"""MusicVAE for drums, melodies and a band: encode, sample, morph and play what players play."""

import os

# Before PyTorch is imported: its threads would spin while they wait for each other, and on a
# machine where one core is busy eight grooves took 2 s in place of 0.07.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

__version__ = "0.1.0"
