"""Parts of the Attributes page."""
