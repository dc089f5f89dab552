"""From a catalog row to a ready model: which file, which runtime, which family.

The only place that knows families; each is imported in the branch that needs it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cleancut.backends import select
from cleancut.backends.machine import fingerprint
from cleancut.backends.onnxfile import read_signature
from cleancut.errors import BackendUnavailable, WeightsMissing
from cleancut.weights.folders import cache_folder
from cleancut.weights.optimized import find_copy, read_copy
from cleancut.weights.resolve import resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from cleancut.arrays import Tensor
    from cleancut.backends.base import Placement, Session
    from cleancut.catalog import ModelSpec
    from cleancut.models.base import Model
    from cleancut.options import BackendChoice, DeviceChoice, PrecisionChoice
    from cleancut.weights.optimized import Optimized


@dataclass(frozen=True, slots=True)
class Placing:
    """What the user asks for about where a network runs.

    "auto" is decided by measuring. With ``measure`` it always is; without, not where the expected
    winner is clear (a GPU, or bf16 instructions) and the first picture would wait for seconds.
    """

    backend: BackendChoice = "auto"
    device: DeviceChoice = "auto"
    precision: PrecisionChoice = "auto"
    threads: int | None = None
    measure: bool = False


def load(spec: ModelSpec, placing: Placing | None = None) -> Model:
    """A ready model for ``spec``, its weights verified.

    Raises ``WeightsMissing``, ``WeightsCorrupt``, ``BackendUnavailable``, ``InferenceFailed``.
    """
    if spec.family == "echo":
        from cleancut.models.echo import EchoModel

        return EchoModel()
    placing = placing or Placing()
    session = open_session(spec, placing)
    if spec.family == "recurrent":
        from cleancut.models.recurrent import RecurrentModel

        return RecurrentModel(spec, session, _reopen(spec, placing, session))
    if spec.family == "saliency":
        if session.placement.device == "gpu" and session.placement.backend == "ort":
            from cleancut.backends.ort import OrtSession

            if isinstance(session, OrtSession) and session.memory != "cpu" and session.floats:
                from cleancut.models.on_device import DeviceModel

                return DeviceModel(spec, session)
        from cleancut.models.saliency import SaliencyModel

        return SaliencyModel(spec, session)
    raise BackendUnavailable(
        f"{spec.id}: this version knows no family {spec.family!r}",
        hint="families: saliency, recurrent",
    )


def _reopen(
    spec: ModelSpec, placing: Placing, session: Session
) -> Callable[[select.Shapes], Session] | None:
    """How to have the graph of ``session`` once more for other shapes, where that is worth it."""
    if session.placement.backend != "openvino":
        return None
    path, where, threads = resolve(spec).path, session.placement, placing.threads
    # Not into the cache: compiling takes 0.25 s, and frames come in any number of sizes.
    return lambda shapes: select.open_session(path, where, shapes=shapes, threads=threads)


def sized(model: Model, side_px: int | None) -> Model:
    """``model`` fed at another input size, sharing its session; None leaves it alone.

    Networks that answer at one size only stay as they are.
    """
    from cleancut.models.saliency import SaliencyModel

    if side_px is None or not isinstance(model, SaliencyModel):
        return model
    return model.sized(side_px) if model.spec.recipe.resize == "short-side" else model


def open_session(spec: ModelSpec, placing: Placing) -> Session:
    """The session of ``spec`` on the backend asked for, or on the one measured to be fastest.

    With the precision "int8" that of its int8 copy; with "auto" too, where there is a copy that
    was measured on this machine to be nearly as good and faster.
    """
    copy = int8_copy(spec, placing)
    return open_original(spec, placing) if copy is None else open_copy(spec, placing, *copy)


def int8_copy(spec: ModelSpec, placing: Placing) -> tuple[Path, Optimized] | None:
    """The verified int8 copy that ``placing`` means for ``spec``, or None for the original.

    Raises ``WeightsMissing`` where int8 is asked for and there is no copy of these weights,
    ``WeightsCorrupt`` for a damaged one.
    """
    if placing.precision == "int8":
        if spec.path is not None or spec.family != "saliency":
            raise WeightsMissing(
                f"{spec.id} has no int8 copy, and none can be made",
                hint="leave --precision int8 out",
            )
        return find_copy(spec, resolve(spec).sha256)
    if placing.precision != "auto" or spec.path is not None or not _suits(spec, placing):
        return None
    return find_copy(spec, resolve(spec).sha256)


def weights_sha256(spec: ModelSpec, placing: Placing) -> str:
    """sha256 of the weights that ``load`` would run, verified; of the int8 copy where that is it.

    Raises as ``load`` does; empty for the model that has no weights.
    """
    if spec.family == "echo":
        return ""
    copy = int8_copy(spec, placing)
    return resolve(spec).sha256 if copy is None else copy[1].sha256


def destined(spec: ModelSpec, placing: Placing) -> tuple[Placement | None, int]:
    """Where ``load`` will run ``spec``, and the size of its weights in bytes; nothing is loaded.

    None where that is still to be measured. Raises as ``load`` does.
    """
    if spec.family == "echo":
        return None, 0
    copy, found = int8_copy(spec, placing), resolve(spec)
    path, key = (found.path, found.sha256) if copy is None else (copy[0], copy[1].sha256)
    if copy is not None:
        placing = replace(placing, precision="int8")
    candidates = _candidates(spec, placing)
    where = select.known(key, candidates, cache_folder())
    if where is None and not placing.measure and _is_clear(candidates[0]):
        where = candidates[0]
    return where, path.stat().st_size


def open_original(spec: ModelSpec, placing: Placing) -> Session:
    """As ``open_session``, never the int8 copy."""
    found = resolve(spec)
    return _open(spec, placing, found.path, found.sha256, _candidates(spec, placing))


def open_copy(spec: ModelSpec, placing: Placing, path: Path, copy: Optimized) -> Session:
    """A session of the int8 copy ``path``, for measuring it before it is in the store too."""
    candidates = select.candidates(
        backend=placing.backend,
        device=placing.device,
        precision="int8",
        bf16_ok=spec.bf16,
    )
    if copy.machine == fingerprint():
        told = f"measured: {copy.ms[1]:.0f} ms, {copy.original_ran} {copy.ms[0]:.0f} ms"
        candidates = [replace(candidates[0], reason=told)]
    return _open(spec, placing, path, copy.sha256, candidates)


def _open(
    spec: ModelSpec, placing: Placing, path: Path, sha256: str, candidates: Sequence[Placement]
) -> Session:
    signature = read_signature(path)
    shapes = None
    if spec.family == "recurrent" and "downsample_ratio" not in signature.inputs:
        shapes = {name: feed.shape for name, feed in _sample(spec, signature.inputs).items()}
    return select.open_best(
        path,
        key=sha256,
        candidates=candidates,
        sample=lambda: _sample(spec, signature.inputs),
        outputs=_outputs(spec, signature.outputs),
        shapes=shapes,
        cache_dir=cache_folder(),
        threads=placing.threads,
        probe=placing.measure or not _is_clear(candidates[0]),
    )


def _is_clear(expected: Placement) -> bool:
    """Whether nothing will beat the candidate that is expected to win."""
    return expected.device == "gpu" or expected.precision == "bf16"


def _suits(spec: ModelSpec, placing: Placing) -> bool:
    """Whether "auto" means the int8 copy: accurate, faster where this runs, of these weights."""
    copy = read_copy(spec)
    if copy is None or copy.refused or copy.machine != fingerprint():
        return False
    if copy.made_from != resolve(spec).sha256 or placing.backend == "ort":
        return False
    return placing.device != "gpu" and not _gpu_first(spec, placing)


def _gpu_first(spec: ModelSpec, placing: Placing) -> bool:
    return _candidates(spec, placing)[0].device == "gpu"


def forget_choice(spec: ModelSpec) -> None:
    """Forget which backend was measured fastest for ``spec``, so that the next load measures."""
    select.forget(resolve(spec).sha256, _candidates(spec, Placing()), cache_folder())


def _candidates(spec: ModelSpec, placing: Placing) -> list[Placement]:
    return select.candidates(
        backend=placing.backend,
        device=placing.device,
        precision=placing.precision,
        bf16_ok=spec.bf16 and not _filters_inside(spec),
    )


def _filters_inside(spec: ModelSpec) -> bool:
    """Whether the graph itself has a guided filter, whose small differences bf16 cannot hold."""
    return spec.family == "recurrent" and "matte" not in read_signature(resolve(spec).path).outputs


def _outputs(spec: ModelSpec, available: Sequence[str]) -> list[str] | None:
    """A still model needs one output, whatever else its export computes; a recurrent one all."""
    if spec.family == "recurrent":
        return None
    return [spec.recipe.output or available[0]]


def _sample(spec: ModelSpec, inputs: Sequence[str]) -> dict[str, Tensor]:
    """Noise of the size met in use for every input, so that a probe costs what a picture costs."""
    import numpy as np

    height, width = spec.recipe.size
    shape = (1, height, width, 3) if spec.recipe.layout == "nhwc" else (1, 3, height, width)
    noise = np.random.default_rng(0).random(shape, np.float32)
    if spec.family != "recurrent":
        return dict.fromkeys(inputs, noise)
    from cleancut.models.recurrent import downsample_ratio, first_feeds, first_memory, small_size

    if "downsample_ratio" in inputs:
        return first_feeds(noise, ratio=1.0)
    height, width = small_size(720, 1280, downsample_ratio(720, 1280))
    wide = np.random.default_rng(0).random((1, 3, height, width), np.float32)
    return {"src": wide, **first_memory(height, width)}
