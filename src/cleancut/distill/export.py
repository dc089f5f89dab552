"""A student as one ONNX file that answers as it did in torch, and its row for the catalog."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cleancut import __version__
from cleancut.backends import select
from cleancut.backends.machine import has_bf16
from cleancut.distill import compact, graph
from cleancut.distill.config import config_text
from cleancut.distill.origin import Origin
from cleancut.distill.student import Student, load_student, recipe_of
from cleancut.errors import BackendUnavailable, BadOption, InferenceFailed
from cleancut.extras import extra
from cleancut.imaging.files import not_writable, write_atomic
from cleancut.models.recipe import prepare

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

    from cleancut.arrays import Rgb, Tensor
    from cleancut.backends.base import Placement
    from cleancut.optimize.run import Plan

Form = Literal["f32", "f16", "int8-weights", "int8"]
INPUT, OUTPUT = "input", "alpha"
OPSET = 18
#: A file of another form is refused where its mattes are further (mean of 0..1) from torch's.
LIMITS: dict[Form, float] = {"f32": 1e-3, "f16": 2e-3, "int8-weights": 1e-2, "int8": 5e-2}
#: The row says that bf16 will do where its mattes are this near.
BF16_LIMIT = 5e-3
#: Pictures made in code that parity is checked on, where no others are handed in.
_SCENES = 4
_FIRST_SCENE = 70_000


@dataclass(frozen=True, slots=True)
class Parity:
    """How far mattes of one runtime are from torch's, 0..1, over all pixels of all pictures.

    Only float32 (and int8) is held to a limit; bf16 is told where the processor computes it.
    """

    runtime: str
    mean: float
    largest: float


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written. ``row`` is the catalog's row, ``recipe`` what stands beside the file."""

    path: Path
    form: Form
    size: int
    bytes: int
    sha256: str
    step: int
    parameters: int
    pictures: int
    parity: tuple[Parity, ...]
    row: str
    recipe: str
    metadata: dict[str, str] = field(default_factory=dict)


def export(
    run: Path,
    target: Path,
    *,
    size: int | None = None,
    form: Form = "f32",
    any_size: bool = False,
    pictures: Sequence[Rgb] = (),
    origin: Origin | None = None,
    plan: Plan | None = None,
) -> Exported:
    """Write the student of ``run`` to ``target``, and its recipe to the ``.toml`` beside it.

    ``size`` is the side of the square input (the configuration's), a multiple of 32; with
    ``any_size`` the graph takes other multiples too. ``form`` is how weights are stored: "f32",
    "f16" and "int8-weights" compute in float32, "int8" is calibrated and scored as ``plan`` says,
    by ``optimize``. ``pictures`` (RGB) are what parity is checked on, else pictures made in code.

    Nothing is written where the answers of ONNX Runtime or OpenVINO are not those of torch
    (``InferenceFailed``). Raises also ``BadOption``, ``MissingDependency`` and what
    ``load_student`` and ``optimize`` raise.
    """
    if form not in LIMITS:
        raise BadOption(f"--form {form}", hint=f"one of: {', '.join(LIMITS)}")
    student = load_student(run)
    size = size or student.config.size
    if not 64 <= size <= 2048 or size % 32:
        raise BadOption(f"--size {size}", hint="a multiple of 32 from 64 to 2048")
    origin = origin or Origin.of(run)
    model = to_onnx(student.net, size, trace=student.config.kind == "onnx")
    if any_size and not graph.loosen(model):
        raise BadOption(
            "--any-size: this network computes with sizes that its graph must know",
            hint="leave it out, and export a file a size",
        )
    metadata = _metadata(student, origin, form)
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)
    looked_at = pictures or [scene for scene, _ in _scenes()]
    with _beside(target) as part:
        _write(part, model, form, size, plan)
        sizes = (size, size + 32) if any_size else (size,)
        parity = check_parity(student.net, part, sizes, looked_at, form)
        data = part.read_bytes()
    recipe = _recipe_toml(student, origin, size)
    write_atomic(target.with_suffix(".toml"), recipe.encode())
    sha256 = hashlib.sha256(data).hexdigest()
    return Exported(
        path=target,
        form=form,
        size=size,
        bytes=len(data),
        sha256=sha256,
        step=student.step,
        parameters=sum(weight.numel() for weight in student.net.parameters()),
        pictures=len(looked_at),
        parity=parity,
        row=catalog_row(
            student,
            origin,
            size,
            target.name,
            len(data),
            sha256,
            bf16=any(one.runtime.endswith("bf16") and one.mean <= BF16_LIMIT for one in parity),
        ),
        recipe=recipe,
        metadata=metadata,
    )


def to_onnx(net: nn.Module, size: int, *, trace: bool = False) -> ModelProto:
    """``net`` with a sigmoid behind it as ONNX of opset 18, (1, 3, size, size) to (1, 1, ..).

    Constants are folded. With ``trace`` by torch's old exporter, which writes down what one run
    does: networks imported from ONNX read sizes out of tensors, which the new one refuses.
    """
    with extra("train"):
        import onnx
        import onnxslim
        import torch

    whole = torch.nn.Sequential(net, torch.nn.Sigmoid())
    training, where = net.training, next(net.parameters()).device
    options: dict[str, Any] = {} if trace else {"external_data": False, "verbose": False}
    whole.eval()
    try:
        with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about their own internals, and traces of one shape
            file = Path(scratch) / "student.onnx"
            torch.onnx.export(
                whole,
                (torch.zeros(1, 3, size, size, device=where),),
                str(file),
                input_names=[INPUT],
                output_names=[OUTPUT],
                opset_version=OPSET,
                dynamo=not trace,
                **options,
            )
            model: ModelProto = onnxslim.slim(onnx.load(file))
    except Exception as error:
        if _interrupted(error):
            raise KeyboardInterrupt from error
        raise
    finally:
        net.train(training)
    graph.tidy(model)
    onnx.checker.check_model(model)
    return model


def _interrupted(error: BaseException | None) -> bool:
    """Whether a Ctrl-C lies behind ``error``: torch's exporter makes errors of its own of it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def check_parity(
    net: nn.Module, path: Path, sizes: Sequence[int], pictures: Sequence[Rgb], form: Form
) -> tuple[Parity, ...]:
    """The mattes of torch beside those of every installed runtime on the same pictures.

    Raises ``InferenceFailed`` where they differ by more than ``LIMITS`` in the mean.
    """
    feeds = [prepare(rgb, recipe_of(size))[0] for size in sizes for rgb in pictures]
    wanted = [_by_torch(net, feed) for feed in feeds]
    found = []
    for placement in _placements(form):
        session = select.open_session(path, placement)
        mean = largest = 0.0
        for feed, want in zip(feeds, wanted, strict=True):
            away = np.abs(session.run({INPUT: feed})[OUTPUT] - want)
            mean += float(away.mean(dtype=np.float64)) / len(feeds)
            largest = max(largest, float(away.max()))
        bf16 = placement.precision == "bf16"
        found.append(Parity(f"{placement.backend}{' bf16' * bf16}", mean, largest))
        if not bf16 and not mean <= LIMITS[form]:
            raise InferenceFailed(
                f"{placement.backend} answers otherwise than torch: {mean:.1e} in the mean, more "
                f"than {LIMITS[form]:.0e} ({form})",
                hint="export another form, or train with fewer extreme weights (weight_decay)",
            )
    return tuple(found)


def catalog_row(
    student: Student,
    origin: Origin,
    size: int,
    file: str,
    length: int,
    sha256: str,
    *,
    bf16: bool = False,
) -> str:
    """The row that ``catalog.toml`` needs for the file, as TOML, but for where it can be had."""
    name, text = student.config.name, json.dumps
    tags = ["portrait", "fast"] if student.config.kind == "portrait" else ["general", "fast"]
    part = f"{{ name = {text(file)}, bytes = {length}, sha256 = {text(sha256)} }}"
    lines = [
        "[[model]]",
        f"id = {text(name)}",
        f"title = {text(f'{name}: {_title(student)}')}",
        'family = "saliency"',
        f"tags = {text(tags)}",
        'code_licence = "Apache-2.0"',
        f"weight_licence = {text(origin.licence)}",
        f"training_data = {_string(origin.training_data())}",
        f"commercial = {text(origin.commercial)}",
        *(["bf16 = true"] if bf16 else []),
        "[model.recipe]",
        f"size = {size}",
        "mean = 0.5",
        "std = 0.5",
        "[[model.weights]]",
        f"file = {text(file)}",
        f"parts = [{part}]",
    ]
    return "\n".join(lines) + "\n"


def _title(student: Student) -> str:
    return "people" if student.config.kind == "portrait" else "every kind of subject, small"


def _recipe_toml(student: Student, origin: Origin, size: int) -> str:
    """What ``--model FILE.onnx`` reads beside the file."""
    return "\n".join(
        (
            f"title = {json.dumps(student.config.name)}",
            f"size = {size}",
            "mean = 0.5",
            "std = 0.5",
            f"weight_licence = {json.dumps(origin.licence)}",
            f"commercial = {json.dumps(origin.commercial)}",
            "",
        )
    )


def _string(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _metadata(student: Student, origin: Origin, form: Form) -> dict[str, str]:
    config = config_text(student.config)
    return {
        "name": student.config.name,
        "licence": origin.licence,
        "training_data": origin.training_data(),
        "config_sha256": hashlib.sha256(config.encode()).hexdigest(),
        "step": str(student.step),
        "form": form,
        "made_by": f"cleancut {__version__}",
    }


def _write(path: Path, model: ModelProto, form: Form, size: int, plan: Plan | None) -> None:
    if form == "int8-weights":
        model = compact.with_int8_weights(model)
    elif form == "f16":
        model = compact.with_f16_weights(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
    if form == "int8":
        from cleancut.optimize.run import quantise

        quantise(path, path, recipe_of(size), plan)


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """A file in the folder of ``target`` that takes its name at the end, if all went well."""
    part = target.with_name(f".cleancut-{secrets.token_hex(6)}.onnx")
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        raise not_writable(target, error) from error
    finally:
        part.unlink(missing_ok=True)


def _by_torch(net: nn.Module, feed: Tensor) -> Tensor:
    import torch

    where = next(net.parameters()).device
    with torch.inference_mode():
        answer: Tensor = torch.sigmoid(net(torch.from_numpy(feed).to(where))).cpu().numpy()
    return answer


def _placements(form: Form) -> list[Placement]:
    """Both runtimes on the processor, in the arithmetic that the file is made for."""
    precision: Literal["int8", "f32"] = "int8" if form == "int8" else "f32"
    found: list[Placement] = []
    for backend in ("ort", "openvino"):
        try:
            found += select.candidates(
                backend=backend, device="cpu", precision=precision, bf16_ok=False
            )
        except BackendUnavailable:
            continue  # OpenVINO is not made for every processor
    if form != "int8" and has_bf16() and any(one.backend == "openvino" for one in found):
        found += select.candidates(backend="openvino", device="cpu", precision="bf16", bf16_ok=True)
    return found


def _scenes() -> list[tuple[Any, Any]]:
    from cleancut.optimize.scenes import scene

    return [scene(_FIRST_SCENE + number) for number in range(_SCENES)]
