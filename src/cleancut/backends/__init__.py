"""Runtimes that run a graph. They do not know what a matte is."""
