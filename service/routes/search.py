"""Both searches."""

from functools import partial

from fastapi import APIRouter, Request, Response

from model.matcher import Encoded
from service import encode
from service.bodies import (
    FORM_TYPES,
    JSON_TYPES,
    content_type,
    documented,
    form_fields,
    read_form,
    read_json,
)
from service.errors import InvalidFieldsError
from service.running import Running, Service
from service.schemas import PictureQuery, PictureQueryForm, SearchResponse, TextQuery
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
    query = partial(encode.encode_text, service.collection, ask.query)
    return _json(await service.search(query, "text", ask, ask.query))


@router.post(
    "/image-to-text",
    response_model=SearchResponse,
    openapi_extra=documented(form=PictureQueryForm, json=PictureQuery),
)
async def image_to_text(request: Request, service: Service) -> Response:
    """Sentences for a picture, best first.

    The picture is a form's file, base64 in JSON, or one that is already indexed.
    """
    if content_type(request, *FORM_TYPES, *JSON_TYPES) in FORM_TYPES:
        return _json(await _for_upload(request, service))
    ask = await read_json(request, PictureQuery, service.encoders)
    return _json(await service.search(_encoding(service, ask), "image", ask))


async def _for_upload(request: Request, service: Running) -> bytes:
    async with read_form(request, "image", max_files=1) as form:
        ask = form_fields(form, PictureQueryForm)
        data = await picture_bytes(ask.image, "/image", service.settings)
    return await service.search(
        partial(encode.encode_picture, service.collection, data), "image", ask
    )


def _encoding(service: Running, ask: PictureQuery) -> partial[Encoded]:
    if ask.image_id is not None and ask.image_base64 is None:
        return partial(encode.encode_stored, service.collection, ask.image_id)
    if ask.image_base64 is not None and ask.image_id is None:
        return partial(encode.encode_base64, service.collection, ask.image_base64)
    raise InvalidFieldsError.one("/image_base64", "give one of image_base64 and image_id")


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
