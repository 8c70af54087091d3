"""Sets of performances: windows, splits, augmentation; files written whole or not at all."""
