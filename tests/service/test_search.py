"""Both searches through the real application: shapes, options, and whatever a person may type."""

import base64
import json
import sqlite3
from contextlib import closing
from typing import Any

import httpx
import pytest

from service.settings import Settings
from tests.helpers import jpeg

pytestmark = pytest.mark.anyio

RESULT = {"id", "score", "probability", "stage_scores", "rank_before", "metadata"}
SENTENCES = ("a brown dog runs", "two children play", "a black cat sleeps", "snow in the city")


@pytest.fixture(scope="module")
async def filled(shared_client: httpx.AsyncClient) -> httpx.AsyncClient:
    """A client of a collection with eight pictures and four texts."""
    await fill(shared_client)
    return shared_client


async def fill(client: httpx.AsyncClient) -> None:
    files = [("images", (f"p{n}.jpg", jpeg(n), "image/jpeg")) for n in range(8)]
    metadata = json.dumps([{"metadata": {"number": n}} for n in range(8)])
    bulk = await client.post("/images:bulk", files=files, data={"items": metadata})
    assert bulk.json()["created"] == len(files)
    items = [{"id": f"t{number}", "text": text} for number, text in enumerate(SENTENCES)]
    bulk = await client.post("/texts:bulk", json={"items": items})
    assert bulk.json()["created"] == len(SENTENCES)


async def ask(client: httpx.AsyncClient, query: str, **options: Any) -> dict[str, Any]:
    body = {"query": query, **options}
    response = await client.post("/search/text-to-image", json=body)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def test_a_sentence_finds_pictures_best_first(filled: httpx.AsyncClient) -> None:
    found = await ask(filled, "a dog on the grass", k=5)
    assert found.keys() == {
        *("results", "took_ms", "candidates", "reranked", "degraded"),
        *("no_match", "model", "generation", "next_cursor"),
    }
    assert found["took_ms"].keys() == {"encode", "search", "fetch", "rerank", "total"}
    assert found["took_ms"]["total"] > 0
    results = found["results"]
    assert len(results) == 5
    assert {frozenset(result) for result in results} == {frozenset(RESULT | {"url"})}
    assert (found["candidates"], found["reranked"], found["degraded"]) == (8, 8, False)
    scores = [result["score"] for result in results]
    assert scores == sorted(scores, reverse=True)
    for result in results:
        assert result["url"] == f"/images/{result['id']}/thumbnail"
        assert result["metadata"] == {"number": int(result["id"][1:])}
        assert result["stage_scores"].keys() == {
            "global",
            "entity",
            "relation",
            "semantic",
            "concept",
        }
        assert 0 <= result["probability"] <= 1
        assert 1 <= result["rank_before"] <= 8


async def test_a_picture_finds_sentences_whichever_way_it_comes(filled: httpx.AsyncClient) -> None:
    data = jpeg(3)
    as_text = base64.b64encode(data).decode()
    path = "/search/image-to-text"
    files = {"image": ("p.jpg", data, "image/jpeg")}
    answers = [
        await filled.post(path, files=files, data={"k": "3", "explain": "false"}),
        await filled.post(path, json={"image_base64": as_text, "k": 3}),
        await filled.post(path, json={"image_base64": f"data:image/jpeg;base64,{as_text}", "k": 3}),
        await filled.post(path, json={"image_id": "p3", "k": 3}),
    ]
    ids = []
    for response in answers:
        assert response.status_code == 200, response.text
        results = response.json()["results"]
        assert all(result.keys() == RESULT | {"text"} for result in results)
        assert [SENTENCES[int(r["id"][1:])] for r in results] == [r["text"] for r in results]
        ids.append([result["id"] for result in results])
    assert ids == [ids[0]] * 4


async def test_the_first_stage_alone_says_nothing_about_layers(filled: httpx.AsyncClient) -> None:
    found = await ask(filled, "a dog", rerank=False, k=4)
    reranked = await ask(filled, "a dog", k=8)
    cosines = {r["id"]: r["stage_scores"]["global"] for r in reranked["results"]}
    assert (found["reranked"], found["degraded"], found["candidates"]) == (0, False, 4)
    assert [result["rank_before"] for result in found["results"]] == [1, 2, 3, 4]
    for result in found["results"]:
        stages = result["stage_scores"]
        # The layer is the plain cosine either way; the score is what ranked, offset included.
        assert stages["global"] == pytest.approx(cosines[result["id"]], abs=1e-6)
        assert stages["global"] != result["score"]
        fine = ("entity", "relation", "semantic", "concept")
        assert [stages[name] for name in fine] == [None] * 4


async def test_an_explanation_tells_where_each_word_looked(filled: httpx.AsyncClient) -> None:
    query = "  a dog, and 狗 too"
    found = await ask(filled, query, explain=True, k=2)
    for result in found["results"]:
        why = result["explanation"]
        assert why.keys() == {"words", "regions", "tags", "concepts"}
        words = why["words"]
        assert [query[word["start"] : word["end"]] for word in words] == [w["text"] for w in words]
        assert "dog" in [word["text"] for word in words]
        for word in words:
            weights = [region["weight"] for region in word["regions"]]
            assert weights == sorted(weights, reverse=True)
            assert 1 <= len(weights) <= 9
        for region in [r for word in words for r in word["regions"]] + why["regions"]:
            x0, y0, x1, y1 = region["box"]
            assert 0 <= x0 < x1 <= 1
            assert 0 <= y0 < y1 <= 1


async def test_a_found_sentence_is_explained_by_its_own_words(filled: httpx.AsyncClient) -> None:
    body = {"image_id": "p1", "explain": True}
    found = (await filled.post("/search/image-to-text", json=body)).json()
    for result in found["results"]:
        words = result["explanation"]["words"]
        assert [result["text"][w["start"] : w["end"]] for w in words] == [w["text"] for w in words]
        assert words


async def test_a_minimum_leaves_out_what_is_less_likely(filled: httpx.AsyncClient) -> None:
    everything = (await ask(filled, "a dog"))["results"]
    middle = sorted(result["probability"] for result in everything)[4]
    likely = (await ask(filled, "a dog", min_probability=middle))["results"]
    assert likely == [result for result in everything if result["probability"] >= middle]
    assert 0 < len(likely) < len(everything)


async def test_a_filter_is_applied_before_the_best_are_taken(filled: httpx.AsyncClient) -> None:
    everything = (await ask(filled, "a dog", rerank=False))["results"]
    last = {"field": "number", "in": [result["metadata"]["number"] for result in everything[-3:]]}
    for options in ({}, {"rerank": False}, {"candidates": 3, "k": 3}, {"deadline_ms": 60_000}):
        found = await ask(filled, "a dog", filter=last, **options)
        assert {r["id"] for r in found["results"]} == {r["id"] for r in everything[-3:]}
        assert [r["rank_before"] for r in found["results"]] != []
        assert {r["rank_before"] for r in found["results"]} == {1, 2, 3}
    explained = await ask(filled, "a dog", filter=last, explain=True, k=1)
    assert explained["results"][0]["explanation"]["words"]
    none = await ask(filled, "a dog", filter={"tag": "no such tag"})
    assert (none["results"], none["no_match"], none["candidates"]) == ([], True, 0)


async def test_a_minimum_holds_within_a_filter(filled: httpx.AsyncClient) -> None:
    odd = {"field": "number", "in": [1, 3, 5, 7]}
    everything = (await ask(filled, "a dog", filter=odd))["results"]
    middle = sorted(result["probability"] for result in everything)[2]
    likely = (await ask(filled, "a dog", filter=odd, min_probability=middle))["results"]
    assert [r["id"] for r in likely] == [r["id"] for r in everything if r["probability"] >= middle]
    assert 0 < len(likely) < len(everything)


async def test_a_picture_searches_filtered_sentences_in_json_and_as_a_form(
    client: httpx.AsyncClient,
) -> None:
    for number, text in enumerate(SENTENCES):
        body = {"text": text, "metadata": {"number": number}}
        await client.put(f"/texts/t{number}", json=body)
    wanted = {"field": "number", "range": {"gte": 2}}
    files = {"image": ("p.jpg", jpeg(1), "image/jpeg")}
    path = "/search/image-to-text"
    form = await client.post(path, files=files, data={"filter": json.dumps(wanted)})
    encoded = base64.b64encode(jpeg(1)).decode()
    plain = await client.post(path, json={"image_base64": encoded, "filter": wanted})
    for response in (form, plain):
        assert {result["id"] for result in response.json()["results"]} == {"t2", "t3"}


async def test_an_empty_collection_matches_nothing(client: httpx.AsyncClient) -> None:
    found = await ask(client, "anything")
    assert (found["results"], found["no_match"], found["candidates"]) == ([], True, 0)


async def test_a_past_deadline_leaves_the_order_of_the_first_stage(
    filled: httpx.AsyncClient,
) -> None:
    late = await ask(filled, "a dog", deadline_ms=0.001)
    first_stage = await ask(filled, "a dog", rerank=False)
    assert (late["degraded"], late["reranked"]) == (True, 0)
    assert late["results"] == first_stage["results"]


async def test_a_generous_deadline_changes_nothing(filled: httpx.AsyncClient) -> None:
    patient = await ask(filled, "a dog", deadline_ms=60_000)
    plain = await ask(filled, "a dog")
    assert (patient["degraded"], patient["reranked"]) == (False, 8)
    assert patient["results"] == plain["results"]


async def test_what_was_deleted_is_not_found(client: httpx.AsyncClient) -> None:
    await fill(client)
    assert (await client.delete("/images/p2")).status_code == 204
    found = await ask(client, "a dog", k=8)
    assert "p2" not in [result["id"] for result in found["results"]]
    assert len(found["results"]) == 7


@pytest.mark.parametrize(
    "query",
    [
        "dog",
        "xylotomously unheard-of blorbs",
        "🐕‍🦺🏽",
        "一只狗在海滩上奔跑",
        "собака на берегу",
        "كلب يجري",
        "\x00",
        "a\x00dog\x1b[31m",
        "\ud83d",
        "half an emoji \ud83d and the rest",
        "!!! ??? ...",
        "a" * 1000,
        "word " * 200,
        "\u202edlrow\u200b",
        "'; DROP TABLE items; --",
        "\n\tdog\n",
        "e\u0301" * 400,
    ],
)
async def test_anything_typed_is_answered(filled: httpx.AsyncClient, query: str) -> None:
    body = ascii_json({"query": query, "explain": True, "k": 8})
    headers = {"content-type": "application/json"}
    response = await filled.post("/search/text-to-image", content=body, headers=headers)
    assert response.status_code == 200, response.text
    assert len(response.json()["results"]) == 8


def ascii_json(value: Any) -> bytes:
    """JSON with escapes, which can carry lone surrogates as JavaScript's can."""
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({}, "/query", "required"),
        ({"query": 5}, "/query", "valid string"),
        ({"query": None}, "/query", "valid string"),
        ({"query": ["dog"]}, "/query", "valid string"),
        ({"query": ""}, "/query", "1 to 1000 characters"),
        ({"query": " \n\t "}, "/query", "1 to 1000 characters"),
        ({"query": "a" * 1001}, "/query", "1 to 1000 characters"),
        ({"query": "dog", "k": 0}, "/k", "greater than or equal to 1"),
        ({"query": "dog", "k": 1001}, "/k", "less than or equal to 1000"),
        ({"query": "dog", "k": 10**30}, "/k", "less than or equal to 1000"),
        ({"query": "dog", "k": "ten"}, "/k", "valid integer"),
        ({"query": "dog", "k": "10"}, "/k", "valid integer"),
        ({"query": "dog", "k": True}, "/k", "valid integer"),
        ({"query": "dog", "k": 2.5}, "/k", "valid integer"),
        ({"query": "dog", "k": float("nan")}, "/k", "valid integer"),
        ({"query": "dog", "candidates": 5}, "/candidates", "5 is below k, which is 10"),
        ({"query": "dog", "candidates": 1001}, "/candidates", "over the limit of 1,000"),
        ({"query": "dog", "rerank": "yes"}, "/rerank", "valid boolean"),
        ({"query": "dog", "explain": 1}, "/explain", "valid boolean"),
        ({"query": "dog", "min_probability": 1.5}, "/min_probability", "less than or equal to 1"),
        ({"query": "dog", "min_probability": float("nan")}, "/min_probability", "finite"),
        ({"query": "dog", "deadline_ms": 0}, "/deadline_ms", "greater than 0"),
        ({"query": "dog", "deadline_ms": float("inf")}, "/deadline_ms", "finite"),
        ({"query": "dog", "filter": "year"}, "/filter", "valid dictionary"),
        ({"query": "dog", "filter": {"equals": 1}}, "/filter", "must hold one of and, or, not"),
        ({"query": "dog", "filter": {"and": [{"tag": "a"}, 7]}}, "/filter/and/1", "an object"),
        ({"query": "dog", "filter": {"tag": [3]}}, "/filter/tag", "a text or a list of texts"),
        (
            {"query": "dog", "filter": {"not": {"field": "n", "in": [1, []]}}},
            "/filter/not/in/1",
            "field '/n', in: must be a text, a finite number",
        ),
        ({"query": "dog", "filter": {"field": "n", "like": "x"}}, "/filter", "no such operator"),
        ({"query": "dog", "cursor": "x"}, "/cursor", "not a cursor"),
        ({"query": "dog", "cursor": ""}, "/cursor", "not a cursor"),
        ({"query": "dog", "cursor": "e30"}, "/cursor", "not a cursor"),
        ({"query": "dog", "cursor": 3}, "/cursor", "valid string"),
        ({"query": "dog", "Query": "dog"}, "/Query", "no such field"),
    ],
)
async def test_a_wrong_field_is_named_with_its_limit(
    shared_client: httpx.AsyncClient, body: Any, field: str, words: str
) -> None:
    headers = {"content-type": "application/json"}
    response = await shared_client.post(
        "/search/text-to-image", content=ascii_json(body), headers=headers
    )
    assert response.status_code == 422
    [error] = response.json()["errors"]
    assert error["pointer"] == field
    assert words in error["detail"]


async def test_all_wrong_fields_are_named_at_once(shared_client: httpx.AsyncClient) -> None:
    body = {"query": "", "k": 0, "sort": "up"}
    errors = (await shared_client.post("/search/text-to-image", json=body)).json()["errors"]
    assert {error["pointer"] for error in errors} == {"/query", "/k", "/sort"}


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"k": "ten"}, "/k"),
        ({"k": "0"}, "/k"),
        ({"rerank": "perhaps"}, "/rerank"),
        ({"min_probability": "nan"}, "/min_probability"),
        ({"filter": "{}"}, "/filter"),
        ({"filter": "{"}, "/filter"),
        ({"filter": "[]"}, "/filter"),
        ({"filter": '{"or": [{"field": "n", "range": {"gt": true}}]}'}, "/filter/or/0/range"),
        ({"k": ["1", "2"]}, "/k"),
    ],
)
async def test_a_wrong_field_of_a_form_is_named(
    shared_client: httpx.AsyncClient, form: Any, field: str
) -> None:
    files = {"image": ("p.jpg", jpeg(), "image/jpeg")}
    response = await shared_client.post("/search/image-to-text", files=files, data=form)
    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == [field]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "/image_base64"),
        ({"image_id": "a", "image_base64": "aGk="}, "/image_base64"),
        ({"image_base64": "***"}, "/image_base64"),
        ({"image_base64": "aGk="}, "/image"),
        ({"image_id": "a/b"}, "/image_id"),
        ({"image_id": 7}, "/image_id"),
    ],
)
async def test_a_picture_that_is_not_there_is_named(
    shared_client: httpx.AsyncClient, body: Any, field: str
) -> None:
    response = await shared_client.post("/search/image-to-text", json=body)
    assert response.status_code == 422
    assert [error["pointer"] for error in response.json()["errors"]] == [field]


async def test_an_id_that_was_never_stored_is_404(shared_client: httpx.AsyncClient) -> None:
    response = await shared_client.post("/search/image-to-text", json={"image_id": "never stored"})
    assert response.status_code == 404
    assert [error["pointer"] for error in response.json()["errors"]] == ["/image_id"]


async def test_a_form_without_a_file_names_the_file(shared_client: httpx.AsyncClient) -> None:
    path = "/search/image-to-text"
    boundary = {"content-type": "multipart/form-data; boundary=x"}
    part = b'--x\r\ncontent-disposition: form-data; name="image"\r\n\r\nwords\r\n--x--\r\n'
    words = await shared_client.post(path, content=part, headers=boundary)
    assert (words.status_code, words.json()["detail"]) == (422, "image: expected one file")
    none = await shared_client.post(path, content=part.replace(b"image", b"k"), headers=boundary)
    assert "/image" in [error["pointer"] for error in none.json()["errors"]]
    broken = await shared_client.post(
        path, content=b"--y", headers={"content-type": "multipart/form-data"}
    )
    assert broken.status_code == 400


async def test_a_damaged_item_costs_its_own_place_alone(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    await fill(client)
    whole = await ask(client, "a dog on the grass", k=8)
    damaged = whole["results"][2]["id"]
    await client.patch(f"/images/{damaged}/metadata", json={"so it is": "read again"})
    with closing(sqlite3.connect(settings.data_dir / "catalog.sqlite")) as connection, connection:
        connection.execute(
            "UPDATE arrays SET arrays = zeroblob(length(arrays)) WHERE number ="
            " (SELECT number FROM item WHERE kind = 'image' AND id = ?)",
            (damaged,),
        )
    found = await ask(client, "a dog on the grass", k=8)
    expected = [one["id"] for one in whole["results"] if one["id"] != damaged]
    assert [one["id"] for one in found["results"]] == expected
    assert (found["candidates"], found["degraded"]) == (7, False)
    assert 'damaged_items_total{kind="image"} 1.0' in (await client.get("/metrics")).text
    asked = {"image_id": damaged, "search": "image-to-image"}
    batch = await client.post("/search/batch", json={"queries": [asked]})
    [outcome] = batch.json()["items"]
    assert (outcome["status"], outcome["error"]["type"]) == (500, "urn:sightline:problem:damaged")
    assert repr(damaged) in outcome["error"]["detail"]
    alone = await client.post("/search/image-to-image", json={"image_id": damaged})
    assert alone.status_code == 500
    assert "sightline_http_internal_errors_total 1.0" in (await client.get("/metrics")).text
