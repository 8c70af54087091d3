"""MusicVAE for drums: encode, sample, morph and play grooves that feel like a drummer's."""

__version__ = "0.1.0"
