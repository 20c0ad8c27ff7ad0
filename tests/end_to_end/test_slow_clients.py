"""A real server and clients that are slow: it waits for a while, and not for ever."""

import socket
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from service.protocol import MAX_HEAD_BYTES
from tests.helpers import Server, ServerStarter, is_ready, jpeg, wait_until

HEAD = (
    b"POST /search/text-to-image HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
)
# A state in /proc/net/tcp.
LISTENING = "0A"
JSON = b'{"query": "a dog"}'


@pytest.fixture(scope="module")
def impatient(toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits for one second."""
    starter = ServerStarter(toy_bundle, tmp_path_factory.mktemp("impatient") / "data")
    yield starter(SIGHTLINE_CLIENT_TIMEOUT_S="1")
    starter.close()


def connect(server: Server) -> socket.socket:
    address = urlsplit(server.url)
    assert address.hostname is not None and address.port is not None
    return socket.create_connection((address.hostname, address.port), timeout=20)


def read_to_end(connection: socket.socket) -> bytes:
    """All that comes until the server closes."""
    found = b""
    try:
        while piece := connection.recv(65536):
            found += piece
    except ConnectionResetError:
        return found
    return found


def begin_slowly(connection: socket.socket, piece: bytes) -> None:
    """Sends the first piece of a request, and nothing for a while, which the server bears."""
    connection.sendall(piece)
    connection.settimeout(0.3)
    with pytest.raises(TimeoutError):
        connection.recv(1)
    connection.settimeout(20)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /sea",
        HEAD,
        HEAD + b"Content-Length: 5000\r\n\r\n{",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /he",
    ],
    ids=["nothing", "half a line", "no end of headers", "half a body", "half a chunk", "the next"],
)
def test_a_request_that_never_ends_is_ended(impatient: Server, sent: bytes) -> None:
    with closing(connect(impatient)) as connection:
        connection.sendall(sent)
        begun = time.monotonic()
        answer = read_to_end(connection)
    assert time.monotonic() - begun < 10
    assert b"HTTP/1.1 408 Request Timeout" in answer
    assert b"too-slow" in answer
    assert is_ready(impatient.url)


def test_a_body_that_trickles_in_is_ended(impatient: Server) -> None:
    with closing(connect(impatient)) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
        connection.settimeout(0.1)
        answer = b""
        for _ in range(100):
            try:
                connection.sendall(b" ")
                answer = connection.recv(65536)
                break
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 ")


def test_a_refused_body_that_goes_on_is_ended_too(impatient: Server) -> None:
    # The refusal is sent at once; the connection isn't held by the rest.
    with closing(connect(impatient)) as connection:
        connection.sendall(HEAD + b"Content-Length: 99999999999\r\n\r\n{")
        answer = read_to_end(connection)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize("endless", [b"x" * 1000, b"X-Header: x\r\n" * 100], ids=["one", "many"])
@pytest.mark.parametrize(
    "head",
    [HEAD, HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"],
    ids=["before the body", "after it"],
)
def test_headers_without_end_are_refused(impatient: Server, head: bytes, endless: bytes) -> None:
    with closing(connect(impatient)) as connection:
        connection.sendall(head + b"X-Endless: ")
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_for_ever(connection, endless)
    assert is_ready(impatient.url)


def test_headers_that_are_too_long_are_told_so(impatient: Server) -> None:
    with closing(connect(impatient)) as connection:
        begin_slowly(connection, HEAD)
        # One byte more than the limit, so that nothing is left unread when it is refused.
        connection.sendall(b"X-Long: ".ljust(MAX_HEAD_BYTES + 1, b"x"))
        answer = read_to_end(connection)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b"65,536 bytes" in answer


def send_for_ever(connection: socket.socket, piece: bytes) -> None:
    for _ in range(100_000):
        connection.sendall(piece)


def test_a_url_that_no_request_has_is_refused(impatient: Server) -> None:
    with closing(connect(impatient)) as connection:
        target = b"/tags?kind=".ljust(MAX_HEAD_BYTES, b"x")
        connection.sendall(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = read_to_end(connection)
    assert answer.startswith((b"HTTP/1.1 414 ", b"HTTP/1.1 431 "))
    assert b"application/problem+json" in answer
    assert b"65,536 bytes" in answer


def test_what_is_no_http_is_refused_as_a_problem(impatient: Server) -> None:
    for sent in (b"\x16\x03\x01 hello\r\n\r\n", b"GET http:// HTTP/1.1\r\n\r\n"):
        with closing(connect(impatient)) as connection:
            connection.sendall(sent)
            answer = read_to_end(connection)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"application/problem+json" in answer


def test_a_request_in_two_pieces_is_answered(impatient: Server) -> None:
    with closing(connect(impatient)) as connection:
        length = b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(JSON)
        begin_slowly(connection, HEAD + length)
        connection.sendall(JSON)
        assert read_to_end(connection).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_takes_longer_but_moves_is_read(impatient: Server) -> None:
    picture = jpeg(1)
    form = (
        b'--x\r\ncontent-disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
        + picture
        + b'\r\n--x\r\ncontent-disposition: form-data; name="metadata"\r\n\r\n{"a": "'
        + b" " * 60_000
        + b'"}\r\n--x--\r\n'
    )

    def pieces() -> Iterator[bytes]:
        # 16 KiB a second is the least; this is twice as much, for two seconds.
        for start in range(0, len(form), 8192):
            yield form[start : start + 8192]
            time.sleep(0.25)

    begun = time.monotonic()
    headers = {"content-type": "multipart/form-data; boundary=x"}
    url = f"{impatient.url}/search/image-to-text"
    answer = httpx.post(url, content=pieces(), headers=headers, timeout=20)
    assert time.monotonic() - begun > 1.5
    assert answer.status_code == 422, "read whole, and its unknown field refused"


def test_an_answer_that_nobody_takes_is_given_up(impatient: Server) -> None:
    # Far more than all buffers between the two hold: megabytes.
    asked = b"GET /static-offline-docs/redoc.standalone.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    # Clients of other tests are closed after uvicorn's five seconds without a request.
    wait_until(lambda: clients(impatient) == 0, 10)
    with closing(socket.socket()) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        address = urlsplit(impatient.url)
        connection.connect((address.hostname, address.port))
        connection.sendall(asked * 8)
        wait_until(lambda: clients(impatient) == 1, 10)
        wait_until(lambda: clients(impatient) == 0, 10)


def clients(server: Server) -> int:
    """Connections that the server holds, from Linux's table of TCP sockets."""
    port = f"{urlsplit(server.url).port:04X}"
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    # One that its process has closed has no inode any more, though its data still wait.
    return sum(
        row[1].endswith(f":{port}") and row[3] != LISTENING and row[9] != "0" for row in rows
    )
