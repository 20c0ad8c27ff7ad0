"""Files of a form to bytes, and what names them."""

from pathlib import PurePosixPath
from typing import Any

from starlette.datastructures import UploadFile

from model.errors import PictureTooLargeError
from service.errors import InvalidFieldsError
from service.settings import Settings


async def picture_bytes(part: Any, pointer: str, settings: Settings) -> bytes:
    """The bytes of a form's file. Raises InvalidFieldsError or PictureTooLargeError."""
    if not isinstance(part, UploadFile):
        raise InvalidFieldsError.one(pointer, "expected one file")
    if part.size is not None and part.size > settings.max_picture_bytes:
        raise PictureTooLargeError(
            f"the file has {part.size:,} bytes; the limit is {settings.max_picture_bytes:,}"
        )
    return await part.read()


def stem_of(part: UploadFile) -> str:
    """A file's name without its folders and its ending.

    >>> stem_of(UploadFile(file=None, filename="holiday/beach 1.large.jpg"))
    'beach 1.large'
    """
    return PurePosixPath((part.filename or "").replace("\\", "/")).stem
