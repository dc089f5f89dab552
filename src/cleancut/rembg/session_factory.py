"""``new_session``: from rembg's names and ONNX Runtime's providers to a warm model."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from cleancut.engine import Engine, shared
from cleancut.errors import BackendUnavailable, UnknownModel, WeightsMissing
from cleancut.models.choose import choose, lacking
from cleancut.options import Options
from cleancut.rembg.faults import BadArgument, NotOffered, UnknownArgument, UnknownSession
from cleancut.rembg.sessions import Session

if TYPE_CHECKING:
    from cleancut.options import BackendChoice, DeviceChoice

    Place = tuple[BackendChoice, DeviceChoice]

#: Recipes of rembg's sessions for a model of one's own.
_IMAGENET = "mean=0.485,0.456,0.406 std=0.229,0.224,0.225"
CUSTOM = {
    "u2net_custom": f"size=320 divide_by=max {_IMAGENET} minmax=true",
    "dis_custom": "size=1024 divide_by=max mean=0.5 std=1 minmax=true",
    "ben_custom": "size=1024 divide_by=max mean=0.5 std=1 minmax=true",
}

_GPU: Place = ("ort", "gpu")
_PROVIDERS: dict[str, Place] = {
    "CPUExecutionProvider": ("auto", "cpu"),
    "OpenVINOExecutionProvider": ("openvino", "auto"),
    "CUDAExecutionProvider": _GPU,
    "TensorrtExecutionProvider": _GPU,
    "ROCMExecutionProvider": _GPU,
    "MIGraphXExecutionProvider": _GPU,
    "CoreMLExecutionProvider": _GPU,
    "DmlExecutionProvider": _GPU,
}

_NOT_OFFERED = {
    "sam": (
        "Segment Anything (sam) is not offered",
        "use a model that needs no prompt: cleancut models list",
    ),
    "withoutbg": (
        "the paid service withoutbg is not offered: no picture leaves this machine",
        "use new_session('withoutbg-open'), its open weights",
    ),
    "atlascloud": (
        "the paid service atlascloud is not offered: no picture leaves this machine",
        "use a local model: cleancut models list",
    ),
}
#: Keywords of rembg that ask for something of the above.
FOREIGN_KEYWORDS = dict.fromkeys(
    ("sam_prompt", "sam_model", "sam_quant", "input_points", "input_labels"), "sam"
) | dict.fromkeys(("api_key", "model", "timeout", "poll_timeout"), "atlascloud")
#: Keywords by the function that reads them; each also takes the other's, since rembg's own
#: commands pass one set of extras to both.
SESSION_KEYWORDS = frozenset({"providers", "sess_opts", "model_path", "pull"})
CUT_KEYWORDS = frozenset({"putalpha", "cc", "cloth_category", "rembg_pixels", "recut"})

_engines: dict[int, Engine] = {}
_engines_lock = threading.Lock()


def new_session(
    model_name: str = "auto",
    *args: Any,
    sess_opts: Any = None,
    providers: Iterable[Any] | None = None,
    model_path: str | None = None,
    pull: bool = False,
    **kwargs: Any,
) -> Session:
    """A warm model by rembg's name, by cleancut's, or by the path of an ``.onnx`` file.

    "auto", the default, takes the best general model on this machine; rembg's default is
    "bria-rmbg", which may not be used commercially. ``providers`` are ONNX Runtime's names in the
    order of preference: the first that works is taken, with a ``RuntimeWarning`` if that is not
    the first. Without them the fastest is measured. Of ``sess_opts`` only
    ``intra_op_num_threads`` counts. ``model_path`` belongs to u2net_custom, dis_custom and
    ben_custom. With ``pull`` missing weights are downloaded first, as rembg does unasked; for
    "auto" unless a model was pulled before.

    Two sessions of one model share it. Raises ``UnknownSession`` and ``NotOffered`` (both
    ``ValueError``), ``WeightsMissing``, ``BackendUnavailable``.
    """
    check_extras(args, kwargs)
    options = options_of(model_name, model_path)
    engine = _engine(getattr(sess_opts, "intra_op_num_threads", 0) or 0)
    if pull and options.model == "auto" and lacking(options):
        _pull(options)
    try:
        return _open(model_name, engine, options, providers)
    except UnknownModel as error:
        raise UnknownSession(error.message, hint=error.hint) from error
    except WeightsMissing:
        if not pull or model_path is not None:
            raise
    _pull(options)
    return _open(model_name, engine, options, providers)


def check_extras(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Refuse what would have no effect: rembg swallows every unknown argument."""
    if args:
        raise UnknownArgument(
            f"{len(args)} positional arguments too many", hint="give extras by name"
        )
    for name in kwargs:
        if name in FOREIGN_KEYWORDS:
            message, hint = _NOT_OFFERED[FOREIGN_KEYWORDS[name]]
            raise NotOffered(f"{name}: {message}", hint=hint)
        if name not in SESSION_KEYWORDS | CUT_KEYWORDS:
            known = ", ".join(sorted(SESSION_KEYWORDS | CUT_KEYWORDS))
            raise UnknownArgument(f"unknown argument {name!r}", hint=f"known extras: {known}")


def options_of(name: str, path: str | None = None) -> Options:
    """What the engine needs to know to find the model that rembg calls ``name``."""
    if name in _NOT_OFFERED:
        message, hint = _NOT_OFFERED[name]
        raise NotOffered(message, hint=hint)
    if name in CUSTOM:
        if not path:
            raise BadArgument(
                f"{name}: model_path is required", hint="give model_path='my_model.onnx'"
            )
        if not str(path).lower().endswith(".onnx"):
            raise BadArgument(f"{path}: the name of a model ends in .onnx", hint="rename the file")
        return Options(model=str(path), recipe=CUSTOM[name], minmax=True)
    if path is not None:
        raise BadArgument(
            f"{name} takes no model_path",
            hint=f"use {' or '.join(CUSTOM)}, or the path itself as the model's name",
        )
    if name == "birefnet-general-fp16":
        return Options(model="birefnet-general", precision="f16", minmax=True)
    return Options(model=name, minmax=True)


def _engine(threads: int) -> Engine:
    """The shared engine, or the one whose networks use ``threads`` threads."""
    if threads <= 0:
        return shared()
    with _engines_lock:
        return _engines.setdefault(threads, Engine(threads=threads))


def _open(name: str, engine: Engine, options: Options, providers: Iterable[Any] | None) -> Session:
    places = _places(providers)
    refusals: list[str] = []
    for place in places:
        chosen = options.with_(backend=place[0], device=place[1])
        try:
            model, notes = engine.model_for(chosen)
        except BackendUnavailable as error:
            if place == places[-1]:
                raise
            refusals.append(error.message)
            continue
        if refusals:
            warnings.warn(
                f"running on {model.placement}, not on what was asked for first: {refusals[0]}",
                RuntimeWarning,
                stacklevel=3,
            )
        return Session(model.spec.id if name == "auto" else name, model, chosen, notes)
    raise AssertionError("there is always a place")  # pragma: no cover


def _places(providers: Iterable[Any] | None) -> list[Place]:
    """Backend and device for each provider, in order, without repetitions."""
    found: dict[Place, None] = {}
    for provider in providers or ():
        name, settings = provider, None
        if isinstance(provider, tuple | list) and len(provider) == 2:
            name, settings = provider
        if name not in _PROVIDERS:
            raise BadArgument(f"unknown provider {name!r}", hint=f"one of: {', '.join(_PROVIDERS)}")
        if settings:
            raise NotOffered(
                f"{name}: settings of a provider are not offered",
                hint="give its name alone; CUDA_VISIBLE_DEVICES chooses among several GPUs",
            )
        found[_PROVIDERS[name]] = None
    return list(found) or [("auto", "auto")]


def _pull(options: Options) -> None:
    from cleancut.catalog import default_models
    from cleancut.weights.pull import pull

    spec = default_models()[0] if options.model == "auto" else choose(options).lead
    pull([spec])
