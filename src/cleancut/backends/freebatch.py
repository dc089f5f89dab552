"""Graphs that take several pictures at once, though they were exported for one.

Most exports say "batch of 1" at the door only. Whether one is wired inside too (a Reshape to a
constant shape, say) is not read from the graph but tried.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from cleancut.backends.onnxfile import read_signature
from cleancut.errors import CleancutError

if TYPE_CHECKING:
    from cleancut.arrays import Tensor
    from cleancut.backends.base import Session, Shape

#: Where a graph takes any size it is tried at this one, in pixels.
_SIDE = 256
#: A batch's answers may be this far from those one by one, as a share of how far they lie apart.
_CLOSE = 0.02


def freed(path: Path) -> bytes | None:
    """The graph of ``path`` with a free first dimension, as a file's bytes.

    None where there is no use in trying: several inputs (a memory among them), weights in files of
    their own, or a first dimension that is neither 1 nor free.
    """
    signature = read_signature(path)
    if len(signature.inputs) != 1 or signature.external:
        return None
    import onnx

    model = onnx.load(str(path))
    graph = model.graph
    picture = next(port for port in graph.input if port.name == signature.inputs[0])
    ports = [picture, *graph.output]
    firsts = [port.type.tensor_type.shape.dim[:1] for port in ports]
    if not all(first and first[0].dim_value in (0, 1) for first in firsts):
        return None
    for first in firsts:
        first[0].dim_param = "batch"
    del graph.value_info[:]  # they repeat the 1
    data: bytes = model.SerializeToString()
    return data


def takes_batches(session: Session) -> bool:
    """Whether two pictures at once are answered as they are one by one.

    False too where the answers to two very different pictures are so alike that nothing is shown.
    """
    ((name, shape),) = session.inputs.items()
    one, two = (_picture(shape, which) for which in range(2))
    output = session.outputs[0]
    try:
        alone = np.concatenate([session.run({name: picture})[output] for picture in (one, two)])
        both = session.run({name: np.concatenate([one, two])})[output]
    except (CleancutError, ValueError):
        return False
    if both.shape != alone.shape:
        return False
    apart = float(np.abs(alone[0] - alone[1]).max())
    return apart > 0 and float(np.abs(both - alone).max()) <= _CLOSE * apart


def _picture(shape: Shape, which: int) -> Tensor:
    """A bright disc on dark ground, or a dark bar on bright ground: what a network tells apart."""
    sizes = [1, *(size or _SIDE for size in shape[1:])]
    last = sizes[-1] == 3
    height, width = sizes[1:3] if last else sizes[2:]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    disc = np.where(x * x + y * y < 0.4, 1.5, -1.5)
    bar = np.where(abs(x - 0.5) < 0.3, -1.5, 1.5)
    plane = (bar if which else disc)[:, :, None] if last else (bar if which else disc)
    return np.ascontiguousarray(np.broadcast_to(plane, sizes), np.float32)
