"""A network between two small graphs on one device: pixels go over once, an answer comes back.

What the first graph makes of each picture lies where the network reads its batch, and the second
reads the network's answer where it lies: nothing is copied between them.
"""

from __future__ import annotations

import threading
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cleancut.backends import bound, ort
from cleancut.backends.faults import failed_run
from cleancut.errors import InferenceFailed

if TYPE_CHECKING:
    from cleancut.arrays import Tensor
    from cleancut.backends.bound import Place


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One picture on its way: ``graph`` (an ONNX file's bytes) makes the network's input of it.

    The graph takes ``feeds`` and has one float32 output, of ``shape`` and with a first axis of 1:
    what the network takes.
    """

    graph: bytes
    feeds: Mapping[str, Tensor]
    shape: tuple[int, ...]


class Chain:
    """``net``'s ``output``, with a graph before and, with ``after``, one behind; thread-safe.

    ``after`` is an ONNX file's bytes; it takes the network's answer to one picture.
    """

    def __init__(self, net: ort.OrtSession, output: str, *, after: bytes | None = None) -> None:
        self.net = net
        self._output = output
        self._after = after
        self._input, shape = next(iter(net.inputs.items()))
        self._batches = shape[0] is None
        self._open: dict[bytes, Any] = {}
        self._opening = threading.Lock()

    def group(self, call: Look) -> Hashable:
        """Calls of which the network sees the same shape; none where its batch is hard-wired."""
        return call.shape if self._batches else None

    def run_many(self, calls: Sequence[Look]) -> list[Tensor]:
        """The network's answers, (1, ...) float32 each, or what ``after`` makes of them."""
        try:
            return self._run(calls)
        except InferenceFailed:
            raise
        except Exception as error:
            raise failed_run(error, "ONNX Runtime") from error

    def _run(self, calls: Sequence[Look]) -> list[Tensor]:
        memory = self.net.memory
        batch = bound.room((len(calls), *calls[0].shape), memory)
        for index, call in enumerate(calls):
            made = {self._only_output(call.graph): batch.row(index)}
            bound.run(self._session(call.graph), call.feeds, made, memory)
        (answer,) = bound.run(
            self.net.native, {self._input: batch}, {self._output: None}, memory
        ).values()
        if answer.shape[0] != len(calls):
            raise InferenceFailed(
                f"the network answered {len(calls)} pictures with {answer.shape[0]} mattes",
                hint="check the recipe's output name",
            )
        if self._after is None:
            answers = bound.fetch(answer)
            return [answers[index : index + 1] for index in range(len(calls))]
        return [self._finished(answer.row(index)) for index in range(len(calls))]

    def _finished(self, raw: Place) -> Tensor:
        assert self._after is not None
        session = self._session(self._after)
        name = session.get_inputs()[0].name
        made = {self._only_output(self._after): None}
        (plane,) = bound.run(session, {name: raw}, made, self.net.memory).values()
        return bound.fetch(plane)

    def _only_output(self, graph: bytes) -> str:
        name: str = self._session(graph).get_outputs()[0].name
        return name

    def _session(self, graph: bytes) -> Any:
        with self._opening:
            if graph not in self._open:
                self._open[graph] = ort.open_graph(graph, self.net.placement)
            return self._open[graph]
