"""A main segment: an immutable set of items with its FAISS index, memory-mapped from a folder.

    vectors     (rows, d) float32, the exact vectors, for scores, few matches and the next build
    numbers     (rows,) int64, ascending, the catalog's number of each row
    ids         UTF-8, one after the other
    ends        (rows,) int64, where each id ends
    index       FAISS's own format (`inverted.py`)
    manifest    JSON and a CRC-32: what it is of, and length and CRC-32 of every other file

Derived, and never the only copy of anything. The catalog names the segment in use by its token.
"""

import json
import mmap
import threading
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np

from index.errors import DamagedError
from index.inverted import Inverted, read
from index.packing import unseal
from index.records import Kind
from index.vectors import View

VERSION = 1
MANIFEST, VECTORS, NUMBERS, IDS, ENDS, INDEX = (
    "manifest",
    "vectors",
    "numbers",
    "ids",
    "ends",
    "index",
)
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, eq=False)
class Segment:
    """An open segment. view: all of its rows, alive."""

    kind: Kind
    token: str
    view: View
    inverted: Inverted
    bytes_on_disk: int
    mapped: mmap.mmap
    reads: "Reads" = field(default_factory=lambda: Reads())

    def let_go(self) -> None:
        """Gives back the memory of vectors that were read; they are mapped again when needed.

        After a scan of all of them, which would otherwise count as this process's memory for good.
        """
        self.mapped.madvise(mmap.MADV_DONTNEED)

    def was_read(self, rows: int) -> None:
        """Tells that a search read so many vectors; now and then they are let go of."""
        if self.reads.are_many(rows):
            self.let_go()


class Reads:
    """Counts the vectors that were read since they were last let go of.

    Who holds what: `_rows` is counted under `_lock` by whatever thread searches. Letting go takes
    no lock: a search that reads meanwhile gets its pages again from the system's cache.
    """

    # A vector that is read brings its neighbours with it, as the system maps what it has cached
    # around a page: 1.2 to 2 MB a vector were seen on Linux 6.18. To let go takes a tenth of a
    # millisecond, so it is done after every search for a hundred.
    MOST = 128

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows = 0

    def are_many(self, rows: int) -> bool:
        """Counts `rows` more; whether it is time to let go, and then counts from 0 again."""
        with self._lock:
            self._rows += rows
            if self._rows < self.MOST:
                return False
            self._rows = 0
            return True


@dataclass(frozen=True)
class Manifest:
    """What a segment says of itself. files: length and CRC-32 of each."""

    kind: Kind
    fingerprint: str
    dimension: int
    rows: int
    longest: float
    nprobe: int
    recall: float | None
    files: dict[str, tuple[int, int]]


class IdColumn(Sequence[str]):
    """Ids in two mapped arrays; each is decoded when it is asked for."""

    def __init__(self, text: np.ndarray, ends: np.ndarray) -> None:
        """text: (bytes,) uint8. ends: (rows,) int64."""
        self._text = text
        self._ends = ends

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        start = self._ends[row - 1] if row > 0 else 0
        return self._text[start : self._ends[row]].tobytes().decode()


def open_segment(folder: Path, token: str, fingerprint: str, dimension: int) -> Segment:
    """Maps a segment that `check_files` has passed, or that was just written.

    Raises DamagedError when it is not of this model and dimension, OSError.
    """
    manifest = read_manifest(folder)
    if (manifest.fingerprint, manifest.dimension) != (fingerprint, dimension):
        raise DamagedError(f"{folder}: made by model {manifest.fingerprint}, not {fingerprint}")
    vectors = _mapped(folder / VECTORS)
    rows = manifest.rows
    text, ends = (np.fromfile(folder / IDS, np.uint8), np.fromfile(folder / ENDS, "<i8"))
    view = View(
        matrix=np.frombuffer(vectors, "<f4").reshape(rows, dimension),
        numbers=np.fromfile(folder / NUMBERS, "<i8"),
        alive=np.ones(rows, bool),
        ids=IdColumn(text, ends),
        longest=manifest.longest,
        epoch=0,
    )
    inverted = Inverted(read(folder / INDEX), manifest.nprobe, manifest.recall)
    size = sum(size for size, _ in manifest.files.values())
    return Segment(manifest.kind, token, view, inverted, size, vectors)


def check_files(folder: Path) -> None:
    """Reads every file. Raises DamagedError unless all are as they were written."""
    for name, (size, checksum) in read_manifest(folder).files.items():
        path = folder / name
        found, crc = 0, 0
        try:
            # Read and not mapped, so that it doesn't count as memory of this process.
            with path.open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    found += len(block)
                    crc = zlib.crc32(block, crc)
        except FileNotFoundError as error:
            raise DamagedError(f"{path} is missing") from error
        if (found, crc) != (size, checksum):
            raise DamagedError(f"{path}: the checksum of {found:,} stored bytes doesn't match")


def read_manifest(folder: Path) -> Manifest:
    """What the segment says of itself. Raises DamagedError."""
    path = folder / MANIFEST
    try:
        body = json.loads(bytes(unseal(path.read_bytes(), str(path))))
    except FileNotFoundError as error:
        raise DamagedError(f"{path} is missing") from error
    if body.pop("format") != _format():
        raise DamagedError(f"{path}: a format of another version")
    files = {name: (size, crc) for name, (size, crc) in body.pop("files").items()}
    return Manifest(files=files, **body)


def manifest_bytes(manifest: Manifest) -> bytes:
    """The JSON of a manifest."""
    fields: dict[str, Any] = {"format": _format(), **vars(manifest)}
    return json.dumps(fields).encode()


def _format() -> str:
    return f"sightline segment {VERSION}"


def _mapped(path: Path) -> mmap.mmap:
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
