"""SIGTERM to a real server: first it says that it will stop, then it finishes, then it is gone."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx

from tests.helpers import ServerStarter, is_ready, wait_until

JSON = {"content-type": "application/json"}


class SlowText:
    """The body of a text that is being sent until `finish` is set."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.finish = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        yield b'{"text": '
        self.begun.set()
        assert self.finish.wait(60)
        yield b'"a dog"}'


def refuses(url: str) -> bool:
    try:
        httpx.get(f"{url}/healthz", timeout=5)
    except httpx.TransportError:
        return True
    return False


def test_sigterm_is_told_before_it_is_obeyed(start_server: ServerStarter) -> None:
    server = start_server(SIGHTLINE_DRAIN_DELAY_S="2")
    text = SlowText()
    with ThreadPoolExecutor(1) as threads, httpx.Client(base_url=server.url, timeout=60) as client:
        slow = threads.submit(client.put, "/texts/slow", content=text, headers=JSON)
        assert text.begun.wait(30)
        told = time.monotonic()
        server.process.terminate()
        wait_until(lambda: not is_ready(server.url), 30)
        # While it lasts, everything is answered, on new connections, too.
        readiness = httpx.get(f"{server.url}/readyz")
        assert readiness.status_code == 503
        assert readiness.json()["type"] == "urn:sightline:problem:draining"
        assert "told to stop" in readiness.json()["detail"]
        found = httpx.post(f"{server.url}/search/text-to-text", json={"query": "a dog"})
        assert found.status_code == 200
        assert "sightline_draining 1.0" in httpx.get(f"{server.url}/metrics").text
        assert httpx.put(f"{server.url}/texts/late", json={"text": "a cat"}).status_code == 201
        wait_until(lambda: refuses(server.url), 30)
        assert time.monotonic() - told >= 2
        # What ran by then may still finish.
        text.finish.set()
        assert slow.result().status_code == 201
    assert server.process.wait(30) == 0
    with httpx.Client(base_url=start_server().url) as client:
        assert [client.get(f"/texts/{id_}").status_code for id_ in ("slow", "late")] == [200, 200]


def test_a_second_signal_skips_the_delay(start_server: ServerStarter) -> None:
    server = start_server(SIGHTLINE_DRAIN_DELAY_S="600")
    server.process.terminate()
    wait_until(lambda: not is_ready(server.url), 30)
    assert not refuses(server.url)
    assert server.stop() == 0


def test_a_request_that_outlasts_the_grace_is_cut_off(start_server: ServerStarter) -> None:
    server = start_server(SIGHTLINE_SHUTDOWN_GRACE_S="1")
    text = SlowText()
    with ThreadPoolExecutor(1) as threads, httpx.Client(base_url=server.url, timeout=60) as client:
        slow = threads.submit(client.put, "/texts/slow", content=text, headers=JSON)
        assert text.begun.wait(30)
        assert server.stop() == 0
        text.finish.set()
        assert isinstance(slow.exception(), httpx.TransportError) or slow.result().is_error
    with httpx.Client(base_url=start_server().url) as client:
        assert client.get("/texts/slow").status_code == 404
