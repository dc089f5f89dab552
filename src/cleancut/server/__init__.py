"""The HTTP server: remove.bg's API, rembg's, and our own, over one bounded pool of work."""
