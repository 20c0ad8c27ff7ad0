"""Pictures, sentences and tags of the collection."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal

from sightline_client.answers import BulkResponse, Item, Page, Stored, Tags
from sightline_client.call import Call, item_path, listed, model_reader, read_nothing, read_picture
from sightline_client.call import without_none as given
from sightline_client.picture import PictureSource, Upload, upload_of

Metadata = Mapping[str, Any]
Kind = Literal["image", "text"]


@dataclass(frozen=True)
class NewImage:
    """A picture of a bulk upload.

    Without an id it is stored under its file's name without the ending, or under its SHA-256 if
    the file has no name.
    """

    image: PictureSource
    id: str | None = None
    metadata: Metadata | None = None


@dataclass(frozen=True)
class NewText:
    """A sentence of a bulk upload; without an id it is stored under its SHA-256."""

    text: str
    id: str | None = None
    metadata: Metadata | None = None


def put_image(
    id: str,
    image: PictureSource,
    *,
    metadata: Metadata | None = None,
    captions: Sequence[str] | None = None,
) -> Call[Stored]:
    """Stores a picture under an id of yours, in place of what was there."""
    return _store_image("PUT", item_path("images", id), image, metadata, captions)


def post_image(
    image: PictureSource,
    *,
    metadata: Metadata | None = None,
    captions: Sequence[str] | None = None,
) -> Call[Stored]:
    """Stores a picture under the SHA-256 of its file, so that a repeat is no duplicate."""
    return _store_image("POST", "/images", image, metadata, captions)


def bulk_images(images: Sequence[NewImage]) -> Call[BulkResponse]:
    """Stores many pictures; one that can't be read doesn't fail the rest."""
    uploads = [upload_of(new.image) for new in images]
    items = [
        given({"id": _bulk_id(new, upload), "metadata": new.metadata})
        for new, upload in zip(images, uploads, strict=True)
    ]
    return Call(
        "POST",
        "/images:bulk",
        model_reader(BulkResponse),
        form={"items": json.dumps(items)},
        files=[("images", upload.part) for upload in uploads],
        items=len(uploads),
    )


def get_image(id: str) -> Call[Item]:
    """What is stored about a picture."""
    return Call("GET", item_path("images", id), model_reader(Item))


def thumbnail(id: str) -> Call[bytes]:
    """A small JPEG of a picture."""
    return Call("GET", item_path("images", id, "/thumbnail"), read_picture)


def list_images(*, cursor: str | None = None, limit: int | None = None) -> Call[Page]:
    """The pictures in order of id."""
    return _list("/images", cursor, limit)


def patch_image_metadata(id: str, patch: Metadata) -> Call[Item]:
    """Merges into a picture's metadata (RFC 7396): None removes a key, other keys stay."""
    return Call("PATCH", item_path("images", id, "/metadata"), model_reader(Item), json=patch)


def delete_image(id: str) -> Call[None]:
    """Deletes a picture; texts that came with it stay."""
    return Call("DELETE", item_path("images", id), read_nothing, repeatable=False)


def put_text(id: str, text: str, *, metadata: Metadata | None = None) -> Call[Stored]:
    """Stores a sentence under an id of yours, in place of what was there."""
    body = given({"text": text, "metadata": metadata})
    return Call("PUT", item_path("texts", id), model_reader(Stored), json=body)


def post_text(text: str, *, metadata: Metadata | None = None) -> Call[Stored]:
    """Stores a sentence under its SHA-256, so that a repeat is no duplicate."""
    body = given({"text": text, "metadata": metadata})
    return Call("POST", "/texts", model_reader(Stored), json=body)


def bulk_texts(texts: Sequence[NewText]) -> Call[BulkResponse]:
    """Stores many sentences; one that is wrong doesn't fail the rest."""
    items = [given({"id": new.id, "text": new.text, "metadata": new.metadata}) for new in texts]
    return Call(
        "POST",
        "/texts:bulk",
        model_reader(BulkResponse),
        json={"items": items},
        items=len(items),
    )


def get_text(id: str) -> Call[Item]:
    """What is stored about a text."""
    return Call("GET", item_path("texts", id), model_reader(Item))


def list_texts(*, cursor: str | None = None, limit: int | None = None) -> Call[Page]:
    """The texts in order of id."""
    return _list("/texts", cursor, limit)


def patch_text_metadata(id: str, patch: Metadata) -> Call[Item]:
    """Merges into a text's metadata (RFC 7396): None removes a key, other keys stay."""
    return Call("PATCH", item_path("texts", id, "/metadata"), model_reader(Item), json=patch)


def delete_text(id: str) -> Call[None]:
    """Deletes a text."""
    return Call("DELETE", item_path("texts", id), read_nothing, repeatable=False)


def tags(*, kind: Kind | None = None, filter: Mapping[str, Any] | None = None) -> Call[Tags]:
    """Tags of the stored pictures, or of the texts, most frequent first."""
    words = None if filter is None else json.dumps(filter)
    params = given({"kind": kind, "filter": words})
    return Call("GET", "/tags", model_reader(Tags), params=params)


def _store_image(
    method: Any,
    path: str,
    image: PictureSource,
    metadata: Metadata | None,
    captions: Sequence[str] | None,
) -> Call[Stored]:
    sentences = None if captions is None else listed("captions", captions)
    fields = given({"metadata": metadata, "captions": sentences})
    return Call(
        method,
        path,
        model_reader(Stored),
        form={name: json.dumps(value) for name, value in fields.items()},
        files=[("image", upload_of(image).part)],
    )


def _bulk_id(new: NewImage, upload: Upload) -> str:
    # The service could take it from the form, which spells some characters in another way.
    return new.id if new.id is not None else PurePath(upload.name).stem or upload.hash


def _list(path: str, cursor: str | None, limit: int | None) -> Call[Page]:
    return Call("GET", path, model_reader(Page), params=given({"cursor": cursor, "limit": limit}))
