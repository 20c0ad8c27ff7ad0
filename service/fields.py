"""Types of single fields that several requests share, and what each of them refuses."""

import json
import math
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic.config import JsonDict

from index.records import MAX_ID_CHARACTERS, MAX_METADATA_BYTES

MAX_QUERY_CHARACTERS = 1000
MAX_RESULTS = 1000
MAX_METADATA_DEPTH = 32
MAX_CAPTIONS = 20

SURROGATES = re.compile("[\ud800-\udfff]")
CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f]")

# For the OpenAPI document, in the regular expressions of JavaScript.
ID_SCHEMA: JsonDict = {
    "minLength": 1,
    "maxLength": MAX_ID_CHARACTERS,
    "pattern": r"^[^/\u0000-\u001f\u007f-\u009f\ufffd]+$",
}
CURSOR_SCHEMA: JsonDict = {"pattern": "^[A-Za-z0-9_-]+$"}
TEXT_SCHEMA: JsonDict = {"type": "string", "minLength": 1, "pattern": r"\S"}


def without_surrogates(value: Any) -> Any:
    r"""Text with each lone surrogate replaced by U+FFFD; other values as they are.

    JavaScript gives one when it cuts an emoji in two; UTF-8 can't hold it, so it can't be stored.

    >>> without_surrogates("cut \ud83d") == "cut \ufffd"
    True
    """
    return SURROGATES.sub("\ufffd", value) if isinstance(value, str) else value


def check_id(value: str) -> str:
    """The id itself. Raises ValueError with the rule that it breaks."""
    if not 1 <= len(value) <= MAX_ID_CHARACTERS:
        raise ValueError(
            f"an id has 1 to {MAX_ID_CHARACTERS} characters, this one has {len(value)}"
        )
    if "/" in value or value in (".", ".."):
        raise ValueError('an id holds no "/" and is neither "." nor ".."')
    if CONTROL_CHARACTERS.search(value):
        raise ValueError("an id holds no control characters")
    if "\ufffd" in value or SURROGATES.search(value):
        raise ValueError("the id is not valid UTF-8")
    return value


def check_query(value: str) -> str:
    """The query without trailing white space; leading white space stays, offsets count from it."""
    query = value.rstrip()
    if not 1 <= len(query) <= MAX_QUERY_CHARACTERS:
        raise ValueError(
            f"a query has 1 to {MAX_QUERY_CHARACTERS} characters besides white space at its end, "
            f"this one has {len(query)}"
        )
    return query


def length_problem(text: str, limit: int) -> str | None:
    """What is wrong with the length of a text that is stored or embedded, if anything is.

    White space counts: it is stored as it came, and takes as long to read.
    """
    if not text.strip():
        return f"a text has 1 to {limit:,} characters, and not white space alone"
    return (
        None if len(text) <= limit else f"a text has 1 to {limit:,} characters, not {len(text):,}"
    )


def check_metadata(value: dict[str, Any]) -> dict[str, Any]:
    """Metadata that JSON and UTF-8 can hold, at most 16 KiB of it. Raises ValueError."""
    cleaned: dict[str, Any] = _storable(value, MAX_METADATA_DEPTH)
    size = len(json.dumps(cleaned, ensure_ascii=False, separators=(",", ":")).encode())
    if size > MAX_METADATA_BYTES:
        raise ValueError(f"metadata has at most {MAX_METADATA_BYTES:,} bytes of JSON, not {size:,}")
    return cleaned


def _storable(value: Any, depth: int) -> Any:
    if depth == 0:
        raise ValueError(f"metadata is nested at most {MAX_METADATA_DEPTH} levels deep")
    if isinstance(value, dict):
        return {without_surrogates(k): _storable(v, depth - 1) for k, v in value.items()}
    if isinstance(value, list):
        return [_storable(v, depth - 1) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("metadata holds NaN or an infinite number, which JSON has no word for")
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 2**63:
        raise ValueError("metadata holds a whole number beyond 64 bits")
    return without_surrogates(value)


ItemId = Annotated[
    str,
    AfterValidator(check_id),
    Field(
        description=f"1 to {MAX_ID_CHARACTERS} characters, no control characters, no `/`.",
        json_schema_extra=ID_SCHEMA,
        examples=["beach-042"],
    ),
]
QueryText = Annotated[
    str,
    BeforeValidator(without_surrogates),
    AfterValidator(check_query),
    Field(
        description="What to look for, 1 to 1,000 characters. Any language, emoji and unknown "
        "words are accepted.",
        json_schema_extra={**TEXT_SCHEMA, "maxLength": MAX_QUERY_CHARACTERS},
        examples=["two dogs run through shallow water"],
    ),
]
Sentence = Annotated[
    str,
    BeforeValidator(without_surrogates),
    Field(
        description="The sentence, at least one character that is not white space.",
        json_schema_extra=TEXT_SCHEMA,
        examples=["A child in a red coat feeds pigeons."],
    ),
]
Metadata = Annotated[
    dict[str, Any],
    AfterValidator(check_metadata),
    Field(
        description="Any JSON object, at most 16 KiB of it, 32 levels deep, with whole numbers of "
        "at most 64 bits.",
        examples=[{"album": "coast 2024", "year": 2024}],
    ),
]
