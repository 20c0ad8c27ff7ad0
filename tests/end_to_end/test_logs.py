"""What a real server writes: all that is asked of it is a line, and nothing of what was asked."""

import json
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
