"""The cursor of a search: where its next page begins, and what search it belongs to."""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import CursorExpiredError, CursorMismatchError, InvalidFieldsError

FOREIGN = "not a cursor of this service; take `next_cursor` of the page before"


class Cursor(BaseModel):
    """A place in the ranking of one search, in one state of the index.

    The ranking is that of the candidates, and after them all other items as the first stage ranks
    them. encoding: of the query (`Question.encoding`). reranked: of the `candidates`, so many were
    scored on the first page, which a deadline may have cut short. given: places of the ranking that
    the pages before went through. score, item_id: of the last of them in the first stage, once the
    candidates are through. no_match: as the first page found it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    search: str
    encoding: str
    generation: int = Field(ge=0)
    candidates: int = Field(ge=1)
    reranked: int = Field(ge=0)
    given: int = Field(ge=0)
    no_match: bool
    score: float | None = Field(None, allow_inf_nan=False)
    item_id: str | None = None

    @classmethod
    def read(cls, text: str) -> Self:
        """The cursor that `text` stands for. Raises InvalidFieldsError."""
        try:
            padded = text + "=" * (-len(text) % 4)
            read = cls.model_validate_json(base64.b64decode(padded, altchars=b"-_", validate=True))
        except (binascii.Error, ValidationError, ValueError) as error:
            raise InvalidFieldsError.one("/cursor", FOREIGN) from error
        if (read.score is None) != (read.item_id is None):
            raise InvalidFieldsError.one("/cursor", FOREIGN)
        return read

    @property
    def text(self) -> str:
        """Letters, digits, `-` and `_`."""
        written = self.model_dump_json(exclude_none=True).encode()
        return base64.urlsafe_b64encode(written).decode().rstrip("=")

    def check_search(self, search: str) -> None:
        """Raises CursorMismatchError unless this search made it."""
        if search != self.search:
            raise CursorMismatchError(
                "the cursor belongs to another query or to other options; send those of the page "
                "before again, with nothing but `cursor` changed"
            )

    def check_encoding(self, encoding: str) -> None:
        """Raises CursorExpiredError unless the query is encoded as it was."""
        if encoding != self.encoding:
            raise CursorExpiredError(
                "the query is no longer remembered, and encoded anew it ranks a little otherwise; "
                "search again from the first page"
            )

    def check_generation(self, generation: int) -> None:
        """Raises CursorExpiredError unless the index is in the state that made it."""
        if generation != self.generation:
            raise CursorExpiredError(
                f"the collection has changed: the cursor is of generation {self.generation}, the "
                f"index is at {generation}; search again from the first page"
            )


def name_of(model: str, direction: str, asked: Mapping[str, Any], upload: bytes | None) -> str:
    """The name of a search: another query, other options or another model have another one.

    asked: the fields of the request besides the cursor. upload: the picture's file of a form.
    """
    picture = None if upload is None else hashlib.sha256(upload).hexdigest()
    whole = json.dumps([model, direction, asked, picture], sort_keys=True)
    return hashlib.sha256(whole.encode()).hexdigest()[:24]
