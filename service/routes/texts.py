"""Texts: put, get, change, delete, list."""

from functools import partial

from fastapi import APIRouter, Depends, Request, Response

from service import care
from service.bodies import documented, read_json
from service.bulk import add_texts
from service.ingest import NewText, prepare_texts
from service.listing import page
from service.parameters import Cursor, Limit, PathId, only_parameters
from service.running import Running, Service
from service.schemas import BulkResponse, BulkTexts, Item, MetadataPatch, Page, Stored, TextItem

router = APIRouter(tags=["texts"])


@router.put(
    "/texts/{id}",
    responses={201: {"model": Stored, "description": "Stored; the id is new."}},
    openapi_extra=documented(json=TextItem),
)
async def put_text(id: PathId, request: Request, response: Response, service: Service) -> Stored:
    """Stores a sentence under an id of yours, in place of what was there."""
    return await _store(id, request, response, service)


@router.post(
    "/texts",
    responses={201: {"model": Stored, "description": "Stored; the text is new."}},
    openapi_extra=documented(json=TextItem),
)
async def post_text(request: Request, response: Response, service: Service) -> Stored:
    """Stores a sentence under its SHA-256, so that a repeat is no duplicate."""
    return await _store(None, request, response, service)


@router.post("/texts:bulk", openapi_extra=documented(json=BulkTexts))
async def bulk_texts(request: Request, service: Service) -> BulkResponse:
    """Stores many sentences. One that is wrong doesn't fail the rest."""
    return await add_texts(service, await read_json(request, BulkTexts, service.encoders))


@router.get("/texts", dependencies=[Depends(only_parameters("cursor", "limit"))])
async def list_texts(service: Service, cursor: Cursor = None, limit: Limit = 100) -> Page:
    """The texts in order of id."""
    return await service.searchers.run(page, service.collection, "text", cursor, limit)


@router.get("/texts/{id}")
async def get_text(id: PathId, service: Service) -> Item:
    """What is stored about a text."""
    return await service.searchers.run(care.get, service.collection, "text", id)


@router.patch("/texts/{id}/metadata", openapi_extra=documented(json=MetadataPatch))
async def patch_text_metadata(id: PathId, request: Request, service: Service) -> Item:
    """Merges into the metadata (RFC 7396): null removes a key, other keys stay."""
    patch = (await read_json(request, MetadataPatch, service.encoders)).root
    return await service.writer.run(care.merge_metadata, service.collection, "text", id, patch)


@router.delete("/texts/{id}", status_code=204)
async def delete_text(id: PathId, service: Service) -> None:
    """Deletes a text."""
    await service.writer.run(care.delete, service.collection, "text", id)


async def _store(id: str | None, request: Request, response: Response, service: Running) -> Stored:
    item = await read_json(request, TextItem, service.encoders)
    text = NewText(item.text, id, item.metadata, adds_metadata=id is None)
    [outcome] = await service.add("text", partial(prepare_texts, service.collection, [text]))
    response.status_code = 201 if outcome.created else 200
    return care.stored(outcome)
