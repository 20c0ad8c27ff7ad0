"""Texts of the collection: put, get, change, delete, list, many at once."""

import hashlib
import json

import httpx
import pytest

pytestmark = pytest.mark.anyio


async def test_a_text_is_stored_and_described(client: httpx.AsyncClient) -> None:
    body = {"text": "A child feeds pigeons.", "metadata": {"by": "me"}}
    response = await client.put("/texts/t1", json=body)
    assert (response.status_code, response.json()) == (201, {"id": "t1", "created": True})
    item = (await client.get("/texts/t1")).json()
    assert (item["kind"], item["text"], item["metadata"]) == (
        "text",
        "A child feeds pigeons.",
        {"by": "me"},
    )
    assert item["content_hash"] == hashlib.sha256(body["text"].encode()).hexdigest()
    assert "url" not in item


async def test_a_text_is_replaced_and_deleted(client: httpx.AsyncClient) -> None:
    await client.put("/texts/t1", json={"text": "one"})
    replaced = await client.put("/texts/t1", json={"text": "two"})
    assert (replaced.status_code, replaced.json()["created"]) == (200, False)
    assert (await client.get("/texts/t1")).json()["text"] == "two"
    assert (await client.delete("/texts/t1")).status_code == 204
    assert (await client.get("/texts/t1")).status_code == 404
    assert (await client.delete("/texts/t1")).status_code == 404


async def test_a_post_is_stored_under_its_content_once(client: httpx.AsyncClient) -> None:
    first = await client.post("/texts", json={"text": "snow"})
    second = await client.post("/texts", json={"text": "snow"})
    assert first.json()["id"] == second.json()["id"] == hashlib.sha256(b"snow").hexdigest()
    assert [first.status_code, second.status_code] == [201, 200]


async def test_metadata_is_merged(client: httpx.AsyncClient) -> None:
    await client.put("/texts/t1", json={"text": "one", "metadata": {"a": 1, "b": None}})
    item = (await client.patch("/texts/t1/metadata", json={"a": None, "c": 3})).json()
    assert item["metadata"] == {"b": None, "c": 3}


async def test_half_an_emoji_is_stored_as_a_replacement_character(
    client: httpx.AsyncClient,
) -> None:
    headers = {"content-type": "application/json"}
    body = b'{"text": "cut \\ud83d", "metadata": {"\\udc00": ["\\ud800"]}}'
    assert (await client.put("/texts/t1", content=body, headers=headers)).status_code == 201
    item = (await client.get("/texts/t1")).json()
    assert (item["text"], item["metadata"]) == ("cut \ufffd", {"\ufffd": ["\ufffd"]})


async def test_one_bad_text_does_not_fail_the_rest(client: httpx.AsyncClient) -> None:
    items = [
        {"id": "a", "text": "a dog"},
        {"id": "b", "text": ""},
        {"id": "c"},
        {"id": "d", "text": "a cat", "metadata": 3},
        "words",
        {"text": "no id of its own"},
        {"id": "a", "text": "the id is taken"},
        {"id": "e/f", "text": "a slash"},
        {"id": "g", "text": "x" * 1001},
        {"id": "h", "text": " " * 1001 + "a dog"},
        {"id": "\ud800", "text": "half an emoji is no id"},
    ]
    headers = {"content-type": "application/json"}
    body = json.dumps({"items": items})
    response = await client.post("/texts:bulk", content=body, headers=headers)
    assert response.status_code == 200
    found = response.json()
    assert [item["status"] for item in found["items"]] == [
        *(201, 422, 422, 422, 422),
        *(201, 409, 422, 422, 422, 422),
    ]
    named = [item["error"]["errors"][0]["pointer"] for item in found["items"] if "error" in item]
    assert named == ["/text", "/text", "/metadata", "", "/id", "/id", "/text", "/text", "/id"]
    assert (found["created"], found["failed"]) == (2, 9)
    assert (await client.get("/stats")).json()["counts"]["text"] == 2


async def test_a_bulk_is_stored_in_order_over_many_batches(client: httpx.AsyncClient) -> None:
    items = [{"id": f"t{number:03}", "text": f"sentence {number}"} for number in range(200)]
    found = (await client.post("/texts:bulk", json={"items": items})).json()
    assert [item["id"] for item in found["items"]] == [item["id"] for item in items]
    again = (await client.post("/texts:bulk", json={"items": items})).json()
    assert (again["created"], again["replaced"]) == (0, 200)


@pytest.mark.parametrize(
    ("body", "field"), [({}, "/items"), ({"items": []}, "/items"), ({"items": {}}, "/items")]
)
async def test_a_bulk_without_items_is_refused(
    client: httpx.AsyncClient, body: object, field: str
) -> None:
    response = await client.post("/texts:bulk", json=body)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == field


async def test_a_post_adds_to_what_was_told_of_the_text(client: httpx.AsyncClient) -> None:
    first = await client.post("/texts", json={"text": "a dog", "metadata": {"by": "me", "n": 1}})
    route = f"/texts/{first.json()['id']}"
    await client.post("/texts", json={"text": "a dog", "metadata": {"n": 2}})
    assert (await client.get(route)).json()["metadata"] == {"by": "me", "n": 2}
    item = {"text": "a dog", "metadata": {"n": 3}}
    await client.post("/texts:bulk", json={"items": [item]})
    assert (await client.get(route)).json()["metadata"] == {"by": "me", "n": 3}
    await client.put(route, json=item)
    assert (await client.get(route)).json()["metadata"] == {"n": 3}


async def test_metadata_that_grow_too_large_fail_alone(client: httpx.AsyncClient) -> None:
    long = {"first": "x" * 9_000}
    await client.post("/texts", json={"text": "a dog", "metadata": long})
    items = [
        {"text": "a cat"},
        {"text": "a dog", "metadata": {"second": "x" * 9_000}},
        {"text": "a cow", "metadata": {"n": 1}},
        {"text": "a cow", "metadata": {"m": 2}},
    ]
    response = await client.post("/texts:bulk", json={"items": items})
    told = response.json()["items"]
    assert [one["status"] for one in told] == [201, 422, 201, 200]
    assert told[1]["error"]["errors"][0]["pointer"] == "/metadata"
    assert "limit is 16,384" in told[1]["error"]["detail"]
    stored = {
        item["text"]: item["metadata"] for item in (await client.get("/texts")).json()["items"]
    }
    assert stored == {"a cat": {}, "a dog": long, "a cow": {"n": 1, "m": 2}}
