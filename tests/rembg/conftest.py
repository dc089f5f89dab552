"""The profiles and EXIF blocks of the imaging tests."""

from __future__ import annotations

from tests.imaging.conftest import exif_block, srgb_profile

__all__ = ["exif_block", "srgb_profile"]
