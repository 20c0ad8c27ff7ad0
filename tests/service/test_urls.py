"""No address that a client names is ever fetched."""

import json
import socket
from collections.abc import Iterator

import httpx
import pytest

from tests.helpers import jpeg


@pytest.fixture
def bait() -> Iterator[socket.socket]:
    """A listening socket that nobody has a reason to connect to."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        yield listener


async def test_addresses_are_words_or_refused(
    client: httpx.AsyncClient, bait: socket.socket
) -> None:
    url = f"http://127.0.0.1:{bait.getsockname()[1]}/picture.jpg"
    form = {"metadata": json.dumps({"url": url, "file": url}), "captions": json.dumps([url])}
    asked = [
        await client.put("/images/a", files={"image": (url, jpeg(), "image/jpeg")}, data=form),
        await client.put("/images/b", files={"image": ("a.jpg", url.encode(), "text/uri-list")}),
        await client.put("/images/c", data={"image": url}),
        await client.put("/texts/a", json={"text": url, "metadata": {"url": url}}),
        await client.post("/search/text-to-image", json={"query": url}),
        await client.post("/search/image-to-text", json={"image_base64": url}),
        await client.post("/search/image-to-text", json={"image_id": url}),
        await client.post("/search/image-to-text", json={"image_url": url}),
        await client.post("/v1/embeddings", json={"input": [url, f"data:image/jpeg;{url}"]}),
        await client.post("/rerank", json={"query": url, "documents": [url, {"text": url}]}),
        await client.post("/rerank", json={"query": "x", "documents": [{"image": url}]}),
        await client.post("/rerank", json={"query": "x", "documents": [{"image_url": url}]}),
    ]
    assert {answer.status_code for answer in asked} <= {200, 201, 415, 422}
    assert (await client.get("/images/a")).json()["url"] == "/images/a/thumbnail"
    with pytest.raises(BlockingIOError):
        bait.accept()
