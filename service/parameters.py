"""Parameters of paths and queries that several routes share."""

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import Depends, Path, Query, Request

from service.errors import InvalidFieldsError
from service.fields import CURSOR_SCHEMA, ID_SCHEMA, check_id


def _checked_id(
    item_id: Annotated[
        str,
        Path(
            alias="id",
            description="Percent-encoded; 1 to 200 characters.",
            json_schema_extra=ID_SCHEMA,
            examples=["beach-042"],
        ),
    ],
) -> str:
    try:
        return check_id(item_id)
    except ValueError as error:
        raise InvalidFieldsError.one("/id", str(error), "path") from error


def only_parameters(*names: str) -> Callable[[Request], None]:
    """A dependency that refuses query parameters other than these, by name."""

    def check(request: Request) -> None:
        for name in request.query_params:
            if name not in names:
                raise InvalidFieldsError.one(f"/{name}", "there is no such parameter", "query")

    return check


PathId = Annotated[str, Depends(_checked_id)]
Cursor = Annotated[
    str | None,
    Query(
        max_length=1200,
        description="`next_cursor` of the page before.",
        json_schema_extra=CURSOR_SCHEMA,
    ),
]
Limit = Annotated[int, Query(ge=1, le=500, description="Items on the page.")]
JsonFilter = Annotated[
    str | None,
    Query(
        max_length=8000,
        description="JSON: only items that match it are counted. As `filter` of a search.",
        json_schema_extra={"contentMediaType": "application/json"},
        examples=['{"field": "album", "equals": "coast"}'],
    ),
]
KindOf = Annotated[Literal["image", "text"], Query(description="Whose tags to count.")]
