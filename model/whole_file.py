"""Files that are there whole or not at all, whatever ends the process that writes them."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def whole_file(file: Path, shared: bool = False) -> Iterator[BinaryIO]:
    """A stream beside the file, which takes its place once everything is on disk.

    shared: several processes may make the file at once, and each one's is whole. Without it a kill
    leaves one unfinished file at most, which the next start overwrites. Where writing fails, what
    stood there before stays. Raises OSError.
    """
    fresh = file.with_name(f"{file.name}.{os.getpid()}.new" if shared else f"{file.name}.new")
    try:
        with fresh.open("wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(file)
    finally:
        fresh.unlink(missing_ok=True)


def write_whole(file: Path, text: str) -> None:
    """Text as UTF-8, by the same way. Raises OSError."""
    with whole_file(file) as stream:
        stream.write(text.encode("utf-8"))
