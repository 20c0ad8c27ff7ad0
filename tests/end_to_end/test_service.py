"""A real server process: photos in, both searches, restarts, SIGKILL in the middle of writes."""

import json
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

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


@dataclass
class Uploads:
    """Threads that upload until the server is gone, and what it acknowledged."""

    acknowledged: set[str] = field(default_factory=set)

    def until_killed(self, server: Server, round_: int, worker: int) -> None:
        """Worker 0 uploads pictures, the others texts."""
        with httpx.Client(base_url=server.url, timeout=30) as client:
            for count in range(10_000):
                id_ = f"{round_}-{worker}-{count}"
                try:
                    if worker == 0:
                        data = jpeg(1000 * round_ + count)
                        files = {"image": ("p.jpg", data, "image/jpeg")}
                        response = client.put(f"/images/{id_}", files=files)
                    else:
                        response = client.put(f"/texts/{id_}", json={"text": f"text {id_}"})
                except httpx.TransportError:
                    return
                assert response.status_code == 201, response.text
                self.acknowledged.add(id_)


def test_what_was_acknowledged_survives_sigkill(start_server: ServerStarter) -> None:
    uploads = Uploads()
    for round_ in range(2):
        server = start_server()
        check_all_found(server, uploads.acknowledged)
        enough = len(uploads.acknowledged) + 25
        with ThreadPoolExecutor(3) as threads:
            workers = [
                threads.submit(uploads.until_killed, server, round_, worker) for worker in range(3)
            ]
            wait_until(lambda enough=enough: len(uploads.acknowledged) >= enough, 60)
            server.kill()
            for worker in workers:
                worker.result()
    last = start_server()
    check_all_found(last, uploads.acknowledged)
    assert last.stop() == 0


def check_all_found(server: Server, ids: set[str]) -> None:
    """Each id is listed, and found by a search that asks for everything."""
    if not ids:
        return
    with httpx.Client(base_url=server.url, timeout=60) as client:
        listed = set(all_ids(client, "images")) | set(all_ids(client, "texts"))
        assert ids - listed == set()
        options = {"k": 1000, "candidates": 1000, "rerank": False}
        pictures = client.post("/search/text-to-image", json={"query": "dog", **options})
        one = next(id_ for id_ in ids if id_.split("-")[1] == "0")
        texts = client.post("/search/image-to-text", json={"image_id": one, **options})
        found = {
            result["id"]
            for response in (pictures, texts)
            for result in response.raise_for_status().json()["results"]
        }
        # Nothing half-written: what is listed is found, and the other way round.
        assert found == listed


def all_ids(client: httpx.Client, room: str) -> list[str]:
    ids: list[str] = []
    params: dict[str, str] = {"limit": "500"}
    while True:
        page = client.get(f"/{room}", params=params).raise_for_status().json()
        ids += [item["id"] for item in page["items"]]
        if "next_cursor" not in page:
            return ids
        params["cursor"] = page["next_cursor"]


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
