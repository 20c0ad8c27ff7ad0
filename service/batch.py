"""Many searches in one request: each with an answer or a problem of its own."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, get_args

from service.answers import BatchOutcome
from service.bodies import checked
from service.errors import InvalidFieldsError
from service.failures import note
from service.problems import KNOWN, problem_of
from service.queries import BatchQuery, Direction, PictureQuery, TextQuery
from service.running import Running

DIRECTIONS: tuple[Direction, ...] = get_args(Direction)
# An explanation makes a result of half a kilobyte one of eight, or of forty for a long sentence.
EXPLAINED_COUNTS_AS = 10

Search = tuple[Direction, TextQuery | PictureQuery]


async def search_all(service: Running, batch: BatchQuery) -> bytes:
    """The answers as JSON, in order.

    Raises InvalidFieldsError for too many searches, or too many results of all together.
    """
    limit = service.settings.max_batch_queries
    if len(batch.queries) > limit:
        detail = f"at most {limit:,} searches in one request, not {len(batch.queries):,}"
        raise InvalidFieldsError.one("/queries", detail)
    service.collection.metrics.request_items("/search/batch", len(batch.queries))
    searches = await service.encoders.run(list, map(_read_or_refused, batch.queries))
    _check_results(searches, service.settings.max_batch_results)
    outcomes: list[bytes] = [b""] * len(searches)
    waiting = enumerate(searches)
    # Enough at once to be encoded together, but one batch leaves most of the queue to others.
    at_once = max(service.settings.encoder_workers, service.settings.encoder_queue // 4)
    workers = (_work(service, waiting, outcomes) for _ in range(at_once))
    await asyncio.gather(*workers)
    return b'{"items":[' + b",".join(outcomes) + b"]}"


async def _work(
    service: Running,
    waiting: Iterator[tuple[int, Search | InvalidFieldsError]],
    outcomes: list[bytes],
) -> None:
    for index, search in waiting:
        outcomes[index] = await _outcome(service, index, search)


async def _outcome(service: Running, index: int, search: Search | InvalidFieldsError) -> bytes:
    try:
        if isinstance(search, InvalidFieldsError):
            raise search
        answer = await service.search(*search)
    except KNOWN as error:
        note(error, service.collection.metrics)
        problem = problem_of(error)
        failed = BatchOutcome(index=index, status=problem.status, error=problem)
        return failed.model_dump_json().encode()
    return b'{"index":%d,"status":200,"answer":%b}' % (index, answer)


def _check_results(searches: Sequence[Search | InvalidFieldsError], limit: int) -> None:
    # All answers are in memory at once, until the last one is there.
    asked = sum(
        given.k * (EXPLAINED_COUNTS_AS if given.explain else 1)
        for _, given in (search for search in searches if isinstance(search, tuple))
    )
    if asked > limit:
        detail = (
            f"the searches of one request ask for at most {limit:,} results together, not "
            f"{asked:,}; with `explain` each counts as {EXPLAINED_COUNTS_AS}"
        )
        raise InvalidFieldsError.one("/queries", detail)


def _read_or_refused(value: Any) -> Search | InvalidFieldsError:
    try:
        return _read(value)
    except InvalidFieldsError as error:
        return error


def _read(value: Any) -> Search:
    if not isinstance(value, dict):
        raise InvalidFieldsError.one("", "a search is a JSON object")
    name, fields = value.get("search"), {k: v for k, v in value.items() if k != "search"}
    direction = next((one for one in DIRECTIONS if one == name), None)
    if direction is None:
        raise InvalidFieldsError.one("/search", f"expected one of {', '.join(DIRECTIONS)}")
    of_text = direction.startswith("text-")
    return direction, checked(TextQuery, fields) if of_text else checked(PictureQuery, fields)
