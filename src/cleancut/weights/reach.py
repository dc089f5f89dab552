"""What an output of an ONNX graph needs, and graphs without the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from cleancut.errors import WeightsCorrupt

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto


def reachable(nodes: Iterable[NodeProto], outputs: Iterable[str]) -> tuple[list[Any], set[str]]:
    """Nodes that ``outputs`` need, in topological order, and the names of all values they use.

    Optimised graphs exist (the fp16 IS-Net is one) whose nodes are in another order, which ONNX
    forbids and some runtimes refuse.
    """
    from graphlib import CycleError, TopologicalSorter

    owned = list(nodes)  # one Python object a node: protobuf would make new ones at each access
    maker = {name: at for at, node in enumerate(owned) for name in node.output if name}
    reads: dict[int, list[str]] = {}
    todo = list(outputs)
    names = set(todo)
    while todo:
        at = maker.get(todo.pop())
        if at is not None and at not in reads:
            reads[at] = list(_reads(owned[at]))
            todo.extend(reads[at])
            names.update(reads[at])
            names.update(owned[at].output)
    needs = {at: [maker[name] for name in reads[at] if name in maker] for at in sorted(reads)}
    try:
        order = list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        raise WeightsCorrupt("the model's graph runs in a circle") from error
    return [owned[at] for at in order], names


def keep_only(rows: Any, names: set[str]) -> None:
    """Drop the rows of a repeated field whose ``name`` is not among ``names``."""
    for at in reversed(range(len(rows))):
        if rows[at].name not in names:
            del rows[at]


def _reads(node: NodeProto) -> Iterator[str]:
    """Names a node reads, those that its subgraphs (If, Loop) capture included."""
    yield from (name for name in node.input if name)
    graphs: list[GraphProto] = [a.g for a in node.attribute if a.HasField("g")]
    for attribute in node.attribute:
        graphs.extend(attribute.graphs)
    for graph in graphs:
        yield from (output.name for output in graph.output)
        for inner in graph.node:
            yield from _reads(inner)
