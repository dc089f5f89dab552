"""The students, and what they begin from."""
