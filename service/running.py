"""The running service: its collection, and the pools in which all its work is done.

Who runs where. The event loop parses, validates and sends. `encoders` decode pictures and run the
model's towers, for the queries that wait at once (`sentences`, `pictures`); `searchers` search,
fetch, re-rank, and read single items; `writer` is one thread, so that writes are in one order and a
read followed by a write there is atomic.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from PIL.Image import Image

from index.records import Kind
from model.matcher import Encoded
from service.batcher import Batcher
from service.collection import Collection, open_collection
from service.draining import Drain
from service.encode import encode_pictures, encode_texts
from service.ingest import Outcome, Prepared, store
from service.log_queue import LogQueue
from service.pool import BoundedPool
from service.queries import Direction
from service.question import Given, has_picture, question_of, read_question
from service.remembering import Remembering
from service.results import answer, to_json
from service.search import Found, ask_of, search
from service.settings import Settings
from service.tracing import tracing

if TYPE_CHECKING:
    from service.spans import Spans


@dataclass(frozen=True)
class Running:
    """What hangs on the app while it serves.

    spans: None where nothing is traced. log: None where somebody else writes it.
    """

    collection: Collection
    encoders: BoundedPool
    sentences: Remembering[str, Encoded]
    pictures: Batcher[Image, Encoded]
    searchers: BoundedPool
    writer: BoundedPool
    spans: "Spans | None" = None
    log: LogQueue | None = None
    drain: Drain = field(default_factory=Drain)
    started: float = field(default_factory=time.monotonic)

    @property
    def settings(self) -> Settings:
        """The settings that the service started with."""
        return self.collection.settings

    @property
    def pools(self) -> dict[str, BoundedPool]:
        """The pools by what they do."""
        return {"encoding": self.encoders, "searching": self.searchers, "writing": self.writer}

    async def search(
        self, direction: Direction, given: Given, upload: bytes | None = None
    ) -> bytes:
        """One query, one way through; the answer as JSON, since big ones take a while to write.

        upload: the picture's file of a form.
        """
        collection = self.collection
        ask = ask_of(given, collection, time.perf_counter())
        if has_picture(given, upload):
            unencoded = await self.encoders.run(read_question, collection, given, upload)
        else:
            unencoded = read_question(collection, given)
        picture = None
        if unencoded.picture is not None:
            picture = await self.pictures.run(unencoded.picture)
        sentences = await asyncio.gather(*map(self.sentences.run, unencoded.sentences))
        encode_s = time.perf_counter() - ask.begun

        def find() -> tuple[Found, bytes]:
            question = question_of(
                collection, direction, given, upload, unencoded, sentences, picture
            )
            found = search(collection, question, ask, encode_s)
            return found, to_json(answer(collection, question, ask, found))

        found, body = await self.searchers.run(find)
        collection.metrics.search(
            direction,
            {**asdict(found.took), "total": time.perf_counter() - ask.begun},
            found.reranked,
            found.degraded,
            found.no_match,
        )
        if self.spans is not None:
            self.spans.search(direction, ask.begun, found)
        return body

    async def add(self, kind: Kind, prepare: Callable[[], list[Prepared]]) -> list[Outcome]:
        """Prepares items off the event loop, then writes them in one transaction."""
        prepared = await self.encoders.run(prepare)
        return await self.writer.run(store, self.collection, kind, prepared)


@contextmanager
def run(settings: Settings, log: LogQueue | None = None) -> Iterator[Running]:
    """Opens everything and closes it in order: first the work, then what it works on.

    log: where lines are written, if that may lose some. Raises what `open_collection` raises, and
    StartError when traces are wanted and can't be made.
    """
    with tracing() as spans, open_collection(settings) as collection:
        running = running_on(collection, spans, log)
        try:
            yield running
        finally:
            for pool in running.pools.values():
                pool.close()


def running_on(
    collection: Collection, spans: "Spans | None" = None, log: LogQueue | None = None
) -> Running:
    """A service with idle pools on an open collection."""
    settings, retry = collection.settings, collection.settings.retry_after_s
    encoders = BoundedPool("encoding", settings.encoder_workers, settings.encoder_queue, retry)
    # On a CPU a batch of pictures takes as long as one after the other, and all wait for all.
    pictures_at_once = settings.encode_batch_pictures if collection.device == "cuda" else 1
    sentences = Batcher(
        encoders, partial(encode_texts, collection, to_store=False), settings.encode_batch_queries
    )
    return Running(
        collection=collection,
        encoders=encoders,
        sentences=Remembering(sentences.run, settings.remembered_queries),
        pictures=Batcher(
            encoders, partial(encode_pictures, collection, to_store=False), pictures_at_once
        ),
        searchers=BoundedPool("searching", settings.search_workers, settings.search_queue, retry),
        writer=BoundedPool("writing", 1, settings.write_queue, retry),
        spans=spans,
        log=log,
    )


async def running_of(request: Request) -> Running:
    """The running service behind a request."""
    running: Running = request.app.state.running
    return running


Service = Annotated[Running, Depends(running_of)]
