"""cleancut: background removal on your own machine.

>>> from cleancut import cutout
>>> result = cutout("photo.jpg")  # doctest: +SKIP
>>> result.save("photo.cutout.png")  # doctest: +SKIP

Names are resolved on first use, so ``import cleancut`` loads no third-party package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cleancut.version import __version__

if TYPE_CHECKING:
    from cleancut import errors as errors
    from cleancut import video as video
    from cleancut.catalog import catalog as list_models
    from cleancut.engine import Engine as Engine
    from cleancut.engine import cutout as cutout
    from cleancut.engine import matte as matte
    from cleancut.errors import CleancutError as CleancutError
    from cleancut.guidance import Guidance as Guidance
    from cleancut.imaging.picture import Picture as Picture
    from cleancut.options import Options as Options
    from cleancut.result import Result as Result
    from cleancut.weights.pull import pull as pull

_HOMES = {
    "CleancutError": ("cleancut.errors", "CleancutError"),
    "Engine": ("cleancut.engine", "Engine"),
    "Guidance": ("cleancut.guidance", "Guidance"),
    "Options": ("cleancut.options", "Options"),
    "Picture": ("cleancut.imaging.picture", "Picture"),
    "Result": ("cleancut.result", "Result"),
    "cutout": ("cleancut.engine", "cutout"),
    "list_models": ("cleancut.catalog", "catalog"),
    "matte": ("cleancut.engine", "matte"),
    "pull": ("cleancut.weights.pull", "pull"),
}

__all__ = [
    "CleancutError",
    "Engine",
    "Guidance",
    "Options",
    "Picture",
    "Result",
    "__version__",
    "cutout",
    "errors",
    "list_models",
    "matte",
    "pull",
    "video",
]


def __getattr__(name: str) -> Any:
    if name in ("errors", "video"):
        return import_module(f"cleancut.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'cleancut' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
