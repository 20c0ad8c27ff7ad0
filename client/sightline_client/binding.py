"""From a call to a method: each operation is written once, as a function that makes a call.

`Client` binds it as a method that waits, `AsyncClient` as one that is awaited, with the operation's
own parameters.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from sightline_client.answers import Item, Page
from sightline_client.call import Call

T = TypeVar("T")
P = ParamSpec("P")
READING = {"image", "images"}
"""Parameters of operations that read pictures."""


class Sender(Protocol):
    """What sends a call and waits for the answer."""

    def send(self, call: Call[T]) -> T:
        """The answer of a call."""
        ...


class AsyncSender(Protocol):
    """What sends a call while other work goes on."""

    async def send(self, call: Call[T]) -> T:
        """The answer of a call."""
        ...


class Paged(Protocol):
    """An answer that may have a next page."""

    @property
    def next_cursor(self) -> str | None:
        """Leads to the next page; the last has none."""
        ...


Answer = TypeVar("Answer", bound=Paged)


def waiting(operation: Callable[P, Call[T]]) -> Callable[Concatenate[Sender, P], T]:
    """A method of `Client`."""

    def method(client: Sender, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return client.send(operation(*args, **kwargs))

    return _described(method, operation)


def awaiting(
    operation: Callable[P, Call[T]],
) -> Callable[Concatenate[AsyncSender, P], Coroutine[Any, Any, T]]:
    """A method of `AsyncClient`."""
    make = _making(operation)

    async def method(client: AsyncSender, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await client.send(await make(*args, **kwargs))

    return _described(method, operation)


def waiting_pages(
    operation: Callable[P, Call[Answer]],
) -> Callable[Concatenate[Sender, P], Iterator[Answer]]:
    """A method of `Client` that goes through all pages."""

    def method(client: Sender, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[Answer]:
        call: Call[Answer] | None = operation(*args, **kwargs)
        while call is not None:
            answer = client.send(call)
            yield answer
            call = _next(call, answer)

    return _described(method, operation, "Page for page, to the end.")


def awaiting_pages(
    operation: Callable[P, Call[Answer]],
) -> Callable[Concatenate[AsyncSender, P], AsyncIterator[Answer]]:
    """A method of `AsyncClient` that goes through all pages."""
    make = _making(operation)

    async def method(
        client: AsyncSender, /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncIterator[Answer]:
        call: Call[Answer] | None = await make(*args, **kwargs)
        while call is not None:
            answer = await client.send(call)
            yield answer
            call = _next(call, answer)

    return _described(method, operation, "Page for page, to the end.")


def waiting_items(
    operation: Callable[P, Call[Page]],
) -> Callable[Concatenate[Sender, P], Iterator[Item]]:
    """A method of `Client` that goes through the items of all pages."""
    pages = waiting_pages(operation)

    def method(client: Sender, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[Item]:
        for page in pages(client, *args, **kwargs):
            yield from page.items

    return _described(method, operation, "All of them, fetched page for page.")


def awaiting_items(
    operation: Callable[P, Call[Page]],
) -> Callable[Concatenate[AsyncSender, P], AsyncIterator[Item]]:
    """A method of `AsyncClient` that goes through the items of all pages."""
    pages = awaiting_pages(operation)

    async def method(
        client: AsyncSender, /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncIterator[Item]:
        async for page in pages(client, *args, **kwargs):
            for item in page.items:
                yield item

    return _described(method, operation, "All of them, fetched page for page.")


def _making(operation: Callable[P, Call[T]]) -> Callable[P, Coroutine[Any, Any, Call[T]]]:
    reads = READING & inspect.signature(operation).parameters.keys()

    async def make(*args: P.args, **kwargs: P.kwargs) -> Call[T]:
        # Other tasks go on while a picture is read from a disk, or a network, that is slow.
        if reads:
            return await asyncio.to_thread(operation, *args, **kwargs)
        return operation(*args, **kwargs)

    return make


def _next(call: Call[Answer], answer: Answer) -> Call[Answer] | None:
    return None if answer.next_cursor is None else call.after(answer.next_cursor)


M = TypeVar("M", bound=Callable[..., Any])


def _described(method: M, operation: Callable[..., Any], more: str = "") -> M:
    """With the operation's words and parameters, so that `help()` shows what a caller gives."""
    described = inspect.signature(operation)
    own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    signature = described.replace(
        parameters=[own, *described.parameters.values()],
        return_annotation=inspect.Signature.empty,
    )
    method.__dict__["__signature__"] = signature
    method.__name__ = operation.__name__
    method.__doc__ = f"{operation.__doc__} {more}".strip()
    return method
