"""A stand-in for services that answer as ours won't on demand: busy, broken, foreign."""

import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Scripted:
    """A server that gives prepared answers, one a request, and notes what it was asked.

    seconds: how long each answer takes; those that are under way when it closes come at once.
    """

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes] | None] = []
        self.asked: list[tuple[str, str, str | None]] = []
        self.keys: list[str | None] = []
        self.seconds = 0.0
        self._closing = threading.Event()
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                scripted.asked.append((self.command, self.path, self.headers["Authorization"]))
                scripted.keys.append(self.headers["X-API-Key"])
                prepared = scripted.answers.pop(0)
                scripted._closing.wait(scripted.seconds)
                if prepared is None:  # the connection breaks after the request
                    self.close_connection = True
                    return
                status, headers, body = prepared
                with suppress(ConnectionError):  # whoever asked may have gone
                    self.send_response(status)
                    for name, value in {**headers, "Content-Length": str(len(body))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(body)

            do_GET = do_POST = do_PUT = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
