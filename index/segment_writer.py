"""Makes a main segment out of views: copies the living rows, trains, tunes, and puts it in place.

A segment's folder appears whole or not at all: it is written under another name, synced, renamed.
"""

import os
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Any, BinaryIO

import numpy as np

from index.errors import ClosedError
from index.inverted import Inverted, build, write
from index.packing import seal
from index.records import Kind
from index.segment import (
    ENDS,
    IDS,
    INDEX,
    MANIFEST,
    NUMBERS,
    VECTORS,
    Manifest,
    manifest_bytes,
    read_manifest,
)
from index.tuning import held_out_rows
from index.vectors import View

_ROWS_A_BLOCK = 8192

# (FAISS index, view of all rows, held-out rows) -> tuned
Tune = Callable[[Any, View, np.ndarray], Inverted]


def write_segment(
    folder: Path,
    kind: Kind,
    fingerprint: str,
    views: Sequence[View],
    tune: Tune,
    stop: threading.Event,
) -> None:
    """Writes a segment of the living rows of the views, whose numbers follow one another.

    folder: where it will appear. tune: finds the lists to probe. Raises OSError, and ClosedError
    soon after `stop` is set; there is no folder then.
    """
    beside = folder.with_name(folder.name + ".new")
    beside.mkdir(parents=True)
    try:
        files = _Files(beside)
        view = _copied(files, views, stop)
        held_out = held_out_rows(view.rows)
        faiss_index = build(view.matrix, held_out, stop)
        with files.new(INDEX) as file:
            write(faiss_index, file.write)
        inverted = tune(faiss_index, view, held_out)
        manifest = Manifest(
            kind=kind,
            fingerprint=fingerprint,
            dimension=view.matrix.shape[1],
            rows=view.rows,
            longest=view.longest,
            nprobe=inverted.nprobe,
            recall=inverted.recall,
            files=files.written,
        )
        with files.new(MANIFEST) as file:
            file.write(seal(manifest_bytes(manifest)))
        sync_folder(beside)
        beside.rename(folder)
        sync_folder(folder.parent)
    except BaseException:
        # On a full disk the space is needed for better things.
        rmtree(beside)
        raise


def write_tuning(folder: Path, inverted: Inverted) -> None:
    """Puts other figures into the manifest of a segment. Raises DamagedError, OSError."""
    changed = replace(read_manifest(folder), nprobe=inverted.nprobe, recall=inverted.recall)
    beside = folder / (MANIFEST + ".new")
    with beside.open("wb") as file:
        file.write(seal(manifest_bytes(changed)))
        file.flush()
        os.fsync(file.fileno())
    beside.rename(folder / MANIFEST)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Makes new names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Summed:
    """A file that sums up what goes into it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.size = 0
        self.checksum = 0

    def write(self, data: bytes | memoryview) -> None:
        """Appends."""
        self._file.write(data)
        self.size += len(data)
        self.checksum = zlib.crc32(data, self.checksum)


class _Files:
    """The files of a new segment. written: length and CRC-32 of each that is complete."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.written: dict[str, tuple[int, int]] = {}

    @contextmanager
    def new(self, name: str) -> Iterator[_Summed]:
        """A file to fill; on leaving it is synced."""
        with (self.folder / name).open("xb") as file:
            summed = _Summed(file)
            yield summed
            file.flush()
            os.fsync(file.fileno())
        self.written[name] = (summed.size, summed.checksum)


def _copied(files: _Files, views: Sequence[View], stop: threading.Event) -> View:
    """Writes vectors, numbers and ids of the living rows, and maps the vectors."""
    numbers: list[np.ndarray] = []
    ids: list[str] = []
    dimension = views[0].matrix.shape[1]
    with files.new(VECTORS) as file:
        for view in views:
            living = np.flatnonzero(view.alive)
            numbers.append(view.numbers[living])
            ids.extend(view.ids[row] for row in living.tolist())
            for start in range(0, len(living), _ROWS_A_BLOCK):
                if stop.is_set():
                    raise ClosedError("the index is closed")
                block = view.matrix[living[start : start + _ROWS_A_BLOCK]]
                file.write(block.astype("<f4", copy=False).tobytes())
    encoded = [item_id.encode() for item_id in ids]
    with files.new(IDS) as file:
        file.write(b"".join(encoded))
    with files.new(ENDS) as file:
        file.write(np.cumsum([len(one) for one in encoded], dtype="<i8").tobytes())
    all_numbers = np.concatenate(numbers)
    with files.new(NUMBERS) as file:
        file.write(all_numbers.astype("<i8").tobytes())
    return View(
        matrix=np.memmap(files.folder / VECTORS, "<f4", "r").reshape(len(ids), dimension),
        numbers=all_numbers,
        alive=np.ones(len(ids), bool),
        ids=ids,
        longest=max(view.longest for view in views),
        epoch=0,
    )
