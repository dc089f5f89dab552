"""What this is a version of: the package, and the pixels that it makes."""

from __future__ import annotations

__version__ = "0.1.0"

#: Part of every cache key: raise it whenever the pixels of a result change, however little.
#: tests/cache/test_pixels.py notices if that was forgotten.
PIPELINE_VERSION = 5
