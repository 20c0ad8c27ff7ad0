"""Searches of both kinds of item, by both kinds of query, and many at once."""

from fastapi import APIRouter, Request, Response

from service.answers import BatchResponse, SearchResponse
from service.batch import search_all
from service.bodies import (
    FORM_TYPES,
    JSON_TYPES,
    content_type,
    documented,
    form_fields,
    read_form,
    read_json,
)
from service.queries import BatchQuery, Direction, PictureQuery, PictureQueryForm, TextQuery
from service.running import Running, Service
from service.uploads import picture_bytes

router = APIRouter(prefix="/search", tags=["search"])


@router.post(
    "/text-to-image", response_model=SearchResponse, openapi_extra=documented(json=TextQuery)
)
async def text_to_image(request: Request, service: Service) -> Response:
    """Pictures for a sentence, best first.

    The first stage takes the nearest `candidates` by one vector each; the re-ranker compares every
    word with every region of those. `no_match` says when even the best is unlikely to be meant.
    """
    ask = await read_json(request, TextQuery, service.encoders)
    return _json(await service.search("text-to-image", ask))


@router.post(
    "/image-to-text",
    response_model=SearchResponse,
    openapi_extra=documented(form=PictureQueryForm, json=PictureQuery),
)
async def image_to_text(request: Request, service: Service) -> Response:
    """Sentences for a picture, best first.

    The picture is a form's file, base64 in JSON, or one that is already indexed.
    """
    return await _for_picture(request, service, "image-to-text")


@router.post(
    "/image-to-image",
    response_model=SearchResponse,
    openapi_extra=documented(form=PictureQueryForm, json=PictureQuery),
)
async def image_to_image(request: Request, service: Service) -> Response:
    """Pictures that are like a picture, best first.

    Nothing is trained to compare the regions of two pictures, so the first stage ranks them, and
    their likeness has no probability. With `query` they are ranked by the sentence as well, in both
    stages, and the probability is that of the sentence.
    """
    return await _for_picture(request, service, "image-to-image")


@router.post(
    "/text-to-text", response_model=SearchResponse, openapi_extra=documented(json=TextQuery)
)
async def text_to_text(request: Request, service: Service) -> Response:
    """Sentences that say what a sentence says, best first; ranked as pictures by a picture."""
    given = await read_json(request, TextQuery, service.encoders)
    return _json(await service.search("text-to-text", given))


@router.post("/batch", response_model=BatchResponse, openapi_extra=documented(json=BatchQuery))
async def batch(request: Request, service: Service) -> Response:
    """Many searches, answered in order. One that is wrong doesn't fail the rest."""
    return _json(await search_all(service, await read_json(request, BatchQuery, service.encoders)))


async def _for_picture(request: Request, service: Running, direction: Direction) -> Response:
    if content_type(request, *FORM_TYPES, *JSON_TYPES) in JSON_TYPES:
        given = await read_json(request, PictureQuery, service.encoders)
        return _json(await service.search(direction, given))
    async with read_form(request, "image", max_files=1) as parts:
        form = form_fields(parts, PictureQueryForm)
        data = await picture_bytes(form.image, "/image", service.settings)
    return _json(await service.search(direction, form, data))


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
