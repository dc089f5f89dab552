"""How many bytes of pictures may be on their way out at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cleancut.errors import Busy

if TYPE_CHECKING:
    from starlette.requests import Request

#: A kept result is had for next to nothing, and who asks for many and reads none holds them all.
MOST_BYTES = 512 << 20
_HELD = "held_answer"


class Answers:
    """Counts what lies in memory until its client has taken it; used on the event loop only."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self.held = 0

    def take(self, request: Request, size: int) -> None:
        """Hold ``size`` bytes until ``request`` is over. Raises ``Busy``; one always goes."""
        if self.held and self.held + size > self._most:
            raise Busy(
                "too many large pictures are on their way to clients",
                hint="read the answers faster, or try again",
                retry_after_s=5,
            )
        self.held += size
        setattr(request.state, _HELD, (self, size))

    def _give_back(self, size: int) -> None:
        self.held -= size


def answered(scope: Any) -> None:
    """The request of ``scope`` is over: what it held is free."""
    held = scope.get("state", {}).pop(_HELD, None)
    if held is not None:
        answers, size = held
        answers._give_back(size)
