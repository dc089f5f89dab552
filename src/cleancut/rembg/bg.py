"""``remove``: rembg's one function, by rembg's rules where they hold water."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cleancut.rembg.faults import BadArgument, NotOffered
from cleancut.rembg.session_factory import (
    SESSION_KEYWORDS,
    check_extras,
    new_session,
)

if TYPE_CHECKING:
    from typing import TypeAlias

    from numpy.typing import NDArray
    from PIL.Image import Image

    from cleancut.rembg.pixels import Predictor, Task

    Pixels: TypeAlias = bytes | Image | NDArray[Any]


def remove(
    data: Pixels,
    alpha_matting: bool = False,
    alpha_matting_foreground_threshold: int = 240,
    alpha_matting_background_threshold: int = 10,
    alpha_matting_erode_size: int = 10,
    session: Predictor | None = None,
    only_mask: bool = False,
    post_process_mask: bool = False,
    decontaminate: bool = True,
    vitmatte: bool = False,
    vitmatte_model: str | None = None,
    bgcolor: tuple[int, int, int, int] | None = None,
    force_return_bytes: bool = False,
    *args: Any,
    **kwargs: Any,
) -> Pixels:
    """Remove the background of ``data``; the answer is of its type, bytes being a PNG.

    ``data`` is the bytes of a picture file, a PIL image, or an array (H, W), (H, W, 3) or
    (H, W, 4) of bool, uint8 or uint16; the channels of the answer are in the same order. PIL
    images and arrays come back as RGBA, with ``only_mask`` as mode L or (H, W) uint8. With
    ``force_return_bytes`` the answer is always a PNG.

    ``alpha_matting`` solves the pixels between the thresholds (8-bit levels) and in a band of
    ``alpha_matting_erode_size`` pixels from the colours around them (closed form).
    ``post_process_mask`` makes every pixel opaque or transparent. ``decontaminate`` takes the old
    background's colour out of soft edges (rembg: off unless asked for). ``bgcolor`` is (R, G, B,
    A) or (R, G, B) behind the subject. ``session`` is that of ``new_session``, or anything with
    rembg's ``predict``; without one the best general model on this machine is used and stays warm.

    Extras by name: ``putalpha`` keeps all colours as they are, those of invisible pixels too;
    ``rembg_pixels`` gives the very pixels that rembg makes of the same mask, dark rims and all;
    ``recut`` runs the model even if the picture is cut out already; ``cc`` or ``cloth_category``
    (upper, lower, full, attire) chooses among the masks of u2net_cloth_seg, which else come
    stacked from top to bottom; ``providers``, ``sess_opts``, ``model_path`` and ``pull`` are
    those of ``new_session``, for a call without a session.

    Raises the errors of ``cleancut.errors``, each also of the type that rembg raises: a path or a
    file object is a ``ValueError``, a float array a ``TypeError``, bytes that are no picture
    ``PIL.UnidentifiedImageError``.
    """
    check_extras(args, kwargs)
    if vitmatte or vitmatte_model is not None:
        raise NotOffered(
            "ViTMatte is not offered: its weights are not in the catalog",
            hint="use alpha_matting=True, which needs no weights",
        )
    from cleancut.rembg import pixels

    task = pixels.Task(
        alpha_matting=alpha_matting,
        foreground=alpha_matting_foreground_threshold,
        background=alpha_matting_background_threshold,
        erode=alpha_matting_erode_size,
        only_mask=only_mask,
        post_process_mask=post_process_mask,
        decontaminate=decontaminate,
        putalpha=bool(kwargs.pop("putalpha", False)),
        rembg_pixels=bool(kwargs.pop("rembg_pixels", False)),
        bgcolor=pixels.parse_colour(bgcolor),
    )
    return _cut(data, task, session, kwargs, force_return_bytes)


def _cut(
    data: Pixels, task: Task, session: Predictor | None, extras: dict[str, Any], as_bytes: bool
) -> Pixels:
    """Read, predict, cut and give back; a session is made where there is none."""
    from cleancut.engine import memory_errors
    from cleancut.rembg import pixels

    category = extras.get("cc") or extras.get("cloth_category")
    recut = bool(extras.get("recut", False)) or task.rembg_pixels
    with memory_errors():
        kind = pixels.kind_of(data)
        picture = pixels.read(data)
        if session is None:
            session = new_session(**{k: v for k, v in extras.items() if k in SESSION_KEYWORDS})
        if not callable(getattr(session, "predict", None)):
            raise BadArgument(
                f"session is a {type(session).__name__}, which has no predict",
                hint="make one with new_session()",
            )
        mattes = pixels.mattes_of(picture, session, category, recut=recut)
        layers = [pixels.layer(picture, matte, task) for matte in mattes]
        return pixels.answer("bytes" if as_bytes else kind, picture, layers, task)
