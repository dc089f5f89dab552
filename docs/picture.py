"""Make the README's before/after picture with the project itself: ``make docs-picture``."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from cleancut import Engine
from cleancut.bench.pictures import fetch_demo_pictures

HERE = Path(__file__).parent
PANEL_PX = 360
SQUARE_PX = 12


def checkerboard(width: int, height: int) -> Image.Image:
    """The grey squares that stand for transparency."""
    y, x = np.mgrid[:height, :width] // SQUARE_PX
    return Image.fromarray(np.where((x + y) % 2, 205, 250).astype(np.uint8)).convert("RGBA")


def main() -> None:
    """Photograph, cutout on a checkerboard, cutout on a colour; a row for each picture."""
    engine = Engine()
    panels = []
    with tempfile.TemporaryDirectory() as folder:
        for photo in fetch_demo_pictures(Path(folder)):
            result = engine.cutout(photo)
            page = checkerboard(*result.image.size)
            page.alpha_composite(result.image)
            on_colour = engine.cutout(photo, background="#2a9d8f").image
            with Image.open(photo) as before:
                panels += [before.convert("RGB"), page.convert("RGB"), on_colour]
    scaled = [
        panel.resize((PANEL_PX, round(panel.height * PANEL_PX / panel.width)), Image.LANCZOS)
        for panel in panels
    ]
    sheet = Image.new("RGB", (3 * PANEL_PX, scaled[0].height + scaled[3].height))
    for number, panel in enumerate(scaled):
        row, column = divmod(number, 3)
        sheet.paste(panel, (column * PANEL_PX, row * scaled[0].height))
    sheet.save(HERE / "images" / "before-after.jpg", quality=88)


if __name__ == "__main__":
    main()
