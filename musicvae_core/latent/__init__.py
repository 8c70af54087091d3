"""Playing in the latent space: between grooves, along paths, under sliders, on a map."""
