"""What music is here: grooves of drums on a grid, MIDI in and out, attributes, share codes."""
