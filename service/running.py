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
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated

from fastapi import Depends, Request
from PIL.Image import Image

from index.records import Kind
from model.matcher import Encoded
from service.batcher import Batcher
from service.collection import Collection, open_collection
from service.ingest import Outcome, Prepared, store
from service.pool import BoundedPool
from service.queries import Direction
from service.question import Given, has_picture, question_of, read_question
from service.results import answer, to_json
from service.search import ask_of, search
from service.settings import Settings


@dataclass(frozen=True)
class Running:
    """What hangs on the app while it serves."""

    collection: Collection
    encoders: BoundedPool
    sentences: Batcher[str, Encoded]
    pictures: Batcher[Image, Encoded]
    searchers: BoundedPool
    writer: BoundedPool
    started: float = field(default_factory=time.monotonic)

    @property
    def settings(self) -> Settings:
        """The settings that the service started with."""
        return self.collection.settings

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

        def find() -> bytes:
            question = question_of(
                collection, direction, given, upload, unencoded, sentences, picture
            )
            found = search(collection, question, ask, encode_s)
            return to_json(answer(collection, question, ask, found))

        return await self.searchers.run(find)

    async def add(self, kind: Kind, prepare: Callable[[], list[Prepared]]) -> list[Outcome]:
        """Prepares items off the event loop, then writes them in one transaction."""
        prepared = await self.encoders.run(prepare)
        return await self.writer.run(store, self.collection, kind, prepared)


@contextmanager
def run(settings: Settings) -> Iterator[Running]:
    """Opens everything and closes it in order: first the work, then what it works on."""
    with open_collection(settings) as collection:
        retry = settings.retry_after_s
        encoders = BoundedPool("encoding", settings.encoder_workers, settings.encoder_queue, retry)
        matcher = collection.matcher
        # On a CPU a batch of pictures takes as long as one after the other, and all wait for all.
        together = settings.encode_batch_pictures if collection.device == "cuda" else 1
        running = Running(
            collection,
            encoders,
            Batcher(
                encoders,
                partial(matcher.encode_texts, to_store=False),
                settings.encode_batch_queries,
            ),
            Batcher(encoders, partial(matcher.encode_pictures, to_store=False), together),
            BoundedPool("searching", settings.search_workers, settings.search_queue, retry),
            BoundedPool("writing", 1, settings.write_queue, retry),
        )
        try:
            yield running
        finally:
            for pool in (running.encoders, running.searchers, running.writer):
                pool.close()


def running_of(request: Request) -> Running:
    """The running service behind a request."""
    running: Running = request.app.state.running
    return running


Service = Annotated[Running, Depends(running_of)]
