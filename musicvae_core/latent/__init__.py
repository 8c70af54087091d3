"""Exploring the latent space: morphs, paths, steering by attributes, and maps."""
