"""Input, output and file names in an ONNX file, read from the protobuf without any runtime.

``onnx.load`` costs an import of 0.1 s and a copy of the weights; this walks the field headers of
a memory map and touches no weight. Field numbers: onnx/onnx.proto (ModelProto, GraphProto,
ValueInfoProto, TensorProto); wire format: protobuf.dev/programming-guides/encoding.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeAlias

from cleancut.errors import WeightsCorrupt, WeightsMissing

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MODEL_GRAPH = 7
_GRAPH_INITIALIZER, _GRAPH_INPUT, _GRAPH_OUTPUT = 5, 11, 12
_TENSOR_NAME, _TENSOR_EXTERNAL, _VALUE_NAME = 8, 13, 1
_ENTRY_KEY, _ENTRY_VALUE = 1, 2

_Data: TypeAlias = mmap.mmap
_Field: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Signature:
    """What a graph takes and gives, in the file's order.

    ``external`` names the files, below the model's folder, that hold some of its weights: exports
    of more than 2 GB cannot do without.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    external: tuple[str, ...] = ()


def read_signature(path: Path) -> Signature:
    """Names of the graph's inputs (without weights) and outputs.

    Raises ``WeightsCorrupt`` if the file is not an ONNX model, is cut off, or takes weights from
    outside of its folder, ``WeightsMissing`` if a file with weights is not there. (Current
    runtimes refuse the former too, links included, and in the places that are not looked at here:
    constants and subgraphs.)
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            signature = _scan(data)
    except (ValueError, IndexError, OSError) as error:
        raise corrupt(path) from error
    if not signature.inputs or not signature.outputs:
        raise corrupt(path)
    for name in signature.external:
        if not _stays_inside(name):
            raise WeightsCorrupt(
                f"{path.name} takes its weights from outside of its folder ({name!r:.100})",
                hint="export it again, with the weights inside or beside it",
            )
        if not (path.parent / name).is_file():
            raise WeightsMissing(
                f"{path.name} keeps weights in {name!r:.100}, which is not beside it",
                hint=f"put that file into {path.parent}",
            )
    return signature


def corrupt(path: Path) -> WeightsCorrupt:
    """The error for a file that is no model."""
    return WeightsCorrupt(
        f"{path.name} is not an ONNX model, or is damaged",
        hint="run: cleancut models verify",
    )


def _stays_inside(name: str) -> bool:
    windows = PureWindowsPath(name)  # knows / and \\ as separators, and drives
    parts = {*windows.parts, *PurePosixPath(name).parts}
    return bool(parts) and not windows.anchor and ".." not in parts


def _scan(data: _Data) -> Signature:
    inputs, outputs, weights = [], [], set()
    external: dict[str, None] = {}
    for field, start, end in _fields(data, 0, len(data)):
        if field != _MODEL_GRAPH:
            continue
        for part, first, last in _fields(data, start, end):
            if part == _GRAPH_INPUT:
                inputs.append(_text(data, first, last, _VALUE_NAME))
            elif part == _GRAPH_OUTPUT:
                outputs.append(_text(data, first, last, _VALUE_NAME))
            elif part == _GRAPH_INITIALIZER:
                weights.add(_text(data, first, last, _TENSOR_NAME))
                external.update(dict.fromkeys(_locations(data, first, last)))
    names = tuple(name for name in inputs if name not in weights)
    return Signature(names, tuple(outputs), tuple(external))


def _locations(data: _Data, start: int, end: int) -> Iterator[str]:
    for field, first, last in _fields(data, start, end):
        if field == _TENSOR_EXTERNAL and _text(data, first, last, _ENTRY_KEY) == "location":
            yield _text(data, first, last, _ENTRY_VALUE)


def _text(data: _Data, start: int, end: int, wanted: int) -> str:
    for field, first, last in _fields(data, start, end):
        if field == wanted:
            return data[first:last].decode("utf-8")
    return ""


def _fields(data: _Data, at: int, end: int) -> Iterator[_Field]:
    """(field number, start, end) of each length-delimited field in [at, end)."""
    while at < end:
        key, at = _varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            _, at = _varint(data, at)
        elif kind == _FIXED64:
            at += 8
        elif kind == _FIXED32:
            at += 4
        elif kind == _BYTES:
            size, at = _varint(data, at)
            if at + size > end:
                raise ValueError("a field ends beyond the file")
            yield key >> 3, at, at + size
            at += size
        else:
            raise ValueError("not protobuf")
    if at != end:
        raise ValueError("a field ends beyond its message")


def _varint(data: _Data, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")
