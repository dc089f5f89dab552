"""Which orders ask for the same cutout: one is done, the others wait for it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cleancut.options import parse_background
from cleancut.server.form import GUIDE_FILES
from cleancut.server.order import Order
from cleancut.weights.digest import sha256_of


def twin_key(order: Order) -> str | None:
    """Equal for orders of equal pictures, options and guidance, whatever their files are called.

    None if a file cannot be read; whoever does the order will say so.
    """
    try:
        parts: dict[str, Any] = {
            "source": sha256_of(order.source),
            "options": asdict(order.options),
            "guidance": {
                name: sha256_of(Path(value)) if name in GUIDE_FILES else value
                for name, value in order.guidance.items()
            },
        }
        background = parse_background(order.options.background)
        if background is not None and background.path is not None:
            parts["options"]["background"] = sha256_of(Path(background.path))
    except OSError:
        return None
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
