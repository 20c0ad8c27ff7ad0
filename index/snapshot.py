"""A copy of the vectors in one file, for quick starts. Derived: never the only copy of anything.

A file is a row of blocks, each `length u64 | body | CRC-32`. The first body is a JSON header that
names the state of the catalog that was copied; each other holds up to 8,192 rows:
`ids' bytes u32 | ids, UTF-8, one a line | numbers, int64 | vectors, float32`. The file appears
whole or not at all (written beside, fsynced, renamed, folder fsynced), and is used only for the
catalog's own state.
"""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np

from index.errors import DamagedError
from index.packing import seal, unseal
from index.reads import Stamp, VectorPart
from index.records import KINDS, Kind
from index.vectors import View

FILE_NAME = "vectors.snapshot"
VERSION = 2
_ROWS_A_BLOCK = 8192
_LENGTH_BYTES = 8

log = logging.getLogger(__name__)


class Snapshot:
    """The snapshot file of a data directory. Its methods raise OSError when the disk refuses."""

    def __init__(self, folder: Path, fingerprint: str, dimension: int) -> None:
        self._file = folder / FILE_NAME
        self._fingerprint = fingerprint
        self._dimension = dimension

    def save(self, stamp: Stamp, views: Mapping[Kind, View]) -> None:
        """Replaces the file by one of this state."""
        beside = self._file.with_suffix(".new")
        try:
            with beside.open("wb") as file:
                counts = {kind: views[kind].count for kind in KINDS}
                _write_block(file, self._header(stamp, counts))
                for kind in KINDS:
                    for body in _blocks(views[kind]):
                        _write_block(file, body)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(self._file)
        except BaseException:
            # On a full disk the space is needed for better things.
            beside.unlink(missing_ok=True)
            raise
        sync_folder(self._file.parent)

    def parts(self, counts: Mapping[Kind, int]) -> Iterator[VectorPart]:
        """All ids and vectors of a file that `is_of` the state with these counts.

        Raises DamagedError as soon as a block is not what was written.
        """
        with self._file.open("rb") as file:
            _read_block(file, self._file)
            for kind in KINDS:
                left = counts[kind]
                while left > 0:
                    part = self._part(kind, _read_block(file, self._file))
                    yield part
                    left -= len(part.ids)

    def remove(self) -> None:
        """Deletes the file, if there is one."""
        self._file.unlink(missing_ok=True)

    def bytes_on_disk(self) -> int:
        """Bytes of the file; 0 without one."""
        return self._file.stat().st_size if self._file.exists() else 0

    def is_of(self, stamp: Stamp, counts: Mapping[Kind, int]) -> bool:
        """Whether there is a file and its header names this state."""
        if not self._file.exists():
            return False
        try:
            with self._file.open("rb") as file:
                return _read_block(file, self._file) == self._header(stamp, counts)
        except DamagedError as error:
            log.warning("the header of the vectors' snapshot is damaged: %s", error)
            return False

    def _header(self, stamp: Stamp, counts: Mapping[Kind, int]) -> bytes:
        header = {
            "format": f"sightline vectors {VERSION}",
            "fingerprint": self._fingerprint,
            "dimension": self._dimension,
            "generation": stamp.generation,
            "token": stamp.token.hex(),
            "counts": {kind: counts[kind] for kind in KINDS},
        }
        return json.dumps(header).encode()

    def _part(self, kind: Kind, body: memoryview) -> VectorPart:
        split = 4 + int.from_bytes(body[:4], "little")
        ids = bytes(body[4:split]).decode().split("\n")
        numbers = np.frombuffer(body[split:], "<i8", len(ids))
        vectors = np.frombuffer(body[split + numbers.nbytes :], "<f4")
        return VectorPart(kind, numbers, ids, vectors.reshape(len(ids), self._dimension))


def sync_folder(folder: Path) -> None:
    """Makes new names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _blocks(view: View) -> Iterator[bytes]:
    living = np.flatnonzero(view.alive)
    for start in range(0, len(living), _ROWS_A_BLOCK):
        rows = living[start : start + _ROWS_A_BLOCK]
        # Ids hold no line breaks: the door refuses control characters.
        ids = "\n".join(view.ids[row] for row in rows).encode()
        numbers = view.numbers[rows].astype("<i8").tobytes()
        yield (
            len(ids).to_bytes(4, "little")
            + ids
            + numbers
            + view.matrix[rows].astype("<f4").tobytes()
        )


def _write_block(file: BinaryIO, body: bytes) -> None:
    blob = seal(body)
    file.write(len(blob).to_bytes(_LENGTH_BYTES, "little"))
    file.write(blob)


def _read_block(file: BinaryIO, path: Path) -> memoryview:
    length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
    # A damaged length must not ask for more memory than the file has bytes.
    if length > os.fstat(file.fileno()).st_size:
        raise DamagedError(f"{path}: a block claims {length:,} bytes, more than the file has")
    return unseal(file.read(length), str(path))
