"""A real server process: photos in, both searches, restarts, SIGKILL in the middle of writes."""

import json
import resource
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from tests.end_to_end.crash import crash_servers
from tests.helpers import Server, ServerStarter, jpeg, wait_until

SENTENCES = ("a brown dog runs", "two children play", "a black cat sleeps", "snow in the city")


def fill(client: httpx.Client, pictures: int) -> None:
    for number in range(pictures):
        files = {"image": (f"{number}.jpg", jpeg(number), "image/jpeg")}
        client.put(f"/images/p{number}", files=files).raise_for_status()
    items = [{"id": f"t{n}", "text": text} for n, text in enumerate(SENTENCES)]
    client.post("/texts:bulk", json={"items": items}).raise_for_status()


def search_both_ways(client: httpx.Client) -> list[Any]:
    to_image = client.post("/search/text-to-image", json={"query": "a dog", "explain": True})
    files = {"image": ("p.jpg", jpeg(1), "image/jpeg")}
    to_text = client.post("/search/image-to-text", files=files, data={"explain": "true"})
    return [response.raise_for_status().json()["results"] for response in (to_image, to_text)]


def test_photos_are_found_both_ways_before_and_after_a_restart(start_server: ServerStarter) -> None:
    first = start_server()
    with httpx.Client(base_url=first.url, timeout=30) as client:
        fill(client, 5)
        before = search_both_ways(client)
        thumbnail = client.get(before[0][0]["url"])
        assert thumbnail.headers["content-type"] == "image/jpeg"
    assert [len(results) for results in before] == [5, 4]
    assert first.stop() == 0
    with httpx.Client(base_url=start_server().url, timeout=30) as client:
        assert search_both_ways(client) == before


def test_what_was_acknowledged_survives_sigkill(start_server: ServerStarter) -> None:
    tally = crash_servers(start_server, kills=2, seed=5, tell=lambda so_far: None)
    assert tally.kills == 2
    assert tally.acknowledged >= 10


def test_a_disk_that_takes_no_more_is_told_and_searches_go_on(start_server: ServerStarter) -> None:
    # A limit on the size of files stands for the end of the disk.
    server = start_server()

    def limit_files(size: int) -> None:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    with httpx.Client(base_url=server.url, timeout=60) as client:
        fill(client, 3)
        limit_files(100_000)
        stored, refused = 0, None
        while refused is None:
            response = client.put(f"/texts/more-{stored}", json={"text": f"text {stored}"})
            if response.is_success:
                stored += 1
            else:
                refused = response
        assert refused.status_code in (503, 507)
        assert refused.json()["type"].endswith(("storage", "disk-full"))
        assert str(start_server.data_dir) in refused.json()["detail"]
        assert [len(results) for results in search_both_ways(client)] == [3, min(10, 4 + stored)]
        limit_files(resource.RLIM_INFINITY)
        client.put(f"/texts/more-{stored}", json={"text": "text"}).raise_for_status()
        assert client.get("/stats").json()["counts"] == {"image": 3, "text": 5 + stored}


def test_a_second_server_on_the_same_folder_says_who_has_it(start_server: ServerStarter) -> None:
    start_server()
    second = subprocess.run(
        start_server.command(), capture_output=True, text=True, timeout=60, check=False
    )
    assert second.returncode == 1
    assert second.stdout == ""
    assert second.stderr.startswith("sightline: ")
    assert str(start_server.data_dir) in second.stderr
    assert "Traceback" not in second.stderr


def test_running_requests_finish_when_the_server_is_told_to_stop(
    start_server: ServerStarter,
) -> None:
    server = start_server()
    files = [("images", (f"{n}.jpg", jpeg(n), "image/jpeg")) for n in range(60)]
    with ThreadPoolExecutor(1) as threads, httpx.Client(base_url=server.url, timeout=60) as client:
        upload = threads.submit(client.post, "/images:bulk", files=files)
        with httpx.Client(base_url=server.url) as other:
            wait_until(lambda: other.get("/stats").json()["counts"]["image"] > 0, 30)
        server.process.send_signal(signal.SIGINT)
        assert upload.result().json()["created"] == 60
        assert server.process.wait(30) == 0


def test_garbage_leaves_the_server_standing(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        for data in (b"", b"words", jpeg(1)[:300], bytes(2_000_000)):
            files = {"image": ("x.jpg", data, "image/jpeg")}
            assert client.put("/images/x", files=files).status_code in (413, 415, 422)
            assert client.post("/search/image-to-text", files=files).status_code in (413, 415, 422)
        for body in (
            b"",
            b"[",
            b"\xff",
            b'{"query": 1}',
            json.dumps({"query": "x" * 5000}).encode(),
        ):
            headers = {"content-type": "application/json"}
            response = client.post("/search/text-to-image", content=body, headers=headers)
            assert 400 <= response.status_code < 500
        assert client.get("/images/%2e%2e%2f%2e%2e%2fetc%2fpasswd").status_code == 404
        assert client.get("/page/%2e%2e/app.py").status_code == 404
        assert client.get("/readyz").status_code == 200


def test_a_body_that_says_it_is_too_large_is_not_read(server: Server) -> None:
    def endless() -> Any:
        for _ in range(400):
            yield b"x" * 65536

    with httpx.Client(base_url=server.url, timeout=30) as client:
        headers = {"content-type": "application/json"}
        response = client.post("/texts", content=endless(), headers=headers)
        assert response.status_code == 413
        assert "8,388,608 bytes" in response.json()["detail"]


def test_head_leaves_the_connection_as_it_was(server: Server) -> None:
    with httpx.Client(base_url=server.url, timeout=30) as client:
        for path in ("/healthz", "/", "/page/main.js", "/nowhere"):
            head, whole = client.head(path), client.get(path)
            assert (head.status_code, head.content) == (whole.status_code, b"")
            assert head.headers["content-length"] == whole.headers["content-length"]
