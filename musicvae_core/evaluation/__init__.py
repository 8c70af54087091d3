"""How well models reconstruct and how real their samples sound."""
