"""Who waits for the pool, and in which order they are served."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, field

from cleancut.batch.job import Job
from cleancut.server.order import Cut, Order


class Ticket(Future[Cut]):
    """What the pool promises for one order.

    ``abandoned`` says that nobody wants the result of a picture in work any more.
    """

    def __init__(self, number: int, order: Order) -> None:
        super().__init__()
        self.number = number
        self.order = order
        self.abandoned = False

    def cancel(self) -> bool:
        """Take a waiting order back; one in work is finished, for whoever waits for the same."""
        if super().cancel():
            return True
        self.abandoned = True
        return False

    def begin(self) -> bool:
        """Note that it is in work now, or again; False if it was taken back before."""
        return self.running() or self.set_running_or_notify_cancel()


@dataclass(slots=True, eq=False)
class Work:
    """A picture in work, and all who want it: ``wanted`` holds its own ticket first."""

    job: Job
    wanted: list[Ticket]
    key: str | None = None

    @property
    def hurried(self) -> bool:
        """Whether anybody impatient waits for it."""
        return any(not ticket.order.patient and not ticket.abandoned for ticket in self.wanted)


@dataclass(slots=True)
class Line:
    """Tickets in the order of their arrival, those of patient orders after all others.

    Not thread-safe.
    """

    impatient: OrderedDict[int, Ticket] = field(default_factory=OrderedDict)
    patient: OrderedDict[int, Ticket] = field(default_factory=OrderedDict)

    def __len__(self) -> int:
        return len(self.impatient) + len(self.patient)

    def add(self, ticket: Ticket) -> None:
        """Put ``ticket`` at the end."""
        self._of(ticket)[ticket.number] = ticket

    def put_back(self, ticket: Ticket) -> None:
        """Put ``ticket`` first."""
        self.add(ticket)
        self._of(ticket).move_to_end(ticket.number, last=False)

    def first(self) -> Ticket:
        """Whose turn it is; there must be somebody."""
        return next(iter((self.impatient or self.patient).values()))

    def remove(self, ticket: Ticket) -> bool:
        """Take ``ticket`` out; whether it was there."""
        return self._of(ticket).pop(ticket.number, None) is not None

    def clear(self, *, patient_only: bool = False) -> list[Ticket]:
        """Take everybody out, or the patient ones."""
        gone = [*([] if patient_only else self.impatient.values()), *self.patient.values()]
        if not patient_only:
            self.impatient.clear()
        self.patient.clear()
        return gone

    def _of(self, ticket: Ticket) -> OrderedDict[int, Ticket]:
        return self.patient if ticket.order.patient else self.impatient
