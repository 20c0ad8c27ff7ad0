"""One query, one way through: index.search, index.fetch, re-rank, results. Each step is timed.

Pages are cut from one ranking: the candidates as the re-ranker orders them, then all other items
in the order of the first stage. `cursor.py` says what a cursor remembers of it.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from index.errors import DamagedError, FilterError
from index.filter import Filter, parse_filter
from index.records import Hits, Record
from service.collection import Collection
from service.cursor import Cursor
from service.errors import FieldProblem, InvalidFieldsError
from service.queries import SearchOptions
from service.question import Question
from service.rerank import Ranked
from service.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ask:
    """What is asked besides the query itself; `deadline` is on `time.perf_counter`'s clock."""

    begun: float
    k: int
    candidates: int
    rerank: bool
    explain: bool
    filter: Filter | None
    min_probability: float
    deadline: float | None
    cursor: Cursor | None


@dataclass(frozen=True)
class Match:
    """One result."""

    record: Record
    ranked: Ranked


@dataclass(frozen=True)
class Seconds:
    """How long each step took."""

    encode: float
    search: float
    fetch: float
    rerank: float


@dataclass(frozen=True)
class Found:
    """What a search found, best first. begun: its first stage, on `time.perf_counter`'s clock."""

    matches: list[Match]
    candidates: int
    reranked: int
    degraded: bool
    no_match: bool
    generation: int
    next_cursor: str | None
    begun: float
    took: Seconds


def ask_of(options: SearchOptions, collection: Collection, begun: float) -> Ask:
    """The options with the defaults and limits of the settings. Raises InvalidFieldsError.

    begun: when the request came in, on `time.perf_counter`'s clock; the deadline counts from it.
    """
    settings = collection.settings
    largest = settings.max_candidates
    candidates = options.candidates
    problems = []
    if options.k > largest:
        problems.append(FieldProblem("/k", f"{options.k} is over the limit of {largest:,}"))
    if candidates is not None and candidates > largest:
        problems.append(
            FieldProblem("/candidates", f"{candidates} is over the limit of {largest:,}")
        )
    if candidates is not None and candidates < options.k:
        problems.append(
            FieldProblem("/candidates", f"{candidates} is below k, which is {options.k}")
        )
    chosen = cursor = None
    try:
        chosen = None if options.filter is None else parse_filter(options.filter)
    except FilterError as error:
        problems.append(FieldProblem(f"/filter{error.pointer}", error.words))
    try:
        cursor = None if options.cursor is None else _cursor(options.cursor, settings)
    except InvalidFieldsError as error:
        problems += error.problems
    if problems:
        raise InvalidFieldsError(problems)
    return Ask(
        begun=begun,
        k=options.k,
        candidates=candidates or max(options.k, settings.default_candidates),
        rerank=options.rerank,
        explain=options.explain,
        filter=chosen,
        min_probability=options.min_probability or 0.0,
        deadline=None if options.deadline_ms is None else begun + options.deadline_ms / 1000,
        cursor=cursor,
    )


def search(collection: Collection, question: Question, ask: Ask, encode_s: float) -> Found:
    """One page of items for an encoded question; encode_s is how long the encoding took.

    Raises InvalidFieldsError, CursorMismatchError and CursorExpiredError.
    """
    if ask.min_probability and not question.has_probability:
        detail = f"{question.target}s that are found by {question.target}s have no probability"
        raise InvalidFieldsError.one("/min_probability", detail)
    if ask.cursor is None:
        return _among_candidates(collection, question, ask, encode_s)
    ask.cursor.check_search(question.name)
    ask.cursor.check_encoding(question.encoding)
    if ask.cursor.item_id is None:
        return _among_candidates(collection, question, ask, encode_s)
    return _after_candidates(collection, question, ask, ask.cursor, encode_s)


def _among_candidates(
    collection: Collection, question: Question, ask: Ask, encode_s: float
) -> Found:
    cursor = ask.cursor
    does_rerank = ask.rerank and question.can_be_reranked
    wanted = ask.candidates if does_rerank else ask.k
    if cursor is not None:
        wanted = cursor.candidates

    begun = time.perf_counter()
    # One more, to know whether the ranking goes on after the candidates.
    hits = _hits(collection, question, ask, wanted + 1)
    searched = time.perf_counter()
    # An item that was deleted in between is gone: the answer is that of a moment later.
    places, candidates = _there(collection, question, hits.ids[0][:wanted])
    first_stage = hits.scores[0][places]
    fetched = time.perf_counter()
    if cursor is not None:
        # The pages before had scored so many; to score them again is no matter of time.
        deadline, count = None, cursor.reranked
    else:
        deadline, count = ask.deadline, len(candidates) if does_rerank else 0
    ranking, scored = question.rank(first_stage, candidates, count, deadline)
    ranked = time.perf_counter()

    begin = 0 if cursor is None else cursor.given
    page, end = _page(candidates, ranking, begin, ask)
    best = max((r.probability for r in ranking if r.probability is not None), default=None)
    no_match = question.matches_nothing(best, bool(ranking)) if cursor is None else cursor.no_match
    goes_on = len(hits.ids[0]) > wanted
    following = None
    if end < len(ranking) or goes_on:
        following = Cursor(
            search=question.name,
            encoding=question.encoding,
            generation=hits.generation,
            candidates=wanted,
            reranked=scored,
            given=end if end < len(ranking) else wanted,
            no_match=no_match,
            score=None if end < len(ranking) else float(hits.scores[0][wanted - 1]),
            item_id=None if end < len(ranking) else hits.ids[0][wanted - 1],
        )
    return Found(
        matches=page,
        candidates=len(candidates),
        reranked=scored,
        degraded=does_rerank and scored < len(candidates),
        no_match=no_match,
        generation=hits.generation,
        next_cursor=_within(following, collection.settings),
        begun=begun,
        took=Seconds(encode_s, searched - begun, fetched - searched, ranked - fetched),
    )


def _after_candidates(
    collection: Collection, question: Question, ask: Ask, cursor: Cursor, encode_s: float
) -> Found:
    assert cursor.item_id is not None
    assert cursor.score is not None
    begun = time.perf_counter()
    wanted = cursor.given + ask.k + 1
    hits = _hits(collection, question, ask, wanted)
    searched = time.perf_counter()
    # By score and id and not by place: an approximate index that is asked for more may find an
    # item before the last one that it had not found before.
    last = (-cursor.score, cursor.item_id)
    found = zip((-hits.scores[0]).tolist(), hits.ids[0], strict=True)
    after = [place for place, key in enumerate(found) if key > last]
    taken = after[: ask.k]
    places, records = _there(collection, question, [hits.ids[0][place] for place in taken])
    fetched = time.perf_counter()
    scores = hits.scores[0][taken][places]
    ranking, _ = question.rank(scores, records, 0, None)
    page, _ = _page(records, ranking, 0, ask)
    ranked = time.perf_counter()
    end = taken[-1] if taken else None
    following = None
    if len(hits.ids[0]) == wanted:
        following = cursor.model_copy(
            update={
                "given": cursor.given + ask.k,
                "score": cursor.score if end is None else float(hits.scores[0][end]),
                "item_id": cursor.item_id if end is None else hits.ids[0][end],
            }
        )
    return Found(
        matches=[
            replace(one, ranked=one.ranked._replace(place=cursor.given + one.ranked.place))
            for one in page
        ],
        candidates=len(records),
        reranked=0,
        degraded=False,
        no_match=cursor.no_match,
        generation=hits.generation,
        next_cursor=_within(following, collection.settings),
        begun=begun,
        took=Seconds(encode_s, searched - begun, fetched - searched, ranked - fetched),
    )


def _hits(collection: Collection, question: Question, ask: Ask, wanted: int) -> Hits:
    hits = collection.index.search(question.target, question.vector[None], wanted, ask.filter)
    if ask.cursor is not None:
        ask.cursor.check_generation(hits.generation)
    return hits


def _there(
    collection: Collection, question: Question, ids: Sequence[str]
) -> tuple[list[int], list[Record]]:
    """Those that are still there, and whole, with their places among the ids."""
    records = _fetch(collection, question, ids)
    there = [(place, record) for place, record in enumerate(records) if record is not None]
    return [place for place, _ in there], [record for _, record in there]


def _fetch(
    collection: Collection, question: Question, ids: Sequence[str]
) -> Sequence[Record | None]:
    """The items; one that is damaged costs its own place, and not everybody's answer."""
    index, kind = collection.index, question.target
    try:
        return index.fetch(kind, ids, vectors=question.needs_vectors)
    except DamagedError as error:
        if len(ids) > 1:
            return [record for id_ in ids for record in _fetch(collection, question, [id_])]
        log.error("left out of an answer: %s", error)
        collection.metrics.damaged(kind)
        return [None]


def _page(
    records: Sequence[Record], ranking: Sequence[Ranked], begin: int, ask: Ask
) -> tuple[list[Match], int]:
    """At most k likely results of the ranking from `begin` on, and where the next page begins."""
    page: list[Match] = []
    for end in range(begin, len(ranking)):
        if len(page) == ask.k:
            return page, end
        one = ranking[end]
        if one.probability is None or one.probability >= ask.min_probability:
            page.append(Match(records[one.place], one))
    return page, len(ranking)


def _cursor(text: str, settings: Settings) -> Cursor:
    cursor = Cursor.read(text)
    if cursor.candidates > settings.max_candidates or cursor.given > settings.max_paging_depth:
        raise InvalidFieldsError.one("/cursor", "it reaches beyond this service's limits")
    return cursor


def _within(cursor: Cursor | None, settings: Settings) -> str | None:
    if cursor is None or cursor.given >= settings.max_paging_depth:
        return None
    return cursor.text
