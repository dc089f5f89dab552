"""What a notebook shows of a cutout: a picture on a checkerboard, and the facts beneath it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cleancut.imaging.picture import Picture

#: The longer side of what is shown; larger pictures would be stored in the notebook with it.
SHOWN_PX = 1200

_FIGURE = "margin:0;max-width:100%"
_BOARD = (
    "max-width:100%;height:auto;background:repeating-conic-gradient(#c8c8c8 0 25%,#fff 0 50%)"
    " 0 0/16px 16px"
)
_FACTS = "font-size:0.85em;margin-top:0.4em"


def thumbnail(picture: Picture) -> bytes:
    """A PNG of the picture, at most ``SHOWN_PX`` on its longer side, 8 bit, without EXIF."""
    from cleancut.imaging.encode import encode, quantise
    from cleancut.imaging.resize import shrink_to

    small = shrink_to(picture, SHOWN_PX)
    return encode(quantise(small.rgb, 8), small.alpha, icc=small.icc)


def figure(png: bytes, size: tuple[int, int], facts: Sequence[str], remarks: Sequence[str]) -> str:
    """HTML of a picture of (width, height), one line of facts, and remarks as a list.

    Facts and remarks are text and end up escaped: they may hold names of files and models.
    """
    source = base64.b64encode(png).decode()
    items = "".join(f"<li>{escape(remark)}</li>" for remark in remarks)
    listed = f'<ul style="margin:0.2em 0">{items}</ul>' if items else ""
    return (
        f'<figure style="{_FIGURE}"><img alt="cutout, {size[0]} × {size[1]}" style="{_BOARD}"'
        f' src="data:image/png;base64,{source}">'
        f'<figcaption style="{_FACTS}">{escape(" · ".join(facts))}{listed}</figcaption></figure>'
    )
