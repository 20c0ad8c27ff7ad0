"""Searches among items of one kind, and queries of several parts, through the real application."""

import base64
import json
import math
from typing import Any

import httpx
import pytest

from model.toy import LOGISTIC
from tests.helpers import file_of, jpeg, photo

pytestmark = pytest.mark.anyio

SENTENCES = ("a brown dog runs", "two children play", "a black cat sleeps", "snow in the city")


@pytest.fixture(scope="module")
async def filled(shared_client: httpx.AsyncClient) -> httpx.AsyncClient:
    for number in range(8):
        files = {"image": (f"p{number}.jpg", jpeg(number), "image/jpeg")}
        data = {"metadata": json.dumps({"number": number})}
        await shared_client.put(f"/images/p{number}", files=files, data=data)
    for number, text in enumerate(SENTENCES):
        await shared_client.put(f"/texts/t{number}", json={"text": text})
    return shared_client


async def ask(client: httpx.AsyncClient, route: str, **fields: Any) -> dict[str, Any]:
    response = await client.post(f"/search/{route}", json=fields)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_a_picture_is_most_like_itself(filled: httpx.AsyncClient) -> None:
    found = await ask(filled, "image-to-image", image_id="p3", k=8, explain=True)
    first = found["results"][0]
    assert (first["id"], first["probability"]) == ("p3", None)
    assert first["score"] == pytest.approx(1, abs=1e-5)
    assert first["stage_scores"]["global"] == first["score"]
    assert first["stage_scores"]["entity"] is None
    assert (found["reranked"], found["degraded"], found["no_match"]) == (0, False, False)
    scores = [result["score"] for result in found["results"]]
    assert scores == sorted(scores, reverse=True)
    assert first["explanation"]["words"] == []
    encoded = base64.b64encode(jpeg(3)).decode()
    sent = await ask(filled, "image-to-image", image_base64=encoded, k=8)
    files = {"image": ("p.jpg", jpeg(3), "image/jpeg")}
    upload = await filled.post("/search/image-to-image", files=files, data={"k": "8"})
    for other in (sent, upload.json()):
        assert [r["id"] for r in other["results"]] == [r["id"] for r in found["results"]]


async def test_a_sentence_is_most_like_itself(filled: httpx.AsyncClient) -> None:
    found = await ask(filled, "text-to-text", query=SENTENCES[2], k=2)
    assert found["results"][0]["text"] == SENTENCES[2]
    assert found["results"][0]["score"] == pytest.approx(1, abs=1e-5)
    assert found["results"][0]["probability"] is None


async def test_likeness_is_filtered_and_paged(filled: httpx.AsyncClient) -> None:
    fields: dict[str, Any] = {"image_id": "p3", "k": 2}
    fields["filter"] = {"field": "number", "range": {"lt": 5}}
    pages = [await ask(filled, "image-to-image", **fields)]
    while "next_cursor" in pages[-1]:
        cursor = pages[-1]["next_cursor"]
        pages.append(await ask(filled, "image-to-image", **fields, cursor=cursor))
    ids = [result["id"] for page in pages for result in page["results"]]
    assert ids[0] == "p3"
    assert sorted(ids) == ["p0", "p1", "p2", "p3", "p4"]


async def test_likeness_has_no_probability_to_ask_for(filled: httpx.AsyncClient) -> None:
    body = {"image_id": "p3", "min_probability": 0.5}
    response = await filled.post("/search/image-to-image", json=body)
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/min_probability"


async def test_nothing_found_is_no_match(client: httpx.AsyncClient) -> None:
    assert (await ask(client, "text-to-text", query="a dog"))["no_match"] is True


async def test_an_excluded_sentence_costs_what_its_probability_says(
    filled: httpx.AsyncClient,
) -> None:
    dog = by_id(await ask(filled, "text-to-image", query="a dog"))
    cat = by_id(await ask(filled, "text-to-image", query="a cat sleeps"))
    both = by_id(await ask(filled, "text-to-image", query="a dog", exclude="a cat sleeps"))
    for id_, result in both.items():
        asked, spared = dog[id_]["probability"], 1 - cat[id_]["probability"]
        fallen = math.log(asked * spared / (1 - asked * spared)) - math.log(asked / (1 - asked))
        expected = dog[id_]["score"] + fallen / LOGISTIC.slope
        assert result["score"] == pytest.approx(expected, abs=1e-4)
        assert result["probability"] == pytest.approx(dog[id_]["probability"] * spared, abs=1e-4)
        assert result["stage_scores"]["entity"] == dog[id_]["stage_scores"]["entity"]


def by_id(found: dict[str, Any]) -> dict[str, Any]:
    assert found["reranked"] == 8
    return {result["id"]: result for result in found["results"]}


async def test_a_sentence_and_a_picture_are_one_query_on_both_routes(
    filled: httpx.AsyncClient,
) -> None:
    one = await ask(filled, "text-to-image", query="a dog", image_id="p3", explain=True)
    other = await ask(filled, "image-to-image", query="a dog", image_id="p3", explain=True)
    assert one["results"] == other["results"]
    assert one["reranked"] == 8
    words = one["results"][0]["explanation"]["words"]
    assert "dog" in [word["text"] for word in words]
    plain = await ask(filled, "text-to-image", query="a dog")
    place = [result["id"] for result in plain["results"]].index("p3")
    assert [result["id"] for result in one["results"]].index("p3") <= place


async def test_a_picture_and_a_sentence_find_sentences(filled: httpx.AsyncClient) -> None:
    found = await ask(filled, "image-to-text", image_id="p3", query=SENTENCES[2], k=4)
    plain = await ask(filled, "image-to-text", image_id="p3", k=4)
    texts = [[result["text"] for result in answer["results"]] for answer in (found, plain)]
    assert texts[0].index(SENTENCES[2]) <= texts[1].index(SENTENCES[2])
    probabilities = [{r["id"]: r["probability"] for r in f["results"]} for f in (found, plain)]
    assert probabilities[0] == pytest.approx(probabilities[1], abs=1e-4)


async def test_an_excluded_sentence_alone_is_no_probability(filled: httpx.AsyncClient) -> None:
    found = await ask(filled, "image-to-image", image_id="p3", exclude="a dog", explain=True)
    assert {result["probability"] for result in found["results"]} == {None}
    assert found["reranked"] == 8


async def test_composed_queries_take_every_option(filled: httpx.AsyncClient) -> None:
    fields: dict[str, Any] = {
        "query": "a dog",
        "exclude": "snow",
        "image_id": "p1",
        "region": [0.1, 0.2, 0.8, 0.9],
        "k": 2,
        "candidates": 4,
        "explain": True,
        "filter": {"field": "number", "range": {"gte": 1}},
        "min_probability": 0.0,
        "deadline_ms": 60_000,
    }
    pages = [await ask(filled, "text-to-image", **fields)]
    while "next_cursor" in pages[-1]:
        cursor = pages[-1]["next_cursor"]
        pages.append(await ask(filled, "text-to-image", **fields, cursor=cursor))
    ids = [result["id"] for page in pages for result in page["results"]]
    assert sorted(ids) == [f"p{number}" for number in range(1, 8)]
    assert [page["reranked"] for page in pages] == [4, 4, 0, 0]
    first_stage = await ask(filled, "text-to-image", **{**fields, "rerank": False, "k": 4})
    assert [result["rank_before"] for result in first_stage["results"]] == [1, 2, 3, 4]


async def test_a_region_asks_as_the_cut_picture_does(filled: httpx.AsyncClient) -> None:
    region = [0.25, 0.5, 1.0, 1.0]
    whole = photo(1, 96, 72)
    lossless = base64.b64encode(file_of(whole, "PNG")).decode()
    cut = base64.b64encode(file_of(whole.crop((24, 36, 96, 72)), "PNG")).decode()
    asked = await ask(
        filled, "image-to-text", image_base64=lossless, region=region, explain=True, k=4
    )
    expected = await ask(filled, "image-to-text", image_base64=cut, explain=True, k=4)
    for one, other in zip(asked["results"], expected["results"], strict=True):
        assert (one["id"], one["score"]) == (other["id"], other["score"])
        boxes = zip(one["explanation"]["regions"], other["explanation"]["regions"], strict=True)
        for moved, own in boxes:
            x0, y0, x1, y1 = own["box"]
            inside = [0.25 + 0.75 * x0, 0.5 + 0.5 * y0, 0.25 + 0.75 * x1, 0.5 + 0.5 * y1]
            assert moved["box"] == pytest.approx(inside, abs=2e-4)
    files = {"image": ("p.png", file_of(whole, "PNG"), "image/png")}
    data = {"region": json.dumps(region), "k": "4"}
    form = await filled.post("/search/image-to-text", files=files, data=data)
    assert [r["id"] for r in form.json()["results"]] == [r["id"] for r in asked["results"]]


@pytest.mark.parametrize(
    ("route", "fields", "pointer"),
    [
        ("text-to-image", {"query": "a dog", "region": [0, 0, 1, 1]}, "/region"),
        ("text-to-image", {"query": "a dog", "exclude": ""}, "/exclude"),
        ("text-to-image", {"query": "a dog", "image_base64": "aGk="}, "/image_base64"),
        ("image-to-text", {"image_id": "p1", "region": [0.5, 0, 0.5, 1]}, "/region"),
        ("image-to-text", {"image_id": "p1", "region": [0, 0, 1, 1.5]}, "/region"),
        ("image-to-text", {"image_id": "p1", "region": [0, 0, 1]}, "/region"),
        ("image-to-text", {"image_id": "p1", "region": ["a", 0, 1, 1]}, "/region/0"),
        ("image-to-image", {}, "/image_base64"),
        ("text-to-text", {}, "/query"),
    ],
)
async def test_a_wrong_part_is_named(
    filled: httpx.AsyncClient, route: str, fields: dict[str, Any], pointer: str
) -> None:
    response = await filled.post(f"/search/{route}", json=fields)
    assert response.status_code == 422, response.text
    assert [error["pointer"] for error in response.json()["errors"]] == [pointer]


@pytest.mark.parametrize("region", [None, [0.0, 0.0, 0.5, 0.5]])
async def test_a_picture_that_is_not_indexed_is_404(
    filled: httpx.AsyncClient, region: list[float] | None
) -> None:
    body = {"query": "a dog", "image_id": "nobody", "region": region}
    response = await filled.post("/search/text-to-image", json=body)
    assert response.status_code == 404
    assert response.json()["errors"][0]["pointer"] == "/image_id"


async def test_a_batch_answers_each_query_in_order(filled: httpx.AsyncClient) -> None:
    queries = [
        {"search": "text-to-image", "query": "a dog", "k": 2},
        {"search": "image-to-text", "image_id": "p1", "k": 1},
        {"search": "image-to-image", "image_id": "p2", "k": 1},
        {"search": "text-to-text", "query": "snow", "k": 3},
        {"search": "text-to-image", "query": "a dog", "k": 0},
        {"search": "image-to-text", "image_id": "nobody"},
        {"query": "a dog"},
        {"search": "text-to-image", "query": "a dog", "filter": {"and": []}},
        "a dog",
    ]
    response = await filled.post("/search/batch", json={"queries": queries})
    assert response.status_code == 200, response.text
    items = response.json()["items"]
    assert [item["index"] for item in items] == list(range(9))
    assert [item["status"] for item in items] == [200] * 4 + [422, 404, 422, 422, 422]
    assert [len(item["answer"]["results"]) for item in items[:4]] == [2, 1, 1, 3]
    pointers = [item["error"]["errors"][0]["pointer"] for item in items[4:]]
    assert pointers == ["/k", "/image_id", "/search", "/filter/and", ""]
    alone = await ask(filled, "text-to-image", query="a dog", k=2)
    for one, other in zip(items[0]["answer"]["results"], alone["results"], strict=True):
        assert one["id"] == other["id"]
        # Encoded together with another sentence, the last digit may be another.
        assert one["score"] == pytest.approx(other["score"], abs=1e-5)


async def test_a_batch_has_a_limit(filled: httpx.AsyncClient) -> None:
    queries = [{"search": "text-to-text", "query": "snow"}] * 257
    response = await filled.post("/search/batch", json={"queries": queries})
    assert response.status_code == 422
    assert response.json()["detail"] == "queries: at most 256 searches in one request, not 257"
