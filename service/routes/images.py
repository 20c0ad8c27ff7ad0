"""Pictures: put, get, change, delete, list."""

from functools import partial

from fastapi import APIRouter, Depends, Request, Response

from service import care
from service.bodies import documented, form_fields, read_form, read_json
from service.bulk import add_pictures
from service.caching import validated
from service.ingest import NewPicture, prepare_pictures
from service.listing import page
from service.parameters import Cursor, Limit, PathId, only_parameters
from service.running import Running, Service
from service.schemas import (
    BulkPicturesForm,
    BulkResponse,
    Item,
    MetadataPatch,
    Page,
    PictureForm,
    Stored,
)
from service.uploads import picture_bytes

router = APIRouter(tags=["images"])
JPEG = {"type": "string", "format": "binary"}


@router.put(
    "/images/{id}",
    responses={201: {"model": Stored, "description": "Stored; the id is new."}},
    openapi_extra=documented(form=PictureForm),
)
async def put_image(id: PathId, request: Request, response: Response, service: Service) -> Stored:
    """Stores a picture under an id of yours, in place of what was there.

    Without `metadata` or `captions`, those that are there stay. The same picture again is not
    encoded again.
    """
    return await _store(id, request, response, service)


@router.post(
    "/images",
    responses={201: {"model": Stored, "description": "Stored; the picture is new."}},
    openapi_extra=documented(form=PictureForm),
)
async def post_image(request: Request, response: Response, service: Service) -> Stored:
    """Stores a picture under the SHA-256 of its file, so that a repeat is no duplicate."""
    return await _store(None, request, response, service)


@router.post("/images:bulk", openapi_extra=documented(form=BulkPicturesForm))
async def bulk_images(request: Request, service: Service) -> BulkResponse:
    """Stores many pictures. One that can't be read doesn't fail the rest."""
    limit = service.settings.max_bulk_pictures
    async with read_form(request, "images", max_files=limit) as form:
        return await add_pictures(service, form_fields(form, BulkPicturesForm))


@router.get("/images", dependencies=[Depends(only_parameters("cursor", "limit"))])
async def list_images(service: Service, cursor: Cursor = None, limit: Limit = 100) -> Page:
    """The pictures in order of id."""
    return await service.searchers.run(page, service.collection, "image", cursor, limit)


@router.get("/images/{id}")
async def get_image(id: PathId, service: Service) -> Item:
    """What is stored about a picture."""
    return await service.searchers.run(care.get, service.collection, "image", id)


@router.get(
    "/images/{id}/thumbnail",
    response_class=Response,
    responses={
        200: {
            "content": {"image/jpeg": {"schema": JPEG}},
            "description": "A JPEG, without the photo's EXIF.",
        },
        304: {"description": "The copy that `If-None-Match` names is still the one."},
    },
)
async def get_thumbnail(id: PathId, request: Request, service: Service) -> Response:
    """A small copy of a picture."""
    data = await service.searchers.run(care.thumbnail, service.collection, id)
    # The picture behind an id may be replaced, so a browser asks each time; a 304 is a few bytes.
    return validated(data, "image/jpeg", "private, no-cache", request.headers)


@router.patch("/images/{id}/metadata", openapi_extra=documented(json=MetadataPatch))
async def patch_image_metadata(id: PathId, request: Request, service: Service) -> Item:
    """Merges into the metadata (RFC 7396): null removes a key, other keys stay."""
    patch = (await read_json(request, MetadataPatch, service.encoders)).root
    return await service.writer.run(care.merge_metadata, service.collection, "image", id, patch)


@router.delete("/images/{id}", status_code=204)
async def delete_image(id: PathId, service: Service) -> None:
    """Deletes a picture; texts that came with it stay."""
    await service.writer.run(care.delete, service.collection, "image", id)


async def _store(id: str | None, request: Request, response: Response, service: Running) -> Stored:
    async with read_form(request, "image", max_files=1) as form:
        fields = form_fields(form, PictureForm)
        data = await picture_bytes(fields.image, "/image", service.settings)
    captions = None if fields.captions is None else tuple(fields.captions)
    picture = NewPicture(data, id, fields.metadata, captions, adds_metadata=id is None)
    [outcome] = await service.add("image", partial(prepare_pictures, service.collection, [picture]))
    response.status_code = 201 if outcome.created else 200
    return care.stored(outcome)
