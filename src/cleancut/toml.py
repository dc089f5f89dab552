"""TOML: the standard library reads it from Python 3.11 on, before that its forerunner does."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 11):
    import tomllib  # novm
else:
    import tomli as tomllib

__all__ = ["tomllib"]
