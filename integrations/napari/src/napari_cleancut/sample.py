"""A photograph to try the plugin on."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any


def portrait() -> list[tuple[Any, dict[str, str], str]]:
    """The first picture of ``cleancut demo``, fetched with pip; raises ``DownloadFailed``."""
    from cleancut.bench.pictures import fetch_demo_pictures
    from cleancut.sources import read

    with TemporaryDirectory() as folder:
        path = fetch_demo_pictures(Path(folder))[0]
        return [(read(path, max_megapixels=120).rgb, {"name": path.stem}, "image")]
