"""What was asked before isn't worked out again, and no more of it is kept than was said."""

import asyncio

import pytest

from service.remembering import Remembering

pytestmark = pytest.mark.anyio


class Doubling:
    """Work that keeps what it was called with."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    async def __call__(self, item: int) -> int:
        self.calls.append(item)
        if item == 13:
            raise ValueError("thirteen")
        return 2 * item


async def test_the_same_item_is_worked_on_once() -> None:
    work = Doubling()
    remembering = Remembering(work, 4)
    assert [await remembering.run(item) for item in (1, 2, 1, 2)] == [2, 4, 2, 4]
    assert work.calls == [1, 2]


async def test_those_asked_for_last_are_remembered() -> None:
    work = Doubling()
    remembering = Remembering(work, 2)
    for item in (1, 2, 1, 3, 1, 2):
        assert await remembering.run(item) == 2 * item
    assert work.calls == [1, 2, 3, 2]


async def test_an_error_is_not_remembered() -> None:
    work = Doubling()
    remembering = Remembering(work, 2)
    for _ in range(2):
        with pytest.raises(ValueError, match="thirteen"):
            await remembering.run(13)
    assert work.calls == [13, 13]


async def test_nothing_is_remembered_where_there_is_no_room() -> None:
    work = Doubling()
    remembering = Remembering(work, 0)
    assert [await remembering.run(item) for item in (1, 1)] == [2, 2]
    assert work.calls == [1, 1]


async def test_of_two_that_ask_at_once_both_get_what_was_there_first() -> None:
    results = iter(("first", "second"))

    async def work(item: int) -> str:
        result = next(results)
        # The first one is done after the second.
        for _ in range(3 if result == "first" else 1):
            await asyncio.sleep(0)
        return result

    remembering = Remembering(work, 4)
    told = await asyncio.gather(remembering.run(1), remembering.run(1))
    assert told == ["second", "second"]
    assert await remembering.run(1) == "second"
