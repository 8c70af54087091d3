"""Parts of the Sample page."""
