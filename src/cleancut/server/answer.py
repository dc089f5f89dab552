"""What came of an order, told to whoever waits for it: without any place of the server's."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cleancut.batch.job import Outcome, error_from
from cleancut.errors import Cancelled, CleancutError, StorageFailed, TimedOut
from cleancut.imaging.files import write_atomic
from cleancut.server.line import Ticket, Work
from cleancut.server.order import Cut
from cleancut.server.wording import placeless


def answer(work: Work, outcome: Outcome) -> list[Ticket]:
    """Give everybody who wants this picture what came of it, and delete what was for them alone.

    Those who are not answered come back: their own uploads are still there, while the one that
    was to be cut for all of them went with its client.
    """
    own, *others = work.wanted
    if outcome.error is None:
        _hand_out(work, outcome)
        return []
    remove_spooled(work)
    again = others if outcome.error.get("code") == "input-not-found" else []
    for ticket in [own] if again else work.wanted:
        ticket.set_exception(error_of(outcome.error))
    return again


def _hand_out(work: Work, outcome: Outcome) -> None:
    own, *others = work.wanted
    data = b""
    failure: OSError | None = None
    if others or (own.order.target is None and not own.abandoned):
        try:
            data = Path(work.job.target).read_bytes()
        except OSError as error:
            failure = error
    remove_spooled(work)
    facts = facts_of(outcome.facts)
    for ticket in work.wanted:
        target = ticket.order.target
        try:
            if ticket.abandoned:
                raise Cancelled("it was called off", hint="send it again")
            if failure is not None:
                raise StorageFailed("the result cannot be read", hint="try again") from failure
            if target is not None and ticket is not own:
                write_atomic(target, data)
        except CleancutError as error:
            ticket.set_exception(error)
        else:
            sent = data if target is None else b""
            ticket.set_result(Cut(data=sent, facts=facts, cached=outcome.cached))


def remove_spooled(work: Work) -> None:
    """Delete a result that is no order's target."""
    if not work.job.durable:
        with suppress(OSError):
            Path(work.job.target).unlink(missing_ok=True)


def error_of(facts: Mapping[str, str]) -> CleancutError:
    """The error that a failed outcome describes, in words for whoever sent the picture.

    Where an upload or a result could not be kept it is the server that failed, and not the client
    who named a file: ``StorageFailed``.
    """
    code = facts["code"]
    if code in ("input-not-found", "output-not-writable"):
        return StorageFailed(
            "the server cannot read what was sent"
            if code == "input-not-found"
            else "the server cannot store the result",
            hint="try again later",
        )
    error = error_from(code, placeless(facts["message"]), placeless(facts["hint"]))
    if isinstance(error, TimedOut):
        error.hint = "send a smaller picture"
    return error


def facts_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a cutout; a cache's notes do not say where it lies."""
    return {**facts, "notes": [placeless(note) for note in facts.get("notes", ())]}
