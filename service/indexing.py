"""Many pictures from disk into a collection: by content, so that a repeat costs next to nothing.

Pictures go in under the SHA-256 of their file. A run that was stopped is simply started again:
what is stored is recognised, what isn't is added.
"""

import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing
from dataclasses import dataclass, field
from typing import Protocol

from service.captions import CaptionFile, Captions
from service.fields import without_surrogates
from service.ingest import NewPicture
from service.photos import PhotoFile

NO_CAPTIONS = Captions((), {})


@dataclass(frozen=True)
class Added:
    """What became of one file: `new`, `known` (its content was there), or `failed`."""

    name: str
    outcome: str
    id: str | None = None
    error: str | None = None


@dataclass
class Report:
    """What became of all of them.

    captioned: files that the caption file names. errors: pairs of file and words.
    """

    files: int
    captioned: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    errors: list[tuple[str, str]] = field(default_factory=list)

    def note(self, added: Added) -> None:
        """Adds one file's outcome."""
        self.counts[added.outcome] += 1
        if added.error is not None:
            self.errors.append((added.name, added.error))


class Destination(Protocol):
    """Where pictures go: a folder that this process has open, or a running service.

    finishes: whether a run that Ctrl-C stops has to wait for the batches that are being added.
    """

    workers: int
    batch: int
    finishes: bool

    def add(self, named: Sequence[tuple[str, NewPicture]]) -> list[Added]:
        """Stores pictures with their captions; called from several threads at once."""
        ...


def index_photos(
    destination: Destination,
    photos: Sequence[PhotoFile],
    captions: CaptionFile | None,
    advance: Callable[[int, int], None],
) -> Report:
    """Adds every photo that can be read; one that can't is in the report, not a stop.

    Batches are worked on by several threads, each with one in memory.
    """
    report = Report(len(photos))
    if captions is not None:
        report.captioned = sum(photo.path in captions.pictures for photo in photos)
        report.errors += captions.errors
    size = destination.batch
    batches = (photos[start : start + size] for start in range(0, len(photos), size))
    with closing(_in_parallel(destination, batches, captions)) as outcomes:
        for added in outcomes:
            for one in added:
                report.note(one)
            advance(report.counts.total(), len(photos))
    return report


def _in_parallel(
    destination: Destination,
    batches: Iterator[Sequence[PhotoFile]],
    captions: CaptionFile | None,
) -> Generator[list[Added]]:
    running: set[Future[list[Added]]] = set()
    try:
        for batch in batches:
            running.add(_begun(destination, batch, captions))
            if len(running) == destination.workers:
                done, running = wait(running, return_when=FIRST_COMPLETED)
                yield from (future.result() for future in done)
        for future in running:
            yield future.result()
    except BaseException as error:
        # Requests that are under way end, one way or the other; Ctrl-C doesn't wait for that.
        if destination.finishes or isinstance(error, Exception):
            wait(running)
        raise


def _begun(
    destination: Destination, batch: Sequence[PhotoFile], captions: CaptionFile | None
) -> Future[list[Added]]:
    future: Future[list[Added]] = Future()

    def work() -> None:
        try:
            future.set_result(_add(destination, batch, captions))
        except BaseException as error:  # noqa: BLE001 - raised where the result is asked for
            future.set_exception(error)

    # One that waits for a service may take minutes, so the process doesn't wait for it to end. One
    # that computes has to be waited for, also where Ctrl-C came as it began, or torch aborts.
    threading.Thread(target=work, name="index", daemon=not destination.finishes).start()
    return future


def _add(
    destination: Destination, photos: Sequence[PhotoFile], captions: CaptionFile | None
) -> list[Added]:
    readable: list[tuple[str, NewPicture]] = []
    unreadable: list[Added] = []
    for photo in photos:
        try:
            data = photo.path.read_bytes()
        except OSError as error:
            unreadable.append(Added(photo.name, "failed", error=error.strerror or str(error)))
            continue
        told = NO_CAPTIONS if captions is None else captions.pictures.get(photo.path, NO_CAPTIONS)
        metadata = {"file": without_surrogates(photo.name), **told.metadata}
        sentences = told.sentences or None
        picture = NewPicture(data, None, metadata, sentences, adds_metadata=True)
        readable.append((photo.name, picture))
    return unreadable + (destination.add(readable) if readable else [])
