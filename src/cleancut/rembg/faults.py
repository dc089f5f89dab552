"""Typed errors that code written for rembg catches too: each is also what rembg raises there."""

from __future__ import annotations

from cleancut.errors import BadArray, BadOption, InputError, UnknownModel


class UnsupportedInput(InputError, ValueError):
    """Neither bytes nor a PIL image nor an array: a path, an open file, None."""


class BadPixels(BadArray, TypeError):
    """An array that PIL would not make an image of, such as floats."""


class BadArgument(BadOption, ValueError):
    """An argument has a value that it cannot have, or two contradict each other."""


class UnknownArgument(BadOption, TypeError):
    """An argument that neither rembg nor this function has; rembg ignores it silently."""


class NotOffered(BadOption, ValueError):
    """Something that rembg offers and cleancut does not; the hint says what to do instead."""


class UnknownSession(UnknownModel, ValueError):
    """No model has this name."""
