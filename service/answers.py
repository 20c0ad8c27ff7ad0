"""What a search gives over HTTP."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from service.schemas import Problem, is_none

Box = Annotated[
    list[float],
    Field(
        description="`[x0, y0, x1, y1]` as fractions of the upright picture.",
        min_length=4,
        max_length=4,
        examples=[[0.1667, 0.5, 0.3333, 0.6667]],
    ),
]


class StageScores(BaseModel):
    """The score of each layer. Those of the re-ranker are null where it didn't score."""

    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    global_: float = Field(alias="global", description="Whole picture against whole sentence.")
    entity: float | None = Field(description="Regions against words.")
    relation: float | None = Field(description="Pairs of regions against phrases.")
    semantic: float | None = Field(description="Tags of both sides.")
    concept: float | None = Field(
        description="ImageNet classes that both sides mean; null for a model without this layer."
    )


class RegionWeight(BaseModel):
    """A region in which a word is found."""

    box: Box
    weight: float = Field(
        description="Share of the word, 0..1: a softmax over its cosines with the regions."
    )


class WordExplanation(BaseModel):
    """One word, and the regions in which it is found, strongest first."""

    text: str
    start: int = Field(description="First character of the word in the sentence, from 0.")
    end: int = Field(description="The character after the word's last.")
    score: float = Field(description="How well the regions answer the word.")
    regions: list[RegionWeight]


class RegionSaliency(BaseModel):
    """How much a region matters to the picture as a whole."""

    box: Box
    saliency: float


class TagProbability(BaseModel):
    """A tag that both sides carry."""

    tag: str
    probability: float = Field(ge=0, le=1)


class SharedConcept(BaseModel):
    """An ImageNet class that both sides mean."""

    concept: str = Field(description="Its names, the usual one first.", examples=["castle"])
    share: float = Field(ge=0, le=1, description="Of what both sides agree on.")


class Explanation(BaseModel):
    """Why a sentence and a picture match."""

    words: list[WordExplanation]
    regions: list[RegionSaliency]
    tags: list[TagProbability]
    concepts: list[SharedConcept]


class SearchResult(BaseModel):
    """One item that was found."""

    id: str
    score: float = Field(
        description="The re-ranker's score, or the first stage's where it didn't score."
    )
    probability: float | None = Field(
        description="Calibrated probability that the sentence describes the photo, 0..1, and that "
        "an excluded one doesn't. Null between items of one kind: nothing was calibrated there."
    )
    stage_scores: StageScores
    rank_before: int = Field(description="Its place after the first stage, from 1.")
    metadata: dict[str, Any]
    url: str | None = Field(None, exclude_if=is_none, description="Thumbnail of a picture.")
    text: str | None = Field(None, exclude_if=is_none, description="The sentence of a text.")
    explanation: Explanation | None = Field(
        None, exclude_if=is_none, description="Only with `explain`."
    )


class Timings(BaseModel):
    """Milliseconds of each step, and of the whole answer with its waiting."""

    encode: float
    search: float
    fetch: float
    rerank: float
    total: float


class SearchResponse(BaseModel):
    """The answer of a search, best first."""

    results: list[SearchResult]
    took_ms: Timings
    candidates: int = Field(description="How many the first stage found.")
    reranked: int = Field(description="How many the re-ranker scored.")
    degraded: bool = Field(description="Whether the deadline cut the re-ranking short.")
    no_match: bool = Field(
        description="Whether even the best probability is low, or nothing was found."
    )
    model: str
    generation: int = Field(description="Version of the index that answered.")
    next_cursor: str | None = Field(
        None,
        exclude_if=is_none,
        description="Give it as `cursor` for the next page; the last page has none.",
    )


class BatchOutcome(BaseModel):
    """The answer of one search of a batch, or what was wrong with it."""

    index: int = Field(description="Place of the search in the request, from 0.")
    status: int = Field(description="200, otherwise the error's status.")
    answer: SearchResponse | None = Field(None, exclude_if=is_none)
    error: Problem | None = Field(None, exclude_if=is_none)


class BatchResponse(BaseModel):
    """Every search with its own answer, in the order of the request."""

    items: list[BatchOutcome]
