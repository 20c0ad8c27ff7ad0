"""Step 6 of a search: what was found, as the answer that goes out."""

import time
from datetime import datetime
from urllib.parse import quote

from index.records import Record
from service.answers import Explanation, SearchResponse, SearchResult, StageScores, Timings
from service.collection import Collection
from service.explain import explain, shared
from service.question import Question
from service.schemas import Item
from service.search import Ask, Found, Match


def answer(collection: Collection, question: Question, ask: Ask, found: Found) -> SearchResponse:
    """The whole answer."""
    results = []
    for match in found.matches:
        result = _result(match)
        if ask.explain:
            why = _why(collection, question, match.record)
            result = result.model_copy(update={"explanation": why})
        results.append(result)
    took = found.took
    return SearchResponse(
        results=results,
        took_ms=Timings(
            encode=_ms(took.encode),
            search=_ms(took.search),
            fetch=_ms(took.fetch),
            rerank=_ms(took.rerank),
            total=_ms(time.perf_counter() - ask.begun),
        ),
        candidates=found.candidates,
        reranked=found.reranked,
        degraded=found.degraded,
        no_match=found.no_match,
        model=collection.matcher.name,
        generation=found.generation,
        next_cursor=found.next_cursor,
    )


def to_json(response: SearchResponse) -> bytes:
    """The answer as JSON, one result at a time.

    A thousand explained results are megabytes; written in one call they would hold up every
    thread, the event loop's too.
    """
    results = b",".join(result.model_dump_json().encode() for result in response.results)
    rest = response.model_dump_json(exclude={"results"}).encode()
    return b'{"results":[' + results + b"]," + rest[1:]


def item_of(record: Record) -> Item:
    """A stored item as it goes out."""
    return Item(
        id=record.id,
        kind=record.kind,
        metadata=dict(record.metadata),
        tags=list(record.tags),
        text=record.text,
        url=thumbnail_url(record),
        content_hash=record.content_hash,
        created_at=_moment(record.created_at),
        updated_at=_moment(record.updated_at),
    )


def thumbnail_url(record: Record) -> str | None:
    """Where a picture's thumbnail is; None for a text.

    The path alone, so that it holds behind any proxy and under any host name.
    """
    if record.kind == "text":
        return None
    return f"/images/{quote(record.id, safe='')}/thumbnail"


def _why(collection: Collection, question: Question, record: Record) -> Explanation:
    sides = question.sides(record)
    if sides is None:
        return shared(collection.matcher, question.parts[0].encoded.arrays, record.arrays)
    return explain(collection.matcher, sides.sentence, sides.text, sides.picture)


def _result(match: Match) -> SearchResult:
    record, ranked = match.record, match.ranked
    stages = ranked.stages
    return SearchResult(
        id=record.id,
        score=ranked.score,
        probability=ranked.probability,
        stage_scores=StageScores(
            global_=stages.global_,
            entity=stages.entity,
            relation=stages.relation,
            semantic=stages.semantic,
            concept=stages.concept,
        ),
        rank_before=ranked.place + 1,
        metadata=dict(record.metadata),
        url=thumbnail_url(record),
        text=record.text,
    )


def _moment(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat().replace("+00:00", "Z")


def _ms(seconds: float) -> float:
    return round(1000 * seconds, 3)
