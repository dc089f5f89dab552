"""One model as a file for a browser or a phone, with a card beside it, checked on pictures."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cleancut import __version__
from cleancut.backends import select
from cleancut.distill import compact
from cleancut.errors import BadOption, InferenceFailed
from cleancut.imaging.files import not_writable, write_atomic
from cleancut.mobile import child
from cleancut.mobile.network import slimmed
from cleancut.models.recipe import matte_of, plan, prepare
from cleancut.weights.resolve import resolve

if TYPE_CHECKING:
    from cleancut.arrays import Rgb, Tensor
    from cleancut.catalog import ModelSpec, Recipe

To = Literal["onnx-web", "tflite", "coreml"]
Form = Literal["f32", "f16", "int8-weights"]
TARGETS: dict[To, str] = {"onnx-web": ".onnx", "tflite": ".tflite", "coreml": ".mlpackage"}
#: A file whose mattes are further (mean of 0..1) from the original's is not written.
LIMITS: dict[Form, float] = {"f32": 2e-3, "f16": 5e-3, "int8-weights": 3e-2}
_NEXT: dict[Form, str] = {
    "f32": "take another network",
    "f16": "export --form f32",
    "int8-weights": "export --form f16, or f32",
}


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. ``mean`` and ``largest`` are how far its mattes (0..1) are from the
    original's over ``pictures``, in ``runtime``; None where no runtime for it runs here.
    """

    path: Path
    card: Path
    form: Form
    bytes: int
    sha256: str
    pictures: int
    runtime: str
    mean: float | None
    largest: float | None


def export(
    spec: ModelSpec,
    folder: Path,
    *,
    to: To,
    form: Form = "int8-weights",
    size: int | None = None,
    pictures: Sequence[Rgb],
) -> Exported:
    """Write ``spec`` for another runtime into ``folder``, and a card (.json) that explains it.

    ``size`` is the side of the square input (the recipe's size), fixed in the file. ``pictures``
    (RGB) are what its answers are compared on with the original's in ONNX Runtime.

    Nothing is written where they differ by more than ``LIMITS`` (``InferenceFailed``). Raises also
    ``BadOption`` for networks that the conversion cannot take, ``MissingDependency``, and
    ``OutputNotWritable``.
    """
    if spec.family != "saliency":
        raise BadOption(
            f"{spec.id} is not a network of one picture and one matte",
            hint="take another, like cleancut-nano, u2netp or modnet",
        )
    recipe = fixed(spec.recipe, size)
    weights = resolve(spec)
    name = spec.path.stem if spec.path else spec.id
    target = folder / f"{name}-{form}{TARGETS[to]}"
    with tempfile.TemporaryDirectory() as scratch:
        work = Path(scratch)
        network = slimmed(weights.path, recipe)
        (work / child.NETWORK).write_bytes(network.SerializeToString())
        feeds = [prepare(rgb, recipe)[0] for rgb in pictures]
        np.savez(work / child.FEEDS, *feeds)
        about = {"title": spec.title, "licence": spec.weight_licence or "unknown"}
        made, mattes, runtime, found = _made(work, to, form, recipe, about, feeds)
        wanted = _answers(weights.path, feeds, recipe.output)
        mean, largest = _parity(recipe, pictures, wanted, mattes)
        if mean is not None and not mean <= LIMITS[form]:
            raise InferenceFailed(
                f"{runtime} answers otherwise than the original: {mean:.1e} in the mean, more than "
                f"{LIMITS[form]:.0e} ({form})",
                hint=_NEXT[form],
            )
        length, sha256 = _measure(made)
        _put(made, target)
    card = target.with_name(f"{target.name}.json")
    done = Exported(target, card, form, length, sha256, len(pictures), runtime, mean, largest)
    write_atomic(
        card, (json.dumps(card_of(spec, recipe, to, done) | found, indent=1) + "\n").encode()
    )
    return done


def fixed(recipe: Recipe, size: int | None) -> Recipe:
    """``recipe`` for one input size: pictures are stretched to it, whatever the original does."""
    if size is not None and (not 64 <= size <= 2048 or size % 32):
        raise BadOption(f"--size {size}", hint="a multiple of 32 from 64 to 2048")
    resize = "stretch" if recipe.resize == "short-side" else recipe.resize
    return replace(recipe, size=(size, size) if size else recipe.size, resize=resize)


def card_of(spec: ModelSpec, recipe: Recipe, to: To, done: Exported) -> dict[str, Any]:
    """All that whoever runs the file must know, as plain JSON values."""
    image = to == "coreml"
    layout = "image" if image else "nhwc" if to == "tflite" else recipe.layout
    height, width = recipe.size
    shape = [1, height, width, 3] if layout == "nhwc" else [1, 3, height, width]
    return {
        "file": done.path.name,
        "runtime": {"onnx-web": "onnxruntime-web", "tflite": "LiteRT", "coreml": "Core ML"}[to],
        "form": done.form,
        "bytes": done.bytes,
        "sha256": done.sha256,
        "model": spec.id,
        "title": spec.title,
        "input": {
            "name": {"coreml": "picture", "tflite": "input"}.get(to) or done_name(done.path, 0),
            "shape": shape,
            "type": "image, RGB" if image else "float32",
            "layout": layout,
            "resize": f"{recipe.resize} to {width} x {height}, averaging areas where it shrinks",
            # An image is normalised by the first operators of the program.
            "normalise": "inside" if image else _steps(recipe),
        },
        "output": {
            "name": done_name(done.path, 1) if to == "onnx-web" else "alpha",
            "classes": list(recipe.classes),
            "activation": recipe.activation,
            "range": [0, 1],
            "means": "the matte: 0 background, 1 subject; resize it to the picture, bilinear",
        },
        "parity": {
            "runtime": done.runtime,
            "pictures": done.pictures,
            "mean": done.mean,
            "largest": done.largest,
        },
        "code_licence": spec.code_licence,
        "weight_licence": spec.weight_licence,
        "training_data": spec.training_data,
        "commercial": spec.commercial,
        "homepage": spec.homepage,
        "licence_text": _licence_text(spec),
        "made_by": f"cleancut {__version__}",
    }


def done_name(path: Path, which: int) -> str:
    """The name of the input (0) or output (1) of an ONNX file, as its author called it."""
    from cleancut.backends.onnxfile import read_signature

    signature = read_signature(path)
    return (signature.inputs, signature.outputs)[which][0]


def _licence_text(spec: ModelSpec) -> str:
    """The licence in full where it is the package's own, which lies in every installation."""
    if spec.weight_licence != "Apache-2.0":
        return ""
    return (distribution("cleancut").read_text("licenses/LICENSE") or "").strip()


def _steps(recipe: Recipe) -> dict[str, Any]:
    return {"divide_by": recipe.divide_by, "mean": list(recipe.mean), "std": list(recipe.std)}


def _made(
    work: Path, to: To, form: Form, recipe: Recipe, about: dict[str, str], feeds: list[Tensor]
) -> tuple[Path, list[Tensor] | None, str, dict[str, Any]]:
    """The converted file, its answers where it runs here, by what, and what it says of itself."""
    if to == "onnx-web":
        path = work / "model.onnx"
        _web(work / child.NETWORK, path, form)
        return path, _answers(path, feeds), "onnxruntime", {}
    said = child.in_own_process(work, to, form, recipe, about)
    if to == "coreml":
        return work / "model.mlpackage", None, "not run: Core ML needs macOS or iOS", said
    with np.load(work / child.ANSWERS) as found:
        return work / "model", [found[name] for name in found.files], "TensorFlow Lite", {}


def _web(source: Path, target: Path, form: Form) -> None:
    """Only how weights are stored differs: arithmetic stays float32, which every browser has."""
    import onnx

    network = onnx.load(source)
    if form == "f16":
        network = compact.with_f16_weights(network)
    elif form == "int8-weights":
        network = compact.with_int8_weights(network)
    target.write_bytes(network.SerializeToString(deterministic=True))


def _answers(path: Path, feeds: list[Tensor], output: str = "") -> list[Tensor]:
    (placement,) = select.candidates(backend="ort", device="cpu", precision="f32", bf16_ok=False)
    session = select.open_session(path, placement, outputs=[output] if output else None)
    (name,) = session.inputs
    return [session.run({name: feed})[session.outputs[0]] for feed in feeds]


def _parity(
    recipe: Recipe,
    pictures: Sequence[Rgb],
    wanted: list[Tensor],
    answers: list[Tensor] | None,
) -> tuple[float | None, float | None]:
    """Mean and largest difference of mattes from the original's, at the network's own size."""
    if answers is None:
        return None, None
    mean = largest = 0.0
    for rgb, theirs, ours in zip(pictures, wanted, answers, strict=True):
        window = plan(rgb.shape[0], rgb.shape[1], recipe)
        away = np.abs(matte_of(ours, recipe, window) - matte_of(theirs, recipe, window))
        mean += float(away.mean(dtype=np.float64)) / len(pictures)
        largest = max(largest, float(away.max()))
    return mean, largest


def _measure(made: Path) -> tuple[int, str]:
    """Bytes and sha256; of a folder, those of its files in order, names included."""
    if made.is_file():
        data = made.read_bytes()
        return len(data), hashlib.sha256(data).hexdigest()
    length, digest = 0, hashlib.sha256()
    for path in sorted(path for path in made.rglob("*") if path.is_file()):
        data = path.read_bytes()
        length += len(data)
        digest.update(path.relative_to(made).as_posix().encode() + b"\0" + data)
    return length, digest.hexdigest()


def _put(made: Path, target: Path) -> None:
    """Move what was made to its place, over what an earlier export left there."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if made.is_file():
            write_atomic(target, made.read_bytes())
            return
        with tempfile.TemporaryDirectory(prefix=".cleancut-", dir=target.parent) as draft:
            whole = shutil.copytree(made, Path(draft) / target.name)
            if target.is_dir():
                shutil.rmtree(target)
            target.unlink(missing_ok=True)
            whole.rename(target)  # a program that is ended leaves no half of it
    except OSError as error:
        raise not_writable(target, error) from error


def facts(done: Exported) -> dict[str, Any]:
    """As plain JSON values."""
    return {**asdict(done), "path": str(done.path), "card": str(done.card)}
