"""How long a slow client is waited for: uvicorn's protocol, with an end to trickling requests.

uvicorn closes a connection that is idle between two requests, and waits for ever for the rest of a
request that has begun, and for a client that doesn't take its answer. So each connection could be
held for nothing. Here a window of time passes, and less than 16 KiB a second have moved in it: then
the connection is closed. A request of n bytes is over after the window and n / 16 KiB seconds.
"""

import asyncio
import json
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.problems import MEDIA_TYPE, TYPE_PREFIX

LEAST_BYTES_PER_S = 16 * 1024
TOO_SLOW = json.dumps(
    {
        "type": f"{TYPE_PREFIX}too-slow",
        "title": "The request came too slowly",
        "status": 408,
        "detail": f"a request has to arrive at {LEAST_BYTES_PER_S:,} bytes a second or more",
    }
).encode()


def patient_protocol(window_s: float) -> type[HttpToolsProtocol]:
    """The protocol with a window of so many seconds."""
    return type("PatientProtocol", (_PatientProtocol,), {"window_s": window_s})


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


class _PatientProtocol(HttpToolsProtocol):
    window_s: float
    _received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._request = _Watch(self.window_s, lambda: self._received, self._refuse)
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

    def on_message_begin(self) -> None:
        super().on_message_begin()
        # After another one in the same piece, which has stopped the watch.
        self._request.start(self.loop)

    def on_message_complete(self) -> None:
        self._request.stop()
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._answer.start(self.loop)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._answer.stop()

    def _refuse(self) -> None:
        cycle = self.cycle
        answering = cycle is not None and not cycle.response_complete and not cycle.more_body
        if self.flow.read_paused or answering:
            # It is the service that hasn't read on, or that is busy with the request before.
            self._request.start(self.loop)
            return
        # A request that was answered before its body was there gets no second answer.
        if cycle is None or not (cycle.response_started and cycle.more_body):
            self.transport.write(
                b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n"
                b"content-type: %b\r\ncontent-length: %d\r\n\r\n%b"
                % (MEDIA_TYPE.encode(), len(TOO_SLOW), TOO_SLOW)
            )
        self.transport.close()
