"""What the service answers, field for field as its OpenAPI document tells it.

A newer service may send fields that aren't listed here: they are kept, as attributes and when an
answer is dumped. It may also have further words for a field, so none is held to those of today.
Boxes are `[x0, y0, x1, y1]` as fractions of the upright picture.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Answer(BaseModel):
    """Base of all answers: can't be changed, takes fields that it doesn't know."""

    model_config = ConfigDict(
        frozen=True, extra="allow", validate_by_name=True, serialize_by_alias=True
    )


class BadField(Answer):
    """One field that is wrong, by its JSON pointer (RFC 6901)."""

    pointer: str
    detail: str
    place: str = "body"


class Problem(Answer):
    """Problem details, RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    request_id: str | None = None
    errors: list[BadField] | None = None


class StageScores(Answer):
    """The score of each layer. Those of the re-ranker are None where it didn't score."""

    global_: float = Field(alias="global")
    entity: float | None
    relation: float | None
    semantic: float | None
    concept: float | None


class RegionWeight(Answer):
    """A region in which a word is found. weight: its share of the word, 0 to 1."""

    box: list[float]
    weight: float


class WordExplanation(Answer):
    """A word, and the regions in which it is found; start, end: characters of the sentence."""

    text: str
    start: int
    end: int
    score: float
    regions: list[RegionWeight]


class RegionSaliency(Answer):
    """How much a region matters to the picture as a whole."""

    box: list[float]
    saliency: float


class TagProbability(Answer):
    """A tag that both sides carry."""

    tag: str
    probability: float


class SharedConcept(Answer):
    """An ImageNet class that both sides mean. share: of what they agree on, 0 to 1."""

    concept: str
    share: float


class Explanation(Answer):
    """Why a sentence and a picture match."""

    words: list[WordExplanation]
    regions: list[RegionSaliency]
    tags: list[TagProbability]
    concepts: list[SharedConcept]


class SearchResult(Answer):
    """One item that was found.

    probability: that the sentence describes the photo, 0 to 1; None between items of one kind.
    rank_before: its place after the first stage, from 1. url: thumbnail of a picture. text: the
    sentence of a text. explanation: only with `explain`.
    """

    id: str
    score: float
    probability: float | None
    stage_scores: StageScores
    rank_before: int
    metadata: dict[str, Any]
    url: str | None = None
    text: str | None = None
    explanation: Explanation | None = None


class Timings(Answer):
    """Milliseconds of each step, and of the whole answer with its waiting."""

    encode: float
    search: float
    fetch: float
    rerank: float
    total: float


class SearchResponse(Answer):
    """The answer of a search, best first.

    degraded: whether the deadline cut the re-ranking short. no_match: whether even the best
    probability is low, or nothing was found. next_cursor: for the next page; the last has none.
    """

    results: list[SearchResult]
    took_ms: Timings
    candidates: int
    reranked: int
    degraded: bool
    no_match: bool
    model: str
    generation: int
    next_cursor: str | None = None


class BatchOutcome(Answer):
    """The answer of one search of a batch, or what was wrong with it."""

    index: int
    status: int
    answer: SearchResponse | None = None
    error: Problem | None = None


class BatchResponse(Answer):
    """Every search with its own answer, in the order of the request."""

    items: list[BatchOutcome]


class Item(Answer):
    """A stored picture or text.

    kind: `image` or `text`. content_hash: SHA-256 of the uploaded bytes or of the text.
    """

    id: str
    kind: str
    metadata: dict[str, Any]
    tags: list[str]
    text: str | None = None
    url: str | None = None
    content_hash: str
    created_at: str
    updated_at: str


class Stored(Answer):
    """What became of an upload. created: False if an item with this id was there before."""

    id: str
    created: bool


class Page(Answer):
    """Some items in order of id."""

    items: list[Item]
    next_cursor: str | None = None


class BulkOutcome(Answer):
    """What became of one item of a bulk request. status: 201 new, 200 replaced, or an error's."""

    index: int
    id: str | None
    status: int
    error: Problem | None = None


class BulkResponse(Answer):
    """What became of each item, in the order of the request."""

    items: list[BulkOutcome]
    created: int
    replaced: int
    failed: int


class TagCount(Answer):
    """A tag and how many items carry it."""

    tag: str
    count: int


class Tags(Answer):
    """Tags of the stored items, most frequent first."""

    tags: list[TagCount]


class Embedding(Answer):
    """One vector of length 1; a string is little-endian float32 in base64, if that was asked."""

    object: str = "embedding"
    index: int
    embedding: list[float] | str


class Usage(Answer):
    """What was embedded: the words of the texts, and one for each picture."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(Answer):
    """A vector for each input, in the order of the request."""

    object: str = "list"
    data: list[Embedding]
    model: str
    usage: Usage


class Relevance(Answer):
    """One document. relevance_score: a probability, or between two of a kind the cosine."""

    index: int
    relevance_score: float
    document: dict[str, Any] | None = None


class Reranked(Answer):
    """The documents, most relevant first."""

    model: str
    results: list[Relevance]


class Health(Answer):
    """The process is up."""

    status: str = "ok"


class Readiness(Answer):
    """The model and the index are loaded and answer."""

    ready: bool = True
    model: str
    fingerprint: str
    device: str
    scorer: str
    index_device: str
    generation: int
    images: int
    texts: int
    engine: str
    faiss_index: dict[str, str]


class SegmentStats(Answer):
    """How one kind of item is searched."""

    faiss_index: str
    nprobe: int | None = None
    recall_when_built: float | None = None
    main_rows: int
    main_dead: int
    delta_rows: int


class MeasuredRecall(Answer):
    """The first stage against an exact search, on a sample of live queries."""

    recall: float
    queries: int


class HotRecordsStats(Answer):
    """What was fetched lately and is kept decoded."""

    records: int
    bytes: int
    most_bytes: int
    hits: int
    misses: int


class IndexStats(Answer):
    """What the index says about itself; docs/api.md has the meaning of each field."""

    engine: str
    faiss_version: str
    device: str
    threads: int
    fingerprint: str
    dimension: int
    format_version: int
    codec: str | None
    bytes_per_item: dict[str, int]
    counts: dict[str, int]
    generation: int
    writes_waiting: int
    segments: dict[str, SegmentStats]
    building: bool
    build_failures: dict[str, str]
    measured_recall: dict[str, MeasuredRecall]
    hot_records: HotRecordsStats
    bytes_on_disk: int
    bytes_in_memory: int


class DeviceCache(Answer):
    """Matrices that stay on the device between queries."""

    slots: int
    used: int
    hits: int
    misses: int


class Stats(Answer):
    """Counts and sizes, and how busy the service is."""

    version: str
    model: str
    fingerprint: str
    device: str
    scorer: str
    device_cache: dict[str, DeviceCache]
    uptime_s: float
    counts: dict[str, int]
    index: IndexStats
    queues: dict[str, dict[str, int]]
