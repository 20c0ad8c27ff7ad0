"""Step 1 of a search: what is asked, a sentence or a picture, encoded and ready to rank."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from index.records import Record
from model.matcher import Encoded, Kind, Matcher
from service.collection import Collection
from service.cursor import name_of
from service.encode import encode_base64, encode_picture, encode_stored, encode_text
from service.errors import InvalidFieldsError
from service.rerank import Ranked, first_stage_alone, rerank
from service.schemas import Direction, PictureQuery, PictureQueryForm, TextQuery

Given = TextQuery | PictureQuery | PictureQueryForm


@dataclass(frozen=True)
class Question:
    """An encoded query for items of the other kind.

    name: of this search among all (`cursor.py`). sentence: the words that are asked for, None for
    a picture.
    """

    matcher: Matcher
    name: str
    query: Encoded
    kind: Kind
    sentence: str | None

    @property
    def target(self) -> Kind:
        """The kind of the results."""
        return "image" if self.kind == "text" else "text"

    @property
    def vector(self) -> np.ndarray:
        """What the index is asked, (d,) float32."""
        return self.query.query

    @property
    def can_be_reranked(self) -> bool:
        """Whether there are fine layers between the query and the items."""
        return True

    def rank(
        self,
        first_stage: np.ndarray,
        candidates: Sequence[Record],
        count: int,
        deadline: float | None,
    ) -> tuple[list[Ranked], int]:
        """The candidates best first, and how many the re-ranker scored, `count` at most.

        first_stage: (n,) float32, descending. deadline: as in `rerank`.
        """
        arrays = [record.arrays for record in candidates]
        head, ids = arrays[:count], [record.id for record in candidates[:count]]
        ranking, scored = rerank(
            self.matcher, self.query, self.kind, first_stage[:count], head, ids, deadline
        )
        left = first_stage_alone(self.matcher, self.query, self.kind, first_stage, arrays, count)
        return ranking + left, scored

    def matches_nothing(self, best: float | None, any_found: bool) -> bool:
        """Whether even the best probability is low."""
        return not any_found or (best or 0.0) < self.matcher.no_match_below(self.kind)

    def sides(
        self, record: Record
    ) -> tuple[str, Mapping[str, np.ndarray], Mapping[str, np.ndarray]]:
        """A sentence with its arrays and those of a picture: what explains this result."""
        if self.kind == "text":
            return self.sentence or "", self.query.arrays, record.arrays
        return record.text or "", record.arrays, self.query.arrays


def encode_question(
    collection: Collection, direction: Direction, given: Given, upload: bytes | None = None
) -> Question:
    """Encodes what is asked. upload: the picture's file of a form.

    Raises InvalidFieldsError, NotFoundError and PictureError.
    """
    asked = given.model_dump(exclude={"cursor", "image"})
    name = name_of(collection.matcher.fingerprint, direction, asked, upload)
    if isinstance(given, TextQuery):
        query = encode_text(collection, given.query)
        return Question(collection.matcher, name, query, "text", given.query)
    return Question(collection.matcher, name, _picture(collection, given, upload), "image", None)


def _picture(
    collection: Collection, given: PictureQuery | PictureQueryForm, upload: bytes | None
) -> Encoded:
    if upload is not None:
        return encode_picture(collection, upload)
    assert isinstance(given, PictureQuery)
    if given.image_id is not None and given.image_base64 is None:
        return encode_stored(collection, given.image_id)
    if given.image_base64 is not None and given.image_id is None:
        return encode_base64(collection, given.image_base64)
    raise InvalidFieldsError.one("/image_base64", "give one of image_base64 and image_id")
