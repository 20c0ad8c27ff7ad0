"""uvicorn's protocol, with an end to what it would wait for or keep without one.

uvicorn closes a connection that is idle between two requests. It waits for ever for the rest of a
request that has begun, and for a client that doesn't take its answer, so each connection could be
held for nothing; and it keeps headers of any length. Here a connection is closed when a window of
time has passed and less than 16 KiB a second have moved in it, so a request of n bytes is over
after the window and n / 16 KiB seconds; and when the head of a request is over 64 KiB.

What is refused before an application has it gets its request id here, and is told of.
"""

import asyncio
import uuid
from collections.abc import Callable
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.problems import MEDIA_TYPE, TYPE_PREFIX
from service.schemas import Problem

LEAST_BYTES_PER_S = 16 * 1024
MAX_HEAD_BYTES = 64 * 1024
HEAD_TOO_LONG = f"the headers are over the limit of {MAX_HEAD_BYTES:,} bytes"

# Request id, status, bytes of the answer's body, and seconds since the request began.
Tell = Callable[[str, int, int, float], None]


def limited_protocol(window_s: float, tell: Tell) -> type[HttpToolsProtocol]:
    """The protocol with a window of so many seconds. tell: learns of what is refused here."""
    return type(
        "LimitedProtocol", (_LimitedProtocol,), {"window_s": window_s, "tell": staticmethod(tell)}
    )


class _Watch:
    """Gives up when too little has moved since the last look, one window ago."""

    def __init__(
        self, window_s: float, moved: Callable[[], int], give_up: Callable[[], None]
    ) -> None:
        self._window_s = window_s
        self._moved = moved
        self._give_up = give_up
        self._timer: asyncio.TimerHandle | None = None
        self._before = 0

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begins a window, unless one has begun."""
        if self._timer is None:
            self._before = self._moved()
            self._timer = loop.call_later(self._window_s, self._look, loop)

    def stop(self) -> None:
        """Nothing is waited for any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        if self._moved() - self._before < LEAST_BYTES_PER_S * self._window_s:
            self._give_up()
        else:
            self.start(loop)


class _LimitedProtocol(HttpToolsProtocol):
    window_s: float
    tell: Tell
    # Before anything that could be one has come.
    url = b""
    _received = 0
    _in_head = False
    _head_began = 0
    _began_s = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._began_s = self.loop.time()
        self._request = _Watch(self.window_s, lambda: self._received, self._end)
        # What waits to be sent shrinks as it is taken.
        left = transport.get_write_buffer_size
        self._answer = _Watch(self.window_s, lambda: -left(), transport.abort)
        self._request.start(self.loop)

    def connection_lost(self, exc: Exception | None) -> None:
        self._request.stop()
        self._answer.stop()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        self._request.start(self.loop)
        super().data_received(data)
        if self._in_head and self._received - self._head_began > MAX_HEAD_BYTES:
            self._refuse(431, "too-long", HEAD_TOO_LONG)

    def send_400_response(self, msg: str) -> None:
        """Refuses what the parser can't read; it takes no URL that is longer than a head may be."""
        if len(self.url) >= MAX_HEAD_BYTES:
            self._refuse(
                414, "too-long", f"the URL has {len(self.url):,} bytes, too many for a request"
            )
        elif self._head_bytes() > MAX_HEAD_BYTES:
            self._refuse(431, "too-long", HEAD_TOO_LONG)
        else:
            self._refuse(400, "no-http", "this is no HTTP/1.1, or its URL is none")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._began_s = self.loop.time()
        # After another one in the same piece, which has stopped the watch.
        self._request.start(self.loop)
        self._expect_head()

    def on_headers_complete(self) -> None:
        """Raises ValueError for a head that is too long; the parser then gives up the request."""
        self._in_head = False
        if self._head_bytes() > MAX_HEAD_BYTES:
            raise ValueError(HEAD_TOO_LONG)
        super().on_headers_complete()

    def on_chunk_header(self) -> None:
        """What follows is a chunk, or after the last one more headers (trailers)."""
        self._expect_head()

    def on_body(self, body: bytes) -> None:
        self._in_head = False
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head = False
        self._request.stop()
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._answer.start(self.loop)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._answer.stop()

    def _expect_head(self) -> None:
        self._in_head = True
        # The piece in which it begins may hold what was before, and isn't counted.
        self._head_began = self._received

    def _end(self) -> None:
        cycle = self.cycle
        answering = cycle is not None and not cycle.response_complete and not cycle.more_body
        if self.flow.read_paused or answering:
            # It is the service that hasn't read on, or that is busy with the request before.
            self._request.start(self.loop)
        else:
            least = f"a request has to arrive at {LEAST_BYTES_PER_S:,} bytes a second or more"
            self._refuse(408, "too-slow", least)

    def _head_bytes(self) -> int:
        # As in the request, with ": " and the end of the line.
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers or ())

    def _refuse(self, status: int, name: str, detail: str) -> None:
        if self.transport.is_closing():
            # A piece can be wrong in two ways; the first was told.
            return
        cycle = self.cycle
        in_body = cycle is not None and cycle.more_body
        if in_body and cycle.response_started:
            # Answered before its body was there; a second answer would be one too many.
            self.transport.close()
            return
        request_id = uuid.uuid4().hex
        if in_body:
            # The application has the request already, and tells of it when it sees this end.
            request_id = cycle.scope["state"].setdefault("request_id", request_id)
            cycle.scope["state"]["refused"] = status
        phrase = HTTPStatus(status).phrase
        problem = Problem(
            type=TYPE_PREFIX + name,
            title=phrase,
            status=status,
            detail=detail,
            request_id=request_id,
        )
        body = problem.model_dump_json().encode()
        head = (
            f"HTTP/1.1 {status} {phrase}\r\nconnection: close\r\nx-request-id: {request_id}\r\n"
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
        # A connection on which nothing came was no request.
        if self._received and not in_body:
            self.tell(request_id, status, len(body), self.loop.time() - self._began_s)
