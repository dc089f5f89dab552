"""Where arrays of a run lie: on the device they are computed on, or here (IO binding)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cleancut.backends.ort import onnxruntime

if TYPE_CHECKING:
    from cleancut.arrays import Tensor

#: ONNX Runtime's name of the memory that a session computes in. Its first device is meant: a
#: process has one GPU, and which one is said with CUDA_VISIBLE_DEVICES.
Memory = Literal["cpu", "cuda"]

_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class Place:
    """A float32 array in a device's memory; ``holder`` keeps that memory."""

    shape: tuple[int, ...]
    address: int
    holder: Any

    def row(self, index: int) -> Place:
        """The part of the first axis at ``index``, as a batch of one."""
        shape = (1, *self.shape[1:])
        return Place(shape, self.address + index * prod(shape) * _FLOAT_BYTES, self.holder)


def room(shape: tuple[int, ...], memory: Memory) -> Place:
    """Memory for a float32 array of ``shape``, from the runtime's own store."""
    value = onnxruntime.OrtValue.ortvalue_from_shape_and_type(shape, np.float32, memory, 0)
    return Place(shape, value.data_ptr(), value)


def run(
    session: Any,
    feeds: Mapping[str, Tensor | Place],
    results: Mapping[str, Place | None],
    memory: Memory,
) -> dict[str, Place]:
    """Run ``session`` (ONNX Runtime's) with each feed on its device; arrays go over once.

    Integers other than pixels say sizes and stay here, where they are read. Each of ``results`` is
    written to its place, or where the runtime likes on the device.
    """
    binding = session.io_binding()
    kept = []  # the binding itself does not hold on to what is bound
    for name, feed in feeds.items():
        if isinstance(feed, Place):
            binding.bind_input(name, memory, 0, np.float32, feed.shape, feed.address)
        else:
            where = "cpu" if feed.dtype == np.int64 else memory
            kept.append(onnxruntime.OrtValue.ortvalue_from_numpy(feed, where, 0))
            binding.bind_ortvalue_input(name, kept[-1])
    for name, place in results.items():
        if place is None:
            binding.bind_output(name, memory, 0)
        else:
            binding.bind_output(name, memory, 0, np.float32, place.shape, place.address)
    session.run_with_iobinding(binding)
    answers = dict(zip(results, binding.get_outputs(), strict=True))
    return {
        name: place or Place(tuple(answers[name].shape()), answers[name].data_ptr(), answers[name])
        for name, place in results.items()
    }


def fetch(place: Place) -> Tensor:
    """A copy in this process's memory of what the runtime itself has put into ``place``."""
    array: Tensor = place.holder.numpy()
    return array
