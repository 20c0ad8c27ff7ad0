"""Many searches in one request: each with an answer or a problem of its own."""

import asyncio
from collections.abc import Iterator
from typing import Any, get_args

from service.answers import BatchOutcome
from service.bodies import checked
from service.errors import InvalidFieldsError
from service.problems import KNOWN, problem_of
from service.queries import BatchQuery, Direction, PictureQuery, TextQuery
from service.running import Running

DIRECTIONS: tuple[Direction, ...] = get_args(Direction)


async def search_all(service: Running, batch: BatchQuery) -> bytes:
    """The answers as JSON, in order. Raises InvalidFieldsError for too many searches."""
    limit = service.settings.max_batch_queries
    if len(batch.queries) > limit:
        detail = f"at most {limit:,} searches in one request, not {len(batch.queries):,}"
        raise InvalidFieldsError.one("/queries", detail)
    service.collection.metrics.request_items("/search/batch", len(batch.queries))
    outcomes: list[bytes] = [b""] * len(batch.queries)
    waiting = enumerate(batch.queries)
    # Enough at once to be encoded together, but one batch leaves most of the queue to others.
    at_once = max(service.settings.encoder_workers, service.settings.encoder_queue // 4)
    workers = (_work(service, waiting, outcomes) for _ in range(at_once))
    await asyncio.gather(*workers)
    return b'{"items":[' + b",".join(outcomes) + b"]}"


async def _work(
    service: Running, waiting: Iterator[tuple[int, Any]], outcomes: list[bytes]
) -> None:
    for index, value in waiting:
        outcomes[index] = await _outcome(service, index, value)


async def _outcome(service: Running, index: int, value: Any) -> bytes:
    try:
        direction, given = _read(value)
        answer = await service.search(direction, given)
    except KNOWN as error:
        problem = problem_of(error)
        failed = BatchOutcome(index=index, status=problem.status, error=problem)
        return failed.model_dump_json().encode()
    return b'{"index":%d,"status":200,"answer":%b}' % (index, answer)


def _read(value: Any) -> tuple[Direction, TextQuery | PictureQuery]:
    if not isinstance(value, dict):
        raise InvalidFieldsError.one("", "a search is a JSON object")
    name, fields = value.get("search"), {k: v for k, v in value.items() if k != "search"}
    direction = next((one for one in DIRECTIONS if one == name), None)
    if direction is None:
        raise InvalidFieldsError.one("/search", f"expected one of {', '.join(DIRECTIONS)}")
    of_text = direction.startswith("text-")
    return direction, checked(TextQuery, fields) if of_text else checked(PictureQuery, fields)
