"""From grooves to audio."""
