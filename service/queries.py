"""What a search takes, over HTTP. Requests refuse fields they don't know, by name."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, SkipValidation

from model.explanation import Box as Corners
from service.fields import CURSOR_SCHEMA, MAX_RESULTS, ItemId, QueryText
from service.schemas import FILE_SCHEMA, Form, Request

Direction = Literal["text-to-image", "image-to-text", "image-to-image", "text-to-text"]


def check_region(value: list[float]) -> list[float]:
    """The region itself. Raises ValueError unless it lies in the picture and isn't empty."""
    x0, y0, x1, y1 = value
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        raise ValueError("a region is [x0, y0, x1, y1] with 0 <= x0 < x1 <= 1 and the same for y")
    return value


Region = Annotated[
    list[
        Annotated[float, Field(allow_inf_nan=False, json_schema_extra={"minimum": 0, "maximum": 1})]
    ],
    Field(
        min_length=4,
        max_length=4,
        examples=[[0.25, 0.1, 0.75, 0.9]],
    ),
    AfterValidator(check_region),
]


class SearchOptions(BaseModel):
    """What every search takes."""

    query: QueryText | None = Field(
        None, description="A sentence to look for together with the picture."
    )
    exclude: QueryText | None = Field(
        None, description="A sentence for what the results should not show or say."
    )
    region: Region | None = Field(
        None,
        description="`[x0, y0, x1, y1]` as fractions of the upright picture: only this part of it "
        "is the query. Of a picture that is indexed, it is cut from the thumbnail.",
    )
    k: int = Field(10, ge=1, le=MAX_RESULTS, description="How many results, best first.")
    candidates: int | None = Field(
        None,
        ge=1,
        description="How many the first stage hands to the re-ranker; at least `k`, at most the "
        "service's limit. Default: the service's setting (100), or `k` if that is more.",
    )
    rerank: bool = Field(
        True,
        description="false: the first stage alone. Between items of one kind there is no other.",
    )
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
        json_schema_extra=CURSOR_SCHEMA,
    )

    @property
    def box(self) -> Corners:
        """The region as corners; the whole picture without one."""
        x0, y0, x1, y1 = self.region or (0.0, 0.0, 1.0, 1.0)
        return x0, y0, x1, y1


class TextQuery(Request, SearchOptions):
    """Search for a sentence, alone or together with an indexed picture."""

    query: QueryText
    image_id: ItemId | None = Field(
        None, description="An indexed picture that the results should also be like."
    )


class PictureQuery(Request, SearchOptions):
    """Search for a picture: one of `image_base64` and `image_id`."""

    image_base64: str | None = Field(
        None, description="The picture's file in base64; a `data:` URL is accepted too."
    )
    image_id: ItemId | None = Field(None, description="A picture that is already indexed.")


class PictureQueryForm(Form, SearchOptions):
    """Search for an uploaded picture."""

    json_fields = ("filter",)
    list_fields = ("region",)

    image: SkipValidation[Any] = Field(
        description="The picture's file.", json_schema_extra=FILE_SCHEMA
    )


class BatchQuery(Request):
    """Many searches in one request."""

    queries: list[SkipValidation[dict[str, Any]]] = Field(
        min_length=1,
        description="For each, `search` names the route (`text-to-image`, `image-to-text`, "
        "`image-to-image` or `text-to-text`), beside the fields of that route's JSON body.",
        examples=[[{"search": "text-to-image", "query": "two dogs in the snow", "k": 3}]],
    )
