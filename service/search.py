"""One query, one way through: index.search, index.fetch, re-rank, results. Each step is timed."""

import time
from dataclasses import dataclass

from index.errors import FilterError
from index.filter import Filter, parse_filter
from index.records import Record
from model.matcher import Encoded, Kind
from service.collection import Collection
from service.errors import FieldProblem, InvalidFieldsError
from service.rerank import Ranked, first_stage_alone, rerank
from service.schemas import SearchOptions


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
    """What a search found, best first."""

    matches: list[Match]
    candidates: int
    reranked: int
    degraded: bool
    no_match: bool
    generation: int
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
    chosen = None
    try:
        chosen = None if options.filter is None else parse_filter(options.filter)
    except FilterError as error:
        problems.append(FieldProblem(f"/filter{error.pointer}", error.words))
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
    )


def search(
    collection: Collection, query: Encoded, query_kind: Kind, ask: Ask, encode_s: float
) -> Found:
    """Items of the other kind for an encoded query; encode_s is how long the encoding took."""
    matcher, index = collection.matcher, collection.index
    kind: Kind = "image" if query_kind == "text" else "text"

    begun = time.perf_counter()
    wanted = ask.candidates if ask.rerank else ask.k
    hits = index.search(kind, query.query[None], wanted, ask.filter)
    searched = time.perf_counter()
    records = index.fetch(kind, hits.ids[0])
    # An item that was deleted in between is gone: the answer is that of a moment later.
    there = [place for place, record in enumerate(records) if record is not None]
    candidates = [record for record in records if record is not None]
    first_stage = hits.scores[0][there]
    fetched = time.perf_counter()
    arrays = [record.arrays for record in candidates]
    if ask.rerank:
        ids = [record.id for record in candidates]
        ranking, scored = rerank(matcher, query, query_kind, first_stage, arrays, ids, ask.deadline)
    else:
        ranking = first_stage_alone(matcher, query, query_kind, first_stage, arrays)
        scored = 0
    ranked = time.perf_counter()

    likely = [r for r in ranking if r.probability >= ask.min_probability]
    best = max((r.probability for r in ranking), default=0.0)
    return Found(
        matches=[Match(candidates[r.place], r) for r in likely[: ask.k]],
        candidates=len(candidates),
        reranked=scored,
        degraded=ask.rerank and scored < len(candidates),
        no_match=best < matcher.no_match_below(query_kind),
        generation=hits.generation,
        took=Seconds(encode_s, searched - begun, fetched - searched, ranked - fetched),
    )
