"""Putting a cutout on something, and cropping it."""
