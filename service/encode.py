"""A sentence or a picture to vectors, however it comes."""

import base64
import binascii
import re
from collections.abc import Sequence

from PIL import Image

from model.errors import PictureTooLargeError
from model.matcher import Encoded
from model.picture import decode
from service.collection import Collection
from service.errors import InvalidFieldsError, NotFoundError
from service.settings import Settings

DATA_URL = re.compile(r"\s*data:[^,]{0,256};base64,", re.IGNORECASE)


def encode_texts(
    collection: Collection, texts: Sequence[str], to_store: bool = True
) -> list[Encoded]:
    """Sentences encoded together. to_store: as of the matcher."""
    if not texts:
        return []
    collection.metrics.encoding("text", len(texts))
    return collection.matcher.encode_texts(texts, to_store)


def encode_pictures(
    collection: Collection, pictures: Sequence[Image.Image], to_store: bool = True
) -> list[Encoded]:
    """Upright RGB pictures encoded together. to_store: as of the matcher."""
    if not pictures:
        return []
    collection.metrics.encoding("image", len(pictures))
    return collection.matcher.encode_pictures(pictures, to_store)


def encode_picture(collection: Collection, data: bytes, to_store: bool = False) -> Encoded:
    """One picture's file, some 250 ms. Raises PictureError. to_store: as of the matcher."""
    picture = read_picture(data, collection.settings)
    return encode_pictures(collection, [picture], to_store)[0]


def encode_stored(collection: Collection, image_id: str) -> Encoded:
    """A stored picture as a query, without encoding it again. Raises NotFoundError."""
    record = collection.index.get("image", image_id)
    if record is None:
        raise _missing(image_id)
    return collection.matcher.from_stored(record.vector, record.arrays)


def stored_picture(collection: Collection, image_id: str) -> bytes:
    """The thumbnail of a stored picture. Raises NotFoundError."""
    data = collection.index.thumbnail(image_id)
    if data is None:
        raise _missing(image_id)
    return data


def read_picture(data: bytes, settings: Settings) -> Image.Image:
    """An upright RGB picture within the limits. Raises PictureError."""
    if len(data) > settings.max_picture_bytes:
        raise PictureTooLargeError(
            f"the file has {len(data):,} bytes; the limit is {settings.max_picture_bytes:,}"
        )
    return decode(data, settings.max_picture_pixels, settings.max_picture_side_pixels)


def from_base64(text: str, pointer: str = "/image_base64") -> bytes:
    """The bytes of base64, with or without a `data:` prefix and line breaks.

    pointer: the field at fault, for the InvalidFieldsError that it raises.

    >>> from_base64("data:image/png;base64,aGk=")
    b'hi'
    """
    prefix = DATA_URL.match(text)
    # split is the quickest way past line breaks: a regular expression would hold up every thread.
    bare = "".join(text[prefix.end() if prefix else 0 :].split())
    try:
        return base64.b64decode(bare, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidFieldsError.one(pointer, f"not base64: {error}") from error


def _missing(image_id: str) -> NotFoundError:
    return NotFoundError(f"no picture has the id {image_id!r}", "/image_id")
