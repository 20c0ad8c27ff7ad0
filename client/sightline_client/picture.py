"""Pictures as callers have them: a path, bytes, or an open file."""

import base64
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

PictureSource = str | os.PathLike[str] | bytes | BinaryIO
"""A path, the bytes of a picture's file, or a file that is open for reading bytes."""

UNNAMED = "picture"


@dataclass(frozen=True)
class Upload:
    """A picture's file in memory, so that a repeated request sends the same. name: "" if none."""

    data: bytes
    name: str = ""

    @property
    def part(self) -> tuple[str, bytes]:
        """What a form sends."""
        return self.name or UNNAMED, self.data

    @property
    def base64(self) -> str:
        """The bytes in base64."""
        return base64.b64encode(self.data).decode("ascii")

    @property
    def hash(self) -> str:
        """SHA-256 in hexadecimal: the id under which the service stores a picture without one."""
        return hashlib.sha256(self.data).hexdigest()


def upload_of(source: PictureSource) -> Upload:
    """Reads a picture. Raises OSError, or TypeError for a file that was opened for text."""
    if isinstance(source, bytes | bytearray | memoryview):
        return Upload(bytes(source))
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        return Upload(path.read_bytes(), path.name)
    if not isinstance(source.read(0), bytes):
        raise TypeError("a picture's file is opened for bytes: open(path, 'rb')")
    data = source.read()
    name = getattr(source, "name", "")
    return Upload(data, Path(name).name if isinstance(name, str) else "")


def data_url(source: PictureSource) -> str:
    """A picture as the `data:` URL that `embeddings` and `rerank` take.

    The service looks at the bytes, not at the type, so the type is a general one.

    >>> data_url(b"not really a picture")
    'data:application/octet-stream;base64,bm90IHJlYWxseSBhIHBpY3R1cmU='
    """
    return f"data:application/octet-stream;base64,{upload_of(source).base64}"
