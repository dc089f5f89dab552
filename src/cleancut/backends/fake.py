"""A session made from a Python function: for tests, docs and models without weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from cleancut.backends.base import Placement, Shape
from cleancut.errors import CleancutError, InferenceFailed

if TYPE_CHECKING:
    from cleancut.arrays import Tensor

Function = Callable[[Mapping[str, "Tensor"]], Mapping[str, "Tensor"]]


class FakeSession:
    """``Session`` whose graph is ``function``: feeds by input name in, arrays by output name out.

    ``calls`` counts the runs. The function must be thread-safe if the test is threaded.
    """

    def __init__(
        self,
        function: Function,
        *,
        inputs: Mapping[str, Shape],
        outputs: Sequence[str],
        placement: Placement | None = None,
    ) -> None:
        self.function = function
        self.inputs: Mapping[str, Shape] = dict(inputs)
        self.outputs: Sequence[str] = tuple(outputs)
        self.placement = placement or Placement("fake", "cpu", "f32", "python", "made for a test")
        self.calls = 0

    def run(self, feeds: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Call the function; refuses wrong names, ranks and sizes as the real runtimes do."""
        for name in feeds.keys() ^ self.inputs.keys():
            raise InferenceFailed(
                f"the graph takes {', '.join(self.inputs)}; {name!r} does not fit"
            )
        for name, shape in self.inputs.items():
            given = feeds[name].shape
            if len(given) != len(shape) or any(
                want not in (None, have) for want, have in zip(shape, given, strict=True)
            ):
                raise InferenceFailed(f"input {name!r} takes {shape}, got {given}")
        self.calls += 1
        try:
            answer = self.function(feeds)
        except CleancutError:
            raise
        except Exception as error:
            raise InferenceFailed(f"the function failed: {error}") from error
        return {name: answer[name] for name in self.outputs}
