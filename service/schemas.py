"""What the collection takes and gives over HTTP. Requests refuse unknown fields, by name."""

from typing import Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    RootModel,
    SkipValidation,
)
from pydantic.config import JsonDict
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from service.fields import MAX_CAPTIONS, ItemId, Metadata, Sentence

FILE_SCHEMA: JsonDict = {"type": "string", "format": "binary", "minLength": 1}


def is_none(value: Any) -> bool:
    """For fields that are left out of an answer when there is nothing to tell."""
    return value is None


class Request(BaseModel):
    """A JSON request: exact types, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Form(BaseModel):
    """The fields of a form, which arrive as words; no unknown fields.

    json_fields hold JSON; of list_fields each comes several times, or once as JSON: then it begins
    with a bracket.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    json_fields: ClassVar[tuple[str, ...]] = ()
    list_fields: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Without null in fields that are no JSON: a form has no word for it but leaving out."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        for name, field in schema["properties"].items():
            if name not in cls.json_fields and "anyOf" in field:
                (only,) = (one for one in field.pop("anyOf") if one != {"type": "null"})
                field.pop("default", None)
                field.update(only)
        return schema


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
        json_schema_extra=FILE_SCHEMA,
    )
    metadata: Metadata | None = Field(None, description="A JSON object, at most 16 KiB.")
    captions: list[Sentence] | None = Field(
        None,
        max_length=MAX_CAPTIONS,
        description="Sentences, as repeated fields or as a JSON array; what begins with a bracket "
        "is read as JSON. They are stored as the "
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
        json_schema_extra={"items": FILE_SCHEMA, "minItems": 1},
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
    text: str | None = Field(None, exclude_if=is_none)
    url: str | None = Field(None, exclude_if=is_none, description="Thumbnail of a picture.")
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
        None, exclude_if=is_none, description="Give it as `cursor` for the next page."
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
    request_id: str | None = Field(None, exclude_if=is_none)
    errors: list[BadField] | None = Field(None, exclude_if=is_none)


class BulkOutcome(BaseModel):
    """What became of one item of a bulk request."""

    index: int = Field(description="Place of the item in the request, from 0.")
    id: str | None
    status: int = Field(description="201 new, 200 there before, otherwise the error's status.")
    error: Problem | None = Field(None, exclude_if=is_none)


class BulkResponse(BaseModel):
    """What became of each item, in the order of the request."""

    items: list[BulkOutcome]
    created: int
    replaced: int
    failed: int
