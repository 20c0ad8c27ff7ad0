"""Searches, to be sent alone or as parts of a batch."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, Unpack

from sightline_client.answers import BatchResponse, SearchResponse
from sightline_client.call import Call, model_reader, without_none
from sightline_client.picture import PictureSource, Upload, upload_of

Direction = Literal["text-to-image", "image-to-text", "image-to-image", "text-to-text"]


class Options(TypedDict, total=False):
    """What every search takes; what is left out, or None, has the service's default.

    k: results. candidates: how many the first stage hands to the re-ranker. rerank: False for the
    first stage alone. explain: the regions in which each word is found. filter: on metadata and
    tags. min_probability: leaves out results below it. deadline_ms: time for the whole answer.
    cursor: `next_cursor` of the page before. exclude: a sentence for what results should not show.
    region: `[x0, y0, x1, y1]` in 0 to 1 of the query's picture, the only part that is asked for.
    """

    k: int | None
    candidates: int | None
    rerank: bool | None
    explain: bool | None
    filter: Mapping[str, Any] | None
    min_probability: float | None
    deadline_ms: float | None
    cursor: str | None
    exclude: str | None
    region: Sequence[float] | None


class TextOptions(Options, total=False):
    """What a search for a sentence takes. image_id: a picture that results should be like, too."""

    image_id: str | None


class PictureOptions(Options, total=False):
    """What a search for a picture takes. query: a sentence to look for together with it."""

    query: str | None


@dataclass(frozen=True, kw_only=True)
class Search(Call[SearchResponse]):
    """A search as a call of its own, and as an entry of a batch."""

    entry: Mapping[str, Any]


def text_to_image(query: str, **options: Unpack[TextOptions]) -> Search:
    """Pictures for a sentence, best first."""
    return _with_json("text-to-image", {"query": query, **options})


def text_to_text(query: str, **options: Unpack[TextOptions]) -> Search:
    """Sentences that say what a sentence says, best first."""
    return _with_json("text-to-text", {"query": query, **options})


def image_to_text(
    image: PictureSource | None = None,
    *,
    image_id: str | None = None,
    **options: Unpack[PictureOptions],
) -> Search:
    """Sentences for a picture, yours or an indexed one, best first."""
    return _for_picture("image-to-text", image, image_id, options)


def image_to_image(
    image: PictureSource | None = None,
    *,
    image_id: str | None = None,
    **options: Unpack[PictureOptions],
) -> Search:
    """Pictures that are like a picture, yours or an indexed one, best first."""
    return _for_picture("image-to-image", image, image_id, options)


def batch(searches: Sequence[Search]) -> Call[BatchResponse]:
    """Many searches in one request, each with its own answer or problem."""
    queries = [search.entry for search in searches]
    return Call(
        "POST",
        "/search/batch",
        model_reader(BatchResponse),
        json={"queries": queries},
        items=len(queries),
    )


def _for_picture(
    direction: Direction,
    image: PictureSource | None,
    image_id: str | None,
    options: PictureOptions,
) -> Search:
    if (image is None) == (image_id is None):
        raise TypeError("a search for a picture takes either image or image_id")
    if image is None:
        return _with_json(direction, {"image_id": image_id, **options})
    return _with_form(direction, upload_of(image), without_none(options))


def _with_json(direction: Direction, fields: Mapping[str, Any]) -> Search:
    given = without_none(fields)
    return Search(
        method="POST",
        path=f"/search/{direction}",
        read=model_reader(SearchResponse),
        json=given,
        entry={"search": direction, **given},
    )


def _with_form(direction: Direction, picture: Upload, given: Mapping[str, Any]) -> Search:
    return Search(
        method="POST",
        path=f"/search/{direction}",
        read=model_reader(SearchResponse),
        form={
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in given.items()
        },
        files=[("image", picture.part)],
        entry={"search": direction, **given, "image_base64": picture.base64},
    )
