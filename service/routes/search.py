"""Both searches."""

from fastapi import APIRouter, Request, Response

from service.bodies import (
    FORM_TYPES,
    JSON_TYPES,
    content_type,
    documented,
    form_fields,
    read_form,
    read_json,
)
from service.running import Running, Service
from service.schemas import Direction, PictureQuery, PictureQueryForm, SearchResponse, TextQuery
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
