"""The folder of main segments in a data directory."""

import logging
import secrets
import threading
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import rmtree

from index.connections import translated
from index.inverted import Inverted
from index.records import Kind
from index.segment import Segment, check_files, open_segment
from index.segment_writer import Tune, write_segment, write_tuning
from index.vectors import View

FOLDER_NAME = "segments"
# Of the first format: a copy of all vectors, which segments have taken the place of.
_OLD_SNAPSHOT = "vectors.snapshot"

log = logging.getLogger(__name__)


class Segments:
    """Writes, opens and removes segments. What it raises of the disk is StorageError."""

    def __init__(self, folder: Path, fingerprint: str, dimension: int) -> None:
        self._folder = folder / FOLDER_NAME
        self._fingerprint = fingerprint
        self._dimension = dimension

    def open(self, token: str) -> Segment:
        """An existing segment, every byte of it checked. Raises DamagedError, StorageError."""
        with translated(self._folder):
            check_files(self._folder / token)
            return self._opened(token)

    def check(self, token: str) -> None:
        """Reads a segment's files again. Raises DamagedError, StorageError."""
        with translated(self._folder):
            check_files(self._folder / token)

    def write(
        self, kind: Kind, views: Sequence[View], tune: Tune, stop: threading.Event
    ) -> Segment:
        """A new segment of the living rows of the views. Raises StorageError and ClosedError."""
        token = f"{kind}-{secrets.token_hex(8)}"
        with translated(self._folder):
            write_segment(self._folder / token, kind, self._fingerprint, views, tune, stop)
            return self._opened(token)

    def retune(self, segment: Segment, inverted: Inverted) -> Segment:
        """The same segment with other figures of its index, here and for the next opening.

        Raises DamagedError, StorageError.
        """
        with translated(self._folder):
            write_tuning(self._folder / segment.token, inverted)
        return replace(segment, inverted=inverted)

    def remove_all_but(self, tokens: Collection[str]) -> None:
        """Deletes other segments and what a killed build has left. Mapped files stay readable."""
        with translated(self._folder):
            (self._folder.parent / _OLD_SNAPSHOT).unlink(missing_ok=True)
            if not self._folder.exists():
                return
            for folder in self._folder.iterdir():
                if folder.name not in tokens:
                    log.info("removing the unused segment %s", folder.name)
                    rmtree(folder)

    def _opened(self, token: str) -> Segment:
        return open_segment(self._folder / token, token, self._fingerprint, self._dimension)
