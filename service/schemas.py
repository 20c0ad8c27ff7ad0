"""What goes in and out over HTTP. Requests refuse fields they don't know, by name."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, SkipValidation

from service.fields import MAX_CAPTIONS, MAX_RESULTS, ItemId, Metadata, QueryText, Sentence

Box = Annotated[
    list[float],
    Field(
        description="`[x0, y0, x1, y1]` as fractions of the upright picture.",
        min_length=4,
        max_length=4,
        examples=[[0.1667, 0.5, 0.3333, 0.6667]],
    ),
]


Direction = Literal["text-to-image", "image-to-text"]


def _is_none(value: Any) -> bool:
    return value is None


class Request(BaseModel):
    """A JSON request: exact types, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Form(BaseModel):
    """The fields of a form, which arrive as words; no unknown fields.

    json_fields hold JSON; of list_fields each either does or comes several times.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    json_fields: ClassVar[tuple[str, ...]] = ()
    list_fields: ClassVar[tuple[str, ...]] = ()


class SearchOptions(BaseModel):
    """What both searches take."""

    k: int = Field(10, ge=1, le=MAX_RESULTS, description="How many results, best first.")
    candidates: int | None = Field(
        None,
        ge=1,
        description="How many the first stage hands to the re-ranker; at least `k`, at most the "
        "service's limit. Default: the service's setting (100), or `k` if that is more.",
    )
    rerank: bool = Field(True, description="false: the first stage alone.")
    explain: bool = Field(
        False, description="Adds to each result which words are found in which regions."
    )
    filter: dict[str, Any] | None = Field(
        None,
        description="Only items that match it are looked at, before the best are taken. One of "
        '`{"field": name or JSON pointer, "equals": value}`, the same with `"in": [values]` or '
        '`"range": {"gt" | "gte" | "lt" | "lte": value}`, `{"tag": tag or [tags]}`, '
        '`{"and": [filters]}`, `{"or": [filters]}`, `{"not": filter}`.',
        examples=[{"and": [{"tag": "dog"}, {"field": "year", "range": {"gte": 2020}}]}],
    )
    min_probability: float | None = Field(
        None,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="Leaves out results whose match probability is lower.",
    )
    deadline_ms: float | None = Field(
        None,
        gt=0,
        le=600_000,
        allow_inf_nan=False,
        description="Time for the whole answer. The re-ranker scores, best first, what fits; "
        "`degraded` and `reranked` say what it left.",
    )

    cursor: str | None = Field(
        None,
        max_length=2000,
        description="`next_cursor` of the page before; everything else as it was there.",
    )


class TextQuery(Request, SearchOptions):
    """Find pictures for a sentence."""

    query: QueryText


class PictureQuery(Request, SearchOptions):
    """Find sentences for a picture: one of `image_base64` and `image_id`."""

    image_base64: str | None = Field(
        None, description="The picture's file in base64; a `data:` URL is accepted too."
    )
    image_id: ItemId | None = Field(None, description="A picture that is already indexed.")


class PictureQueryForm(Form, SearchOptions):
    """Find sentences for an uploaded picture."""

    json_fields = ("filter",)

    image: SkipValidation[Any] = Field(
        description="The picture's file.", json_schema_extra={"type": "string", "format": "binary"}
    )


class StageScores(BaseModel):
    """The score of each layer. Those of the re-ranker are null where it didn't score."""

    model_config = ConfigDict(
        validate_by_name=True, validate_by_alias=True, serialize_by_alias=True
    )

    global_: float = Field(alias="global", description="Whole picture against whole sentence.")
    entity: float | None = Field(description="Regions against words.")
    relation: float | None = Field(description="Pairs of regions against phrases.")
    semantic: float | None = Field(description="Tags of both sides.")


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


class Explanation(BaseModel):
    """Why a sentence and a picture match."""

    words: list[WordExplanation]
    regions: list[RegionSaliency]
    tags: list[TagProbability]


class SearchResult(BaseModel):
    """One item that was found."""

    id: str
    score: float = Field(
        description="The re-ranker's score, or the first stage's where it didn't score."
    )
    probability: float = Field(
        description="Calibrated probability that the sentence describes the photo, 0..1."
    )
    stage_scores: StageScores
    rank_before: int = Field(description="Its place after the first stage, from 1.")
    metadata: dict[str, Any]
    url: str | None = Field(None, exclude_if=_is_none, description="Thumbnail of a picture.")
    text: str | None = Field(None, exclude_if=_is_none, description="The sentence of a text.")
    explanation: Explanation | None = Field(
        None, exclude_if=_is_none, description="Only with `explain`."
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
        description="Whether even the best probability is low: nothing here matches."
    )
    model: str
    generation: int = Field(description="Version of the index that answered.")
    next_cursor: str | None = Field(
        None,
        exclude_if=_is_none,
        description="Give it as `cursor` for the next page; the last page has none.",
    )


class TextItem(Request):
    """A sentence to store."""

    text: Sentence
    metadata: Metadata | None = None


class BulkTextItem(TextItem):
    """A sentence of a bulk request; without an id it is stored under its content's hash."""

    id: ItemId | None = None


class BulkTexts(Request):
    """Many sentences. Each is checked on its own: a bad one doesn't fail the rest."""

    items: list[SkipValidation[BulkTextItem]] = Field(min_length=1)


class PictureForm(Form):
    """A picture to store."""

    json_fields = ("metadata",)
    list_fields = ("captions",)

    image: SkipValidation[Any] = Field(
        description="The picture's file: JPEG, PNG, WebP, GIF, TIFF or BMP.",
        json_schema_extra={"type": "string", "format": "binary"},
    )
    metadata: Metadata | None = Field(None, description="A JSON object, at most 16 KiB.")
    captions: list[Sentence] | None = Field(
        None,
        max_length=MAX_CAPTIONS,
        description="Sentences, as a JSON array or as repeated fields. They are stored as the "
        "texts `{id}-0`, `{id}-1` ...; those of an earlier upload are replaced.",
    )


class BulkPictureItem(Request):
    """What goes with one of the uploaded pictures."""

    id: ItemId | None = None
    metadata: Metadata | None = None


class BulkPicturesForm(Form):
    """Many pictures."""

    json_fields = ("items",)

    images: SkipValidation[list[Any]] = Field(
        description="The files. A file's name without its ending is the id unless `items` has one.",
        json_schema_extra={"items": {"type": "string", "format": "binary"}},
    )
    items: list[SkipValidation[BulkPictureItem | None]] | None = Field(
        None, description="A JSON array, one entry or null for each file, in the same order."
    )


class MetadataPatch(RootModel[dict[str, Any]]):
    """A JSON Merge Patch (RFC 7396) of an item's metadata: null removes a key."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"album": "coast", "draft": None}]})


class Item(BaseModel):
    """A stored picture or text."""

    id: str
    kind: Literal["image", "text"]
    metadata: dict[str, Any]
    tags: list[str]
    text: str | None = Field(None, exclude_if=_is_none)
    url: str | None = Field(None, exclude_if=_is_none, description="Thumbnail of a picture.")
    content_hash: str = Field(description="SHA-256 of the uploaded bytes or of the text.")
    created_at: str
    updated_at: str


class Stored(BaseModel):
    """What became of an upload that was accepted: it is on disk and found by the next search."""

    id: str
    created: bool = Field(description="false: an item with this id was there before.")


class Page(BaseModel):
    """Some items in order of id."""

    items: list[Item]
    next_cursor: str | None = Field(
        None, exclude_if=_is_none, description="Give it as `cursor` for the next page."
    )


class TagCount(BaseModel):
    """A tag and how many items carry it."""

    tag: str
    count: int


class Tags(BaseModel):
    """Tags of the stored items, most frequent first."""

    tags: list[TagCount]


class BadField(BaseModel):
    """One field that is wrong."""

    pointer: str = Field(description="JSON pointer (RFC 6901) to the field.", examples=["/k"])
    detail: str = Field(examples=["Input should be less than or equal to 1000"])
    place: Literal["body", "query", "path", "header"] = "body"


class Problem(BaseModel):
    """Problem details, RFC 9457."""

    type: str = Field(examples=["urn:sightline:problem:invalid-fields"])
    title: str = Field(examples=["Some fields are wrong"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["k: Input should be less than or equal to 1000"])
    request_id: str | None = Field(None, exclude_if=_is_none)
    errors: list[BadField] | None = Field(None, exclude_if=_is_none)


class BulkOutcome(BaseModel):
    """What became of one item of a bulk request."""

    index: int = Field(description="Place of the item in the request, from 0.")
    id: str | None
    status: int = Field(description="201 new, 200 there before, otherwise the error's status.")
    error: Problem | None = Field(None, exclude_if=_is_none)


class BulkResponse(BaseModel):
    """What became of each item, in the order of the request."""

    items: list[BulkOutcome]
    created: int
    replaced: int
    failed: int


class Health(BaseModel):
    """The process is up."""

    status: Literal["ok"] = "ok"


class Readiness(BaseModel):
    """The model and the index are loaded and answer."""

    ready: Literal[True] = True
    model: str
    fingerprint: str
    device: str = Field(description="Where the model really runs.")
    index_device: str = Field(description="Where the vectors really are searched.")
    generation: int
    images: int
    texts: int


class Stats(BaseModel):
    """Counts and sizes."""

    version: str
    model: str
    fingerprint: str
    device: str
    uptime_s: float
    counts: dict[str, int] = Field(examples=[{"image": 20, "text": 300}])
    index: dict[str, Any] = Field(description="What the index says about itself.")
    queues: dict[str, dict[str, int]] = Field(
        description="Of each pool: workers, jobs running or waiting, and the most it takes."
    )
