"""The deck that draws and plays grooves."""
