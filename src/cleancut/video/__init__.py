"""Videos: steady mattes frame by frame, from anything FFmpeg reads into files with real alpha."""

from __future__ import annotations
