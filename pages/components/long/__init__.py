"""Parts of the Long form page."""
