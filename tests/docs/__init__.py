"""The documentation: what it says to type is typed."""
