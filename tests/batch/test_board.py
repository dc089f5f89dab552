from __future__ import annotations

import asyncio

from cleancut.batch.board import Board


def test_lines_come_out_in_order_as_many_as_are_there_and_none_after_the_end() -> None:
    async def story() -> list[list[str | None]]:
        board = Board(9, 9)
        for line in ("a", "b", "c", None, "late"):
            await board.put(line)
        return [await board.get(2), await board.get(5)]

    assert asyncio.run(story()) == [["a", "b"], ["c", None]]


def test_no_more_jobs_are_out_than_there_may_be() -> None:
    async def story() -> tuple[bool, list[str | None]]:
        board = Board(9, 2)
        for line in ("a", "b", "c"):
            await board.put(line)
        await board.get(2)
        third = asyncio.create_task(board.get(2))
        await asyncio.sleep(0.01)
        early = third.done()
        await board.begin("a")
        await board.end("a", 1)
        return early, await asyncio.wait_for(third, 5)

    assert asyncio.run(story()) == (False, ["c"])


def test_jobs_are_counted_by_how_often_they_were_begun_until_they_end() -> None:
    async def story() -> list[int]:
        board = Board(1, 1)
        counts = [await board.begin("a"), await board.begin("a"), await board.begin("b")]
        await board.end("a", 1)
        return [*counts, await board.begin("a")]

    assert asyncio.run(story()) == [1, 2, 1, 1]
