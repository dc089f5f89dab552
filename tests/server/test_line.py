from __future__ import annotations

from pathlib import Path

from cleancut import Options
from cleancut.server.line import Line, Ticket
from cleancut.server.order import Order


def ticket(number: int, *, patient: bool = False) -> Ticket:
    return Ticket(number, Order(source=Path("a"), options=Options(), patient=patient))


def drain(line: Line) -> list[int]:
    found = []
    while len(line):
        first = line.first()
        assert line.remove(first)
        found.append(first.number)
    return found


def test_the_patient_come_last_and_who_is_put_back_comes_first() -> None:
    line = Line()
    for number, patient in ((1, True), (2, False), (3, True), (4, False)):
        line.add(ticket(number, patient=patient))
    line.put_back(ticket(5))
    line.put_back(ticket(6, patient=True))
    assert drain(line) == [5, 2, 4, 6, 1, 3]


def test_who_is_not_in_line_cannot_be_removed() -> None:
    line, one = Line(), ticket(1)
    line.add(one)
    assert line.remove(one)
    assert not line.remove(one)


def test_clearing_can_spare_the_impatient() -> None:
    line = Line()
    for number in range(4):
        line.add(ticket(number, patient=number % 2 == 1))
    assert [one.number for one in line.clear(patient_only=True)] == [1, 3]
    assert [one.number for one in line.clear()] == [0, 2]
    assert len(line) == 0


def test_a_ticket_can_be_taken_back_until_it_is_begun() -> None:
    waiting, begun = ticket(1), ticket(2)
    assert waiting.cancel()
    assert not waiting.begin()
    assert begun.begin()
    assert begun.begin()  # again, after an accident
    assert not begun.cancel()
    assert begun.abandoned
    assert not waiting.abandoned
