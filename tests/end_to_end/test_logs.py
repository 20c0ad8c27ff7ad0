"""What a real server writes: all that is asked of it is a line, and nothing of what was asked."""

import json
import os
import re
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from service.keys import Key, digest_of
from tests.helpers import ServerStarter, jpeg

SECRET = "xylophone"
KEY = f"sl_{SECRET}"


def ask_everything(url: str) -> list[str]:
    """Asks with a distinctive sentence, id, tag, file name and key; gives the request ids."""
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=url, timeout=30, headers=headers) as client:
        picture = {"image": (f"{SECRET}.jpg", jpeg(), "image/jpeg")}
        answers = [
            client.put(f"/images/{SECRET}", files=picture, data={"captions": f'["{SECRET}"]'}),
            client.put(f"/texts/{SECRET}", json={"text": SECRET}),
            client.post("/search/text-to-image", json={"query": SECRET, "explain": True}),
            client.post("/search/image-to-text", json={"image_id": SECRET}),
            client.post("/search/text-to-image", json={"query": SECRET, SECRET: 1}),
            client.post("/search/text-to-image", content=f'{{"query": "{SECRET}'),
            client.post("/v1/embeddings", json={"input": SECRET}),
            client.get(f"/images/{SECRET}"),
            client.get(f"/images/{SECRET}/thumbnail?{SECRET}"),
            client.get(f"/images/not-{SECRET}"),
            client.get("/tags", params={"filter": json.dumps({"tag": SECRET})}),
            client.get(f"/{SECRET}"),
            client.delete(f"/images/{SECRET}"),
            client.get("/stats", headers={"Authorization": f"Bearer {KEY}-wrong"}),
            client.get(f"/page/{SECRET}.js"),
        ]
    assert {answer.status_code for answer in answers} >= {200, 201, 204, 401, 404, 415, 422}
    return [answer.headers["x-request-id"] for answer in answers]


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_nothing_of_what_was_asked_is_in_the_log(
    start_server: ServerStarter, tmp_path: Path, log_format: str
) -> None:
    entry = Key("tester", "write", digest_of(KEY.encode())).line
    log = tmp_path / "log"
    with log.open("w") as file:
        server = start_server(stderr=file, SIGHTLINE_KEYS=entry, SIGHTLINE_LOG_FORMAT=log_format)
        request_ids = ask_everything(server.url)
        assert server.stop() == 0
    written = log.read_text()
    assert SECRET not in written
    for request_id in request_ids:
        assert request_id in written
    assert "tester" in written
    if log_format == "json":
        lines = [json.loads(line) for line in written.splitlines()]
        by_id = {line["request_id"]: line for line in lines if line["logger"] == "sightline.access"}
        assert [by_id[id_]["route"] for id_ in request_ids[:3]] == [
            "/images/{id}",
            "/texts/{id}",
            "/search/text-to-image",
        ]
        assert by_id[request_ids[0]]["key"] == "tester"


def ask_many(url: str, times: int) -> None:
    """GET /healthz so often on one connection, a hundred at a time, with ids that fill the log."""
    host, port = url.removeprefix("http://").split(":")
    request = f"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: {'x' * 128}\r\n\r\n"
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        for _ in range(times // 100):
            connection.sendall(request.encode() * 100)
            answers = b""
            while answers.count(b'{"status":"ok"}') < 100:
                received = connection.recv(1 << 20)
                assert received, "the server hung up"
                answers += received


def lost_lines(url: str) -> int:
    """What the service tells of them."""
    [number] = re.findall(
        r"^sightline_log_lines_lost_total ([\d.]+)$", httpx.get(f"{url}/metrics").text, re.MULTILINE
    )
    return int(float(number))


def test_a_log_that_nobody_reads_holds_nobody_up(start_server: ServerStarter) -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as pipe:
        with os.fdopen(write_end, "w") as stderr:
            server = start_server(stderr=stderr)
        # Some five times what a pipe holds.
        ask_many(server.url, 1500)
        told = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - told < 10
        assert pipe.readline().endswith("]\n")


def test_a_log_that_is_read_again_tells_how_much_of_it_is_missing(
    start_server: ServerStarter,
) -> None:
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as pipe, ThreadPoolExecutor(1) as threads:
        with os.fdopen(write_end, "w") as stderr:
            server = start_server(stderr=stderr)
        # More than a pipe and the queue hold.
        ask_many(server.url, 5000)
        reading = threads.submit(pipe.readlines)
        lost = lost_lines(server.url)
        assert server.stop() == 0
        lines = reading.result(timeout=10)
    told = [int(n) for n in re.findall(r"log lines missing here: (\d+)", "".join(lines))]
    assert lost > 0
    assert sum(told) >= lost
    # And the line of asking how many are lost.
    there = [line for line in lines if re.search("GET /(healthz|metrics) 200", line)]
    assert len(there) + sum(told) == 5001


def test_a_start_that_fails_loses_no_line(start_server: ServerStarter, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(Key("tester", "write", digest_of(KEY.encode())).line)
    keys.chmod(0o644)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            start_server.command("--port", port),
            env={**os.environ, "SIGHTLINE_KEYS_FILE": str(keys)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    warning, error = done.stderr.splitlines()
    assert " WARNING service.keys: " in warning
    assert error == f"sightline: 127.0.0.1, port {port}: Address already in use"
    assert done.returncode == 1
