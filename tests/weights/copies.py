"""int8 copies for tests: a row, its weights in the store, and a manifest with given figures."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from cleancut.backends.machine import fingerprint
from cleancut.catalog import ModelSpec, Part, Recipe, WeightFile
from cleancut.weights.folders import models_folder
from cleancut.weights.manifest import manifest_path
from cleancut.weights.optimized import Optimized, SetScore, Step, copy_path, copy_text
from tests.backends.graphs import conv


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def stored_row(name: str = "tiny") -> ModelSpec:
    """A row whose weights, a convolution, lie in the store of this test."""
    folder = models_folder() / name
    folder.mkdir(parents=True, exist_ok=True)
    path = conv(folder / f"{name}.onnx")
    part = Part(path.name, path.stat().st_size, digest(path))
    weight = WeightFile(file=path.name, parts=(part,), sources=())
    recipe = Recipe(size=(16, 16), output="alpha")
    return ModelSpec(id=name, title=name, family="saliency", recipe=recipe, weights=(weight,))


def manifest(spec: ModelSpec, path: Path, **changes: object) -> Optimized:
    """Figures of an accurate and fast copy ``path``, with some changed."""
    copy = Optimized(
        model=spec.id,
        file=path.name,
        bytes=path.stat().st_size,
        sha256=digest(path),
        made_from=spec.weights[0].sha256,
        calibration="generated",
        calibration_pictures=16,
        calibration_sha256="0" * 64,
        layers=12,
        kept=("last",),
        truth="generated",
        sets=(SetScore("generated", 24, (20.0, 20.2), (0.1, 0.102), (0.9, 0.9)),),
        apart_mad=1.0,
        apart_iou=0.99,
        ms=(100.0, 45.0),
        original_ran="openvino cpu bf16",
        machine=fingerprint(),
        threads=2,
        date="2026-01-01T00:00:00Z",
        curve=(Step("all layers in int8", 0, 1.02, 1.01, 45.0),),
        tools={"nncf": "3"},
    )
    return replace(copy, **changes)  # type: ignore[arg-type]


def put_copy_of(spec: ModelSpec, **changes: object) -> Optimized:
    """A copy in the store: the same graph, so that both answer alike."""
    path = copy_path(spec)
    path.parent.mkdir(parents=True, exist_ok=True)
    conv(path)
    copy = manifest(spec, path, **changes)
    manifest_path(path).write_text(copy_text(copy), "utf-8")
    return copy
