"""The pages: one typed function each, that reads widgets, asks `Studio`, and draws."""
