"""Embeddings and re-ranking in the shapes that other systems expect."""

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest

from service.collection import open_collection
from service.settings import Settings
from tests.helpers import Server, client_of, jpeg

pytestmark = pytest.mark.anyio


def data_url(seed: int) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(jpeg(seed)).decode()


@pytest.fixture(scope="module")
def official(server: Server) -> Iterator[openai.OpenAI]:
    """OpenAI's own client, on a real server."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def test_the_official_client_gets_vectors_in_both_encodings(official: openai.OpenAI) -> None:
    inputs = ["a dog", data_url(1), "two cats in the snow"]
    # Without `encoding_format` the client asks for base64 and decodes it.
    packed = official.embeddings.create(model="toy", input=inputs)
    plain = official.embeddings.create(model="toy", input=inputs, encoding_format="float")
    assert [item.index for item in packed.data] == [0, 1, 2]
    vectors = np.array([item.embedding for item in packed.data])
    assert vectors.shape == (3, 32)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert np.allclose(vectors, [item.embedding for item in plain.data], atol=1e-6)
    assert (packed.model, packed.object) == ("toy", "list")
    assert packed.usage.prompt_tokens == packed.usage.total_tokens == 2 + 1 + 5
    [alone] = official.embeddings.create(model="toy", input="a dog", dimensions=32).data
    assert np.allclose(alone.embedding, vectors[0], atol=1e-5)


def test_the_official_client_is_told_what_is_wrong(official: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        official.embeddings.create(model="gpt", input="a dog")
    assert detail_of(unknown.value) == "there is no model 'gpt' here, but 'toy'"
    with pytest.raises(openai.UnprocessableEntityError) as shortened:
        official.embeddings.create(model="toy", input="a dog", dimensions=16)
    assert detail_of(shortened.value).endswith("the vectors have 32 numbers and can't be shortened")


def detail_of(error: openai.APIStatusError) -> str:
    assert isinstance(error.body, dict)
    return str(error.body["detail"])


def test_vectors_are_those_that_are_searched(settings: Settings) -> None:
    with open_collection(settings) as collection:
        [encoded] = collection.matcher.encode_texts(["a dog"])
        [picture] = collection.matcher.encode_texts(["a dog"], to_store=False)
    assert np.allclose(encoded.vector[:-1], picture.query[:-1])
    assert encoded.vector[-1] != 0


@pytest.mark.parametrize(
    ("fields", "pointer", "words"),
    [
        ({"input": ""}, "/input", "1 to 1,000 characters"),
        ({"input": ["a dog", "x" * 1001]}, "/input/1", "not 1,001"),
        ({"input": []}, "/input", "1 to 1,000 inputs"),
        ({"input": [1, 2]}, "/input/0", "tokens are not accepted"),
        ({"input": None}, "/input", "expected a text"),
        ({"input": "data:image/png;base64,***"}, "/input", "not base64"),
        ({"input": ["a", "data:image/png;base64,aGk="]}, "/input/1", "not a picture"),
        ({"input": "a dog", "encoding_format": "hex"}, "/encoding_format", "'float' or 'base64'"),
        ({}, "/input", "required"),
    ],
)
async def test_a_wrong_input_is_named(
    shared_client: httpx.AsyncClient, fields: dict[str, Any], pointer: str, words: str
) -> None:
    response = await shared_client.post("/v1/embeddings", json=fields)
    assert response.status_code == 422, response.text
    named = {error["pointer"]: error["detail"] for error in response.json()["errors"]}
    assert words in named[pointer]


async def test_pictures_are_ordered_for_a_sentence_as_a_search_orders_them(
    client: httpx.AsyncClient,
) -> None:
    for seed in range(4):
        files = {"image": (f"{seed}.jpg", jpeg(seed), "image/jpeg")}
        await client.put(f"/images/p{seed}", files=files)
    documents = [
        data_url(0),
        {"image": base64.b64encode(jpeg(1)).decode()},
        {"image_id": "p2"},
        data_url(3),
    ]
    body = {"query": "a dog in the snow", "documents": documents}
    found = (await client.post("/rerank", json=body)).json()
    search = {"query": "a dog in the snow"}
    expected = (await client.post("/search/text-to-image", json=search)).json()["results"]
    assert [f"p{one['index']}" for one in found["results"]] == [one["id"] for one in expected]
    scores = [one["relevance_score"] for one in found["results"]]
    # Stored matrices are rounded to 8 bits a number.
    assert scores == pytest.approx([one["probability"] for one in expected], abs=5e-3)
    assert found["model"] == "toy"
    few = {**body, "top_n": 2, "return_documents": True}
    best = (await client.post("/rerank", json=few)).json()["results"]
    assert [one["index"] for one in best] == [one["index"] for one in found["results"]][:2]
    assert {"image_id": "p2"} in [one["document"] for one in best] or all(
        "image" in one["document"] for one in best
    )


async def test_sentences_are_ordered_for_a_picture_and_for_a_sentence(
    client: httpx.AsyncClient,
) -> None:
    await client.put("/texts/t", json={"text": "a black cat sleeps"})
    documents = ["a dog", {"text": "snow in the city"}, {"text_id": "t"}]
    body = {"query": data_url(1), "documents": documents}
    for_picture = (await client.post("/rerank", json=body)).json()["results"]
    assert sorted(one["index"] for one in for_picture) == [0, 1, 2]
    assert all(0 <= one["relevance_score"] <= 1 for one in for_picture)
    body = {"query": "snow in the city", "documents": documents, "return_documents": True}
    for_text = (await client.post("/rerank", json=body)).json()["results"]
    assert for_text[0]["document"] == {"text": "snow in the city"}
    assert for_text[0]["relevance_score"] == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("fields", "pointer", "words"),
    [
        ({"documents": []}, "/documents", "at least 1 item"),
        ({"documents": ["a"] * 1001}, "/documents", "at most 1,000 documents"),
        ({"documents": ["a", 3]}, "/documents/1", "an object with one of text"),
        ({"documents": [{"text": "a", "image_id": "b"}]}, "/documents/0", "one of text"),
        ({"documents": [{"url": "http://x"}]}, "/documents/0", "one of text"),
        ({"documents": [{"text": ""}]}, "/documents/0/text", "1 to 1,000"),
        ({"documents": [{"text": data_url(1)}]}, "/documents/0/text", "1 to 1,000"),
        ({"documents": [{"text_id": "a/b"}]}, "/documents/0/text_id", "holds no"),
        ({"documents": [{"image": "***"}]}, "/documents/0/image", "not base64"),
        ({"documents": ["a", {"image_id": "b"}]}, "/documents", "all pictures, or all texts"),
        ({"query": " ", "documents": ["a"]}, "/query", "1 to 1,000"),
        ({"documents": ["a"], "top_n": 0}, "/top_n", "greater than or equal to 1"),
    ],
)
async def test_a_wrong_document_is_named(
    shared_client: httpx.AsyncClient, fields: dict[str, Any], pointer: str, words: str
) -> None:
    response = await shared_client.post("/rerank", json={"query": "a dog", **fields})
    assert response.status_code == 422, response.text
    named = {error["pointer"]: error["detail"] for error in response.json()["errors"]}
    assert words in named[pointer]


async def test_a_document_that_is_not_stored_is_404(shared_client: httpx.AsyncClient) -> None:
    body = {"query": "a dog", "documents": [{"image_id": "nobody"}]}
    response = await shared_client.post("/rerank", json=body)
    assert response.status_code == 404
    assert response.json()["errors"][0]["pointer"] == "/documents/0/image_id"


async def test_limits_are_settings(settings: Settings) -> None:
    limits = {"max_embedded_inputs": 2, "max_rerank_documents": 2, "max_batch_queries": 1}
    async with client_of(settings.model_copy(update=limits)) as client:
        for path, body in (
            ("/v1/embeddings", {"input": ["a", "b", "c"]}),
            ("/rerank", {"query": "a", "documents": ["a", "b", "c"]}),
            ("/search/batch", {"queries": [{}, {}]}),
        ):
            response = await client.post(path, json=body)
            assert response.status_code == 422
            assert "at most" in response.json()["detail"] or "1 to 2" in response.json()["detail"]


async def test_a_batch_asks_for_no_more_results_than_memory_has_room_for(
    settings: Settings,
) -> None:
    async with client_of(settings.model_copy(update={"max_batch_results": 40})) as client:

        async def ask(*options: dict[str, Any]) -> httpx.Response:
            queries = [{"search": "text-to-text", "query": "a dog", **one} for one in options]
            return await client.post("/search/batch", json={"queries": queries})

        fits = await ask({"k": 29}, {"k": 1, "explain": True}, {"k": 5, "colour": "red"}, {"k": 1})
        assert [one["status"] for one in fits.json()["items"]] == [200, 200, 422, 200]
        refused = await ask({"k": 30}, {"k": 1, "explain": True}, {"k": 1})
    assert refused.status_code == 422
    [error] = refused.json()["errors"]
    assert error["pointer"] == "/queries"
    assert "at most 40 results together, not 41" in error["detail"]
