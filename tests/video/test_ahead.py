from __future__ import annotations

import threading
import time
from collections.abc import Generator

import pytest

from cleancut.video.ahead import ahead


def numbers(count: int, made: list[int], closed: list[bool]) -> Generator[int, None, None]:
    try:
        for number in range(count):
            made.append(number)
            yield number
    finally:
        closed.append(True)


def test_items_come_in_order_and_all_of_them() -> None:
    assert list(ahead(numbers(50, [], []), 3, "test")) == list(range(50))


def test_no_more_are_made_early_than_was_said() -> None:
    made: list[int] = []
    items = ahead(numbers(50, made, []), 3, "test")
    assert next(items) == 0
    time.sleep(0.2)
    assert len(made) <= 1 + 3 + 1  # taken, waiting, and one in hand
    items.close()


def test_an_error_comes_after_what_was_made_before_it() -> None:
    def broken() -> Generator[int, None, None]:
        yield 1
        raise ValueError("broken")

    items = ahead(broken(), 2, "test")
    assert next(items) == 1
    with pytest.raises(ValueError, match="broken"):
        next(items)


def test_closing_ends_the_thread_and_closes_the_source_there() -> None:
    closed: list[bool] = []
    items = ahead(ahead(numbers(10**9, [], closed), 2, "inner"), 2, "outer")
    assert next(items) == 0
    items.close()
    assert closed == [True]
    assert not {"inner", "outer"} & {thread.name for thread in threading.enumerate()}
