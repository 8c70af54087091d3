"""Parts of the Morph page."""
