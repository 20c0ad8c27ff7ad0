"""The client for asyncio, method for method that of `client.py`."""

import asyncio
from types import TracebackType
from typing import Self, TypeVar

import httpx

from sightline_client import collection, exchange, operations, searches
from sightline_client.binding import awaiting, awaiting_items, awaiting_pages
from sightline_client.call import Call
from sightline_client.errors import SightlineError, UnreachableError, transport_error
from sightline_client.retry import Patience, Retry
from sightline_client.settings import RETRY, TIMEOUT_S, URL, http_settings, timeout_of

T = TypeVar("T")


class AsyncClient:
    """A service at a URL, for many tasks at once; close it, or use it in an `async with`.

    Takes what `Client` takes and raises what it raises. Methods whose names end in `_pages`, and
    `images` and `texts`, are for `async for`; all others are awaited. All within one event loop:
    in another one it raises SightlineError.
    """

    def __init__(
        self,
        url: str = URL,
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retry: Retry = RETRY,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        settings = http_settings(url, api_key, timeout_s)
        self.url: str = settings["base_url"]
        self._loop: asyncio.AbstractEventLoop | None = None
        self._retry = retry
        self._timeout_s = timeout_s
        self._http = httpx.AsyncClient(**settings, transport=transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """The answer of a call, sent again as long as that is worth it."""
        self._stay_in(asyncio.get_running_loop())
        patience = Patience(self._retry, call)
        while True:
            try:
                return call.answer(await self._response(call))
            except SightlineError as error:
                wait = patience.wait_after(error)
            await asyncio.sleep(wait)

    def _stay_in(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop not in (None, loop):
            raise SightlineError(
                "an AsyncClient belongs to the event loop of its first request; make one inside "
                "each asyncio.run"
            )
        self._loop = loop

    async def _response(self, call: Call[T]) -> httpx.Response:
        try:
            return await self._http.request(
                **call.arguments, timeout=timeout_of(call, self._timeout_s)
            )
        except httpx.TransportError as error:
            raise transport_error(self.url, error) from error
        except (httpx.InvalidURL, httpx.RequestError) as error:
            raise UnreachableError(f"{self.url}: {error}", maybe_done=True) from error

    text_to_image = awaiting(searches.text_to_image)
    text_to_image_pages = awaiting_pages(searches.text_to_image)
    text_to_text = awaiting(searches.text_to_text)
    text_to_text_pages = awaiting_pages(searches.text_to_text)
    image_to_text = awaiting(searches.image_to_text)
    image_to_text_pages = awaiting_pages(searches.image_to_text)
    image_to_image = awaiting(searches.image_to_image)
    image_to_image_pages = awaiting_pages(searches.image_to_image)
    batch = awaiting(searches.batch)

    put_image = awaiting(collection.put_image)
    post_image = awaiting(collection.post_image)
    bulk_images = awaiting(collection.bulk_images)
    get_image = awaiting(collection.get_image)
    thumbnail = awaiting(collection.thumbnail)
    list_images = awaiting(collection.list_images)
    images = awaiting_items(collection.list_images)
    patch_image_metadata = awaiting(collection.patch_image_metadata)
    delete_image = awaiting(collection.delete_image)
    put_text = awaiting(collection.put_text)
    post_text = awaiting(collection.post_text)
    bulk_texts = awaiting(collection.bulk_texts)
    get_text = awaiting(collection.get_text)
    list_texts = awaiting(collection.list_texts)
    texts = awaiting_items(collection.list_texts)
    patch_text_metadata = awaiting(collection.patch_text_metadata)
    delete_text = awaiting(collection.delete_text)
    tags = awaiting(collection.tags)

    embeddings = awaiting(exchange.embeddings)
    rerank = awaiting(exchange.rerank)

    stats = awaiting(operations.stats)
    health = awaiting(operations.health)
    readiness = awaiting(operations.readiness)
    metrics = awaiting(operations.metrics)
