"""Shapes that other systems expect: OpenAI's embeddings, and the field's usual re-ranking."""

from typing import Any, Literal

from pydantic import BaseModel, Field, SkipValidation
from pydantic.config import JsonDict

from service.fields import ID_SCHEMA, TEXT_SCHEMA
from service.schemas import Request, is_none

BASE64: JsonDict = {"type": "string", "minLength": 1}
ID: JsonDict = {"type": "string", **ID_SCHEMA}
ONE_OR_MANY: JsonDict = {
    "anyOf": [TEXT_SCHEMA, {"type": "array", "minItems": 1, "items": TEXT_SCHEMA}]
}
DOCUMENT: JsonDict = {
    "anyOf": [
        TEXT_SCHEMA,
        {
            "type": "object",
            "properties": {"text": TEXT_SCHEMA, "image": BASE64, "image_id": ID, "text_id": ID},
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        },
    ]
}


class EmbeddingsQuery(Request):
    """Texts and pictures to embed."""

    input: SkipValidation[Any] = Field(
        description="A text or a list of texts; a picture is a `data:` URL in base64.",
        json_schema_extra=ONE_OR_MANY,
        examples=[["two dogs in the snow"]],
    )
    model: str | None = Field(None, description="The name of the model that is served.")
    encoding_format: Literal["float", "base64"] = Field(
        "float", description="base64: little-endian float32."
    )
    dimensions: int | None = Field(
        None, description="Only the model's own number: its vectors can't be shortened."
    )
    user: str | None = Field(None, description="Accepted, since clients send it; not looked at.")


class Embedding(BaseModel):
    """One vector of length 1. Inner products of two of them are cosines."""

    object: Literal["embedding"] = "embedding"
    index: int = Field(description="Place of the input in the request, from 0.")
    embedding: list[float] | str


class Usage(BaseModel):
    """What was embedded: the words of the texts, and one for each picture."""

    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    """A vector for each input, in the order of the request."""

    object: Literal["list"] = "list"
    data: list[Embedding]
    model: str
    usage: Usage


class RerankQuery(Request):
    """Documents to put in order for a query. They are all pictures, or all texts."""

    query: str = Field(
        description="A text, or a picture as a `data:` URL in base64.",
        json_schema_extra=TEXT_SCHEMA,
        examples=["two dogs in the snow"],
    )
    documents: list[SkipValidation[Any]] = Field(
        min_length=1,
        description="Each a text, a picture as a `data:` URL, or an object with one of `text`, "
        "`image` (base64), `image_id` and `text_id` (of an indexed item).",
        json_schema_extra={"items": DOCUMENT},
    )
    top_n: int | None = Field(None, ge=1, description="How many to give; default: all.")
    return_documents: bool = Field(False, description="Repeats each document in its result.")
    model: str | None = Field(None, description="The name of the model that is served.")


class Relevance(BaseModel):
    """One document."""

    index: int = Field(description="Place of the document in the request, from 0.")
    relevance_score: float = Field(
        description="Between a sentence and a picture the match probability, 0..1; between two of "
        "one kind the cosine of their vectors, -1..1."
    )
    document: dict[str, Any] | None = Field(None, exclude_if=is_none)


class Reranked(BaseModel):
    """The documents, most relevant first."""

    model: str
    results: list[Relevance]
