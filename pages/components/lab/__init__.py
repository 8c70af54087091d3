"""Parts of the Groove lab page."""
