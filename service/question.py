"""Step 1 of a search: what is asked, sentences and pictures, encoded and ready to rank."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from PIL import Image

from index.records import Record
from model.composition import EXCLUDED, VECTOR, Composition, Part, Scorer
from model.crop import crop, in_whole
from model.explanation import Box
from model.matcher import Encoded, Kind, Matcher
from service.collection import Collection
from service.cursor import name_of
from service.encode import encode_stored, from_base64, read_picture, stored_picture
from service.errors import InvalidFieldsError
from service.queries import Direction, PictureQuery, PictureQueryForm, TextQuery
from service.rerank import Ranked, StageScoresOf, first_stage_alone, rerank

Given = TextQuery | PictureQuery | PictureQueryForm


@dataclass(frozen=True)
class Sides:
    """What explains a result: a sentence and a picture, as the arrays of both."""

    sentence: str
    text: Mapping[str, np.ndarray]
    picture: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Question:
    """An encoded query for items of one kind.

    name: of this search among all (`cursor.py`). target: the kind of the results. parts: what is
    asked for first, what is excluded last. sentence: the words that are asked for, if any are.
    """

    matcher: Matcher
    name: str
    target: Kind
    parts: tuple[Part, ...]
    composition: Composition
    sentence: str | None

    @property
    def vector(self) -> np.ndarray:
        """What the index is asked, (d,) float32."""
        return self.composition.query

    @cached_property
    def encoding(self) -> str:
        """Tells apart encodings of the query's sentences: the last bits of their vectors depend on
        what was encoded together with them.
        """
        digest = hashlib.blake2b(digest_size=9)
        for part in self.parts:
            if part.kind == "text":
                for array in (part.encoded.query, *part.encoded.arrays.values()):
                    digest.update(array.tobytes())
        return base64.urlsafe_b64encode(digest.digest()).decode()

    @property
    def can_be_reranked(self) -> bool:
        """Whether there are fine layers between the query and the items."""
        return self.composition.can_be_reranked

    @property
    def has_probability(self) -> bool:
        """Whether something of the other kind is asked for: only that was calibrated."""
        return self._across is not None and self._across.weight > 0

    @property
    def needs_vectors(self) -> bool:
        """Whether ranking takes the vectors of the candidates, too."""
        return self.can_be_reranked and len(self.parts) > 1

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
        across = self._across
        if across is None:
            alone = [
                Ranked(place, score, None, StageScoresOf(score))
                for place, score in enumerate(first_stage.tolist())
            ]
            return alone, 0
        with_vectors = self.needs_vectors
        scorer: Scorer = self.composition if with_vectors else self.matcher
        arrays = [
            {**record.arrays, VECTOR: record.vector} if with_vectors else record.arrays
            for record in candidates
        ]
        query, kind, ids = across.encoded, across.kind, [record.id for record in candidates]
        head, head_ids = arrays[:count], ids[:count]
        ranking, scored = rerank(scorer, query, kind, first_stage[:count], head, head_ids, deadline)
        left = first_stage_alone(scorer, query, kind, first_stage, arrays, start=count)
        whole = ranking + left
        if not self.has_probability:
            whole = [one._replace(probability=None) for one in whole]
        return whole, scored

    def matches_nothing(self, best: float | None, any_found: bool) -> bool:
        """Whether even the best probability is low; without one, whether nothing was found."""
        if best is None or self._across is None:
            return not any_found
        return best < self.matcher.no_match_below(self._across.kind)

    def sides(self, record: Record) -> Sides | None:
        """A sentence and a picture that explain this result; None between items of one kind."""
        across = self._across
        if across is None or not self.has_probability:
            return None
        if across.kind == "text":
            return Sides(self.sentence or "", across.encoded.arrays, record.arrays)
        return Sides(record.text or "", record.arrays, across.encoded.arrays)

    @property
    def _across(self) -> Part | None:
        return next((part for part in self.parts if part.kind != self.target), None)


@dataclass(frozen=True)
class Unencoded:
    """What a query brings to be encoded.

    sentences: what is asked for first, what is excluded last. picture: upright RGB, cut to the
    region that is asked for; where that lies is `region`. stored: a picture that needs no encoding.
    """

    sentences: tuple[str, ...]
    picture: Image.Image | None = None
    region: Box | None = None
    stored: Encoded | None = None


def has_picture(given: Given, upload: bytes | None) -> bool:
    """Whether reading the query takes time: then a picture is decoded or fetched."""
    return not isinstance(given, TextQuery) or upload is not None or given.image_id is not None


def read_question(collection: Collection, given: Given, upload: bytes | None = None) -> Unencoded:
    """What there is to encode. upload: the picture's file of a form.

    Raises InvalidFieldsError, NotFoundError and PictureError.
    """
    sentences = tuple(text for text in (given.query, given.exclude) if text is not None)
    image_id = None if isinstance(given, PictureQueryForm) else given.image_id
    data = upload
    if isinstance(given, PictureQuery) and upload is None:
        if (given.image_base64 is None) == (image_id is None):
            raise InvalidFieldsError.one("/image_base64", "give one of image_base64 and image_id")
        if given.image_base64 is not None:
            data = from_base64(given.image_base64)
    region = None if given.region is None else given.box
    if data is None and image_id is not None and region is not None:
        data = stored_picture(collection, image_id)
    if data is not None:
        picture = read_picture(data, collection.settings)
        return Unencoded(sentences, crop(picture, region) if region else picture, region)
    if region is not None:
        raise InvalidFieldsError.one("/region", "there is no picture to cut it from")
    if image_id is not None:
        return Unencoded(sentences, stored=encode_stored(collection, image_id))
    return Unencoded(sentences)


def question_of(
    collection: Collection,
    direction: Direction,
    given: Given,
    upload: bytes | None,
    unencoded: Unencoded,
    sentences: Sequence[Encoded],
    picture: Encoded | None,
) -> Question:
    """The question, once its sentences and its picture are encoded."""
    asked = given.model_dump(exclude={"cursor", "image"})
    name = name_of(collection.matcher.fingerprint, direction, asked, upload)
    target: Kind = "image" if direction.endswith("-image") else "text"
    if picture is not None and unencoded.region is not None:
        picture = in_whole(picture, unencoded.region)
    picture = picture or unencoded.stored
    encoded = iter(sentences)
    parts = []
    if given.query is not None:
        parts.append(Part(next(encoded), "text"))
    if picture is not None:
        parts.append(Part(picture, "image"))
    if given.exclude is not None:
        parts.append(Part(next(encoded), "text", EXCLUDED))
    composition = Composition(collection.matcher, parts, target)
    return Question(collection.matcher, name, target, tuple(parts), composition, given.query)


def encode_question(
    collection: Collection, direction: Direction, given: Given, upload: bytes | None = None
) -> Question:
    """All of it at once. Raises InvalidFieldsError, NotFoundError and PictureError."""
    matcher = collection.matcher
    unencoded = read_question(collection, given, upload)
    sentences = matcher.encode_texts(unencoded.sentences, to_store=False)
    pictures = [] if unencoded.picture is None else [unencoded.picture]
    picture = next(iter(matcher.encode_pictures(pictures, to_store=False)), None)
    return question_of(collection, direction, given, upload, unencoded, sentences, picture)
