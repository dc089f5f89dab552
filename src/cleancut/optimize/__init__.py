"""Smaller and faster copies of a network, with what they cost in accuracy."""
