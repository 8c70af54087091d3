"""How accurately models reconstruct music, and how real their samples sound."""
