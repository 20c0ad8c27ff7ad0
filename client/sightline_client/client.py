"""The client that waits for its answers."""

import time
from types import TracebackType
from typing import Self, TypeVar

import httpx

from sightline_client import collection, exchange, operations, searches
from sightline_client.binding import waiting, waiting_items, waiting_pages
from sightline_client.call import Call
from sightline_client.errors import SightlineError, UnreachableError, transport_error
from sightline_client.retry import Patience, Retry
from sightline_client.settings import RETRY, TIMEOUT_S, URL, http_settings, timeout_of

T = TypeVar("T")


class Client:
    """A service at a URL. May be used from several threads; close it, or use it in a `with`.

    url: where the service answers; `user:password@` in it is for a proxy, and not in `client.url`.
    api_key: sent as `Authorization: Bearer`, or beside a user as `X-API-Key`. timeout_s: of each
    step of a request: connecting, sending, waiting for a byte. The answer to many items is waited
    for two seconds longer with each. retry: what is sent again, and how often. transport: how httpx
    sends, for tests and proxies.

    The options of searches are told at `sightline_client.searches.Options`. Methods raise what
    `sightline_client.errors` lists, and OSError for a picture that can't be read.
    """

    def __init__(
        self,
        url: str = URL,
        *,
        api_key: str | None = None,
        timeout_s: float = TIMEOUT_S,
        retry: Retry = RETRY,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        settings = http_settings(url, api_key, timeout_s)
        self.url: str = settings["base_url"]
        self._retry = retry
        self._timeout_s = timeout_s
        self._http = httpx.Client(**settings, transport=transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """The answer of a call, sent again as long as that is worth it."""
        patience = Patience(self._retry, call)
        while True:
            try:
                return call.answer(self._response(call))
            except SightlineError as error:
                wait = patience.wait_after(error)
            time.sleep(wait)

    def _response(self, call: Call[T]) -> httpx.Response:
        try:
            return self._http.request(**call.arguments, timeout=timeout_of(call, self._timeout_s))
        except httpx.TransportError as error:
            raise transport_error(self.url, error) from error
        except (httpx.InvalidURL, httpx.RequestError) as error:
            raise UnreachableError(f"{self.url}: {error}", maybe_done=True) from error

    text_to_image = waiting(searches.text_to_image)
    text_to_image_pages = waiting_pages(searches.text_to_image)
    text_to_text = waiting(searches.text_to_text)
    text_to_text_pages = waiting_pages(searches.text_to_text)
    image_to_text = waiting(searches.image_to_text)
    image_to_text_pages = waiting_pages(searches.image_to_text)
    image_to_image = waiting(searches.image_to_image)
    image_to_image_pages = waiting_pages(searches.image_to_image)
    batch = waiting(searches.batch)

    put_image = waiting(collection.put_image)
    post_image = waiting(collection.post_image)
    bulk_images = waiting(collection.bulk_images)
    get_image = waiting(collection.get_image)
    thumbnail = waiting(collection.thumbnail)
    list_images = waiting(collection.list_images)
    images = waiting_items(collection.list_images)
    patch_image_metadata = waiting(collection.patch_image_metadata)
    delete_image = waiting(collection.delete_image)
    put_text = waiting(collection.put_text)
    post_text = waiting(collection.post_text)
    bulk_texts = waiting(collection.bulk_texts)
    get_text = waiting(collection.get_text)
    list_texts = waiting(collection.list_texts)
    texts = waiting_items(collection.list_texts)
    patch_text_metadata = waiting(collection.patch_text_metadata)
    delete_text = waiting(collection.delete_text)
    tags = waiting(collection.tags)

    embeddings = waiting(exchange.embeddings)
    rerank = waiting(exchange.rerank)

    stats = waiting(operations.stats)
    health = waiting(operations.health)
    readiness = waiting(operations.readiness)
    metrics = waiting(operations.metrics)
