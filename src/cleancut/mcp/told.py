"""What an agent is told about a cutout: facts, warnings with the next step, a small picture."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cleancut.errors import CleancutError
    from cleancut.result import Result

#: Longer side of a preview, in pixels, and its JPEG quality.
PREVIEW_PX = 512
_QUALITY = 82
_CELL_PX = 16
_LIGHT, _DARK = 255, 204
#: Below this estimated chance of being right a person should look.
_UNSURE = 0.6
#: Signs of an error's message; a line of text has twice as many.
_LONGEST = 500
#: What to do about a note, by its code.
_NEXT = {
    "no_subject": "look at the picture; say where the subject is with keep_points or keep_box",
    "auto_model": "ask the user before pulling models",
    "cut_off": "use a larger picture, or leave room with margin",
    "enlarged": "use a larger picture or a smaller canvas",
}


def facts_of(result: Result) -> dict[str, Any]:
    """What ``Result.to_dict`` says, with warnings for notes, and the licences of its networks."""
    facts = result.to_dict()
    warnings = [_warning(note) for note in facts.pop("notes")]
    if result.confidence is not None and result.confidence < _UNSURE:
        why = ", ".join(result.reasons) or "the networks do not agree"
        warnings.insert(
            0,
            {
                "code": "unsure",
                "message": f"confidence {result.confidence:.2f}: {why}",
                "next": "look at the preview; try another model, or keep_points and remove_points",
            },
        )
    facts["warnings"] = warnings
    facts["licences"] = licences(result.models)
    return facts


def licences(models: Iterable[str]) -> list[dict[str, str]]:
    """Whose weights made a matte, and what may be done with them."""
    from cleancut.catalog import catalog

    rows = [catalog()[name] for name in models if name in catalog()]
    return [
        {"model": row.id, "licence": row.weight_licence, "commercial": row.commercial}
        for row in rows
    ]


def _warning(note: str) -> dict[str, str]:
    code, colon, text = note.partition(": ")
    warning = {"code": code if colon else "note", "message": text if colon else note}
    return warning | ({"next": _NEXT[code]} if code in _NEXT else {})


def words_of(facts: dict[str, Any]) -> str:
    """The same in a few lines of text."""
    sure = facts["confidence"]
    width, height = facts["output_size"]
    told = [f"{facts['model']}, {width} x {height} pixels"]
    told += [] if sure is None else [f"confidence {sure:.2f}"]
    told += [f"subject at {facts['box']} (left, top, right, bottom)"] if facts["box"] else []
    lines = ["; ".join(told)]
    if facts.get("output"):
        lines.insert(0, f"written: {facts['output']} ({facts['bytes']} bytes)")
    for warning in facts["warnings"]:
        step = f"; next: {warning['next']}" if "next" in warning else ""
        lines.append(f"warning [{warning['code']}] {warning['message']}{step}")
    lines += [
        f"licence of {row['model']}: {row['licence']}; commercial use: {row['commercial']}"
        for row in facts["licences"]
    ]
    return joined(lines)


def error_words(error: CleancutError) -> str:
    """An error in one line, with the next step."""
    hint = f"; {error.hint}" if error.hint else ""
    return joined([f"error [{error.code}] {error.message:.{_LONGEST}}{hint}"])


def joined(lines: Iterable[str]) -> str:
    """``lines`` one below the other; the name of a file, whoever gave it, begins no line of ours.

    What is not printable becomes a question mark, and what is too long is cut.
    """
    return "\n".join(
        "".join(sign if sign.isprintable() else "?" for sign in line)[: 2 * _LONGEST]
        for line in lines
    )


def preview(result: Result) -> bytes:
    """The cutout as a JPEG of at most ``PREVIEW_PX`` pixels a side, on a checkerboard."""
    import numpy as np
    from PIL import Image

    from cleancut.compose.background import over
    from cleancut.imaging.encode import quantise
    from cleancut.imaging.picture import Picture
    from cleancut.imaging.resize import shrunk, size_within

    rgb, alpha = result.foreground, result.alpha
    if result.options.only_mask:
        rgb, opaque = np.dstack([quantise(alpha, 8)] * 3), True
    else:
        opaque = result.composite is not None
        rgb = rgb if result.composite is None else result.composite
    size = size_within(alpha.shape[0], alpha.shape[1], PREVIEW_PX)
    small = shrunk(Picture(quantise(rgb, 8), None if opaque else alpha), *size)
    shown = small.rgb
    if small.alpha is not None:
        rows, columns = np.ogrid[: size[0], : size[1]]
        light = (rows // _CELL_PX + columns // _CELL_PX) % 2 == 0
        board = np.where(light, _LIGHT, _DARK).astype(np.uint8)
        shown = over(shown, small.alpha, np.dstack([board] * 3))
    file = io.BytesIO()
    Image.fromarray(shown).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
