"""What a real server refuses below the application: told, logged and counted as all else is."""

import contextlib
import json
import re
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from service.protocol import MAX_HEAD_BYTES
from tests.helpers import Server, ServerStarter, wait_until

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
PUT = b"PUT /texts/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@dataclass(frozen=True)
class Logged:
    """A server that waits for one second, and its log."""

    server: Server
    log: Path

    def lines(self, request_id: str) -> list[dict[str, Any]]:
        """What the log tells of a request."""
        lines = map(json.loads, self.log.read_text("utf-8").splitlines())
        return [line for line in lines if line.get("request_id") == request_id]

    def counted(self, route: str, method: str, status: int) -> float:
        """How many such requests were counted."""
        labels = f'{{method="{method}",route="{route}",status="{status}"}}'
        text = httpx.get(f"{self.server.url}/metrics").text
        found = re.search(rf"^sightline_http_requests_total{re.escape(labels)} (.*)$", text, re.M)
        return float(found[1]) if found else 0


@pytest.fixture(scope="module")
def logged(toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Logged]:
    folder = tmp_path_factory.mktemp("logged")
    starter = ServerStarter(toy_bundle, folder / "data")
    with (folder / "log").open("w") as log:
        server = starter(stderr=log, SIGHTLINE_CLIENT_TIMEOUT_S="1", SIGHTLINE_LOG_FORMAT="json")
        yield Logged(server, folder / "log")
        starter.close()


def answers(server: Server, sent: bytes) -> bytes:
    """What comes until the server closes."""
    address = urlsplit(server.url)
    with closing(socket.create_connection((address.hostname, address.port), 20)) as connection:
        connection.sendall(sent)
        found = b""
        while piece := connection.recv(65536):
            found += piece
    return found


def unread(server: Server) -> int:
    """Bytes that the server hasn't read yet, from Linux's table of TCP sockets."""
    port = f"{urlsplit(server.url).port:04X}"
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(int(row[4].partition(":")[2], 16) for row in rows if row[1].endswith(f":{port}"))


def id_of(answer: bytes, status: int) -> str:
    """The request id of a refusal, which its head and its body name."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    problem = json.loads(body)
    found = re.search(rb"(?mi)^x-request-id: ([0-9a-f]{32})\r?$", head)
    assert found is not None
    assert problem["request_id"] == found[1].decode()
    assert problem["status"] == status
    return found[1].decode()


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01 hello\r\n\r\n", 400),
        (b"GET http:// HTTP/1.1\r\n\r\n", 400),
        (b"GET /healthz", 408),
        (b"GET /tags?kind=".ljust(MAX_HEAD_BYTES + 100, b"x") + b" HTTP/1.1\r\n\r\n", 414),
        (GET + b"X-Long: ".ljust(MAX_HEAD_BYTES, b"x") + b"\r\n\r\n", 431),
        (GET + b"X-Header: x\r\n" * 5100 + b"\r\n", 431),
    ],
    ids=["no HTTP", "no URL", "no end", "long URL", "one long header", "many headers"],
)
def test_a_refused_head_has_an_id_a_line_and_a_count(
    logged: Logged, sent: bytes, status: int
) -> None:
    before = logged.counted("none", "other", status)
    id_ = id_of(answers(logged.server, sent), status)
    wait_until(lambda: bool(logged.lines(id_)), 10)
    [line] = logged.lines(id_)
    assert (line["logger"], line["route"], line["status"]) == ("sightline.access", None, status)
    assert logged.counted("none", "other", status) == before + 1


def test_a_head_that_is_wrong_twice_is_refused_once(logged: Logged) -> None:
    before = {status: logged.counted("none", "other", status) for status in (400, 431)}
    address = urlsplit(logged.server.url)
    with closing(socket.create_connection((address.hostname, address.port), 20)) as connection:
        # The name of the third header is none, and with it the head is too long.
        for piece in (GET, b"X-Long: ".ljust(40_000, b"x"), b"\r\n\x00\r\n".ljust(40_000, b"x")):
            connection.sendall(piece)
            wait_until(lambda: unread(logged.server) == 0, 10)
        with contextlib.suppress(ConnectionResetError):
            while connection.recv(65536):
                pass
    after = {status: logged.counted("none", "other", status) for status in (400, 431)}
    assert sum(after.values()) == sum(before.values()) + 1


def test_a_head_within_the_limit_is_read(logged: Logged) -> None:
    head = GET + b"X-Long: ".ljust(MAX_HEAD_BYTES - len(GET) - 4, b"x") + b"\r\n\r\n"
    assert len(head) == MAX_HEAD_BYTES
    assert answers(logged.server, head).startswith(b"HTTP/1.1 200 ")


def test_a_refused_body_is_told_of_once_and_where_it_was_going(logged: Logged) -> None:
    elsewhere = logged.counted("none", "other", 408)
    id_ = id_of(answers(logged.server, PUT + b"Content-Length: 5000\r\n\r\n{"), 408)
    wait_until(lambda: logged.counted("/texts/{id}", "PUT", 408) == 1, 10)
    assert logged.counted("/texts/{id}", "PUT", 499) == 0
    assert logged.counted("none", "other", 408) == elsewhere
    access = [line for line in logged.lines(id_) if line["logger"] == "sightline.access"]
    assert [(line["route"], line["status"]) for line in access] == [("/texts/{id}", 408)]


def test_a_body_that_is_broken_from_the_start_has_one_id(logged: Logged) -> None:
    sent = PUT + b"X-Request-ID: mine-123\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n"
    id_ = id_of(answers(logged.server, sent), 400)
    wait_until(lambda: bool(logged.lines(id_)), 10)
    assert logged.lines("mine-123") == []


def test_an_upload_that_a_stop_cuts_short_is_told_so(
    start_server: ServerStarter, tmp_path: Path
) -> None:
    with (tmp_path / "log").open("w") as log:
        server = start_server(stderr=log, SIGHTLINE_SHUTDOWN_GRACE_S="1")
        address = urlsplit(server.url)
        with closing(socket.create_connection((address.hostname, address.port), 20)) as connection:
            connection.sendall(PUT + b"Expect: 100-continue\r\nContent-Length: 5000\r\n\r\n")
            # Sent when the application asks for the body.
            assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")
            connection.sendall(b'{"text": ')
            server.process.send_signal(signal.SIGTERM)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
        assert server.process.wait(30) == 0
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    problem = json.loads(body)
    assert problem["type"] == "urn:sightline:problem:closing"
    assert f"x-request-id: {problem['request_id']}".encode() in head.lower()
    told = (tmp_path / "log").read_text("utf-8")
    assert "Traceback" not in told
    assert "PUT /texts/{id} 503" in told
