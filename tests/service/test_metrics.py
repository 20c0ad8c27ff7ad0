"""`GET /metrics` tells what happened, under names and labels that no client chooses."""

import asyncio
import threading
from functools import partial
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from index.embedded import EmbeddedIndex
from index.plan import Plan
from model.bundle import load_bundle
from model.matcher import Matcher
from service.collection import Collection, load_matcher
from service.collectors import exposition
from service.routes.operations import stats
from service.running import Running, running_on
from service.settings import Settings
from tests.helpers import app_of, client_of, jpeg, photo, wait_until
from tests.index.samples import DIMENSION, record

pytestmark = pytest.mark.anyio

Sample = tuple[str, frozenset[tuple[str, str]]]


def samples(text: str) -> dict[Sample, float]:
    """The value of each name with its labels."""
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def value(found: dict[Sample, float], name: str, **labels: str) -> float:
    return found[f"sightline_{name}", frozenset(labels.items())]


async def scrape(client: httpx.AsyncClient) -> dict[Sample, float]:
    return samples((await client.get("/metrics")).raise_for_status().text)


def requests(found: dict[Sample, float], route: str, method: str, status: int) -> float:
    labels = {"route": route, "method": method, "status": str(status)}
    observed = value(found, "http_request_duration_seconds_count", **labels)
    assert value(found, "http_requests_total", **labels) == observed
    return observed


async def test_the_format_is_prometheus_text_with_words_for_every_metric(
    client: httpx.AsyncClient,
) -> None:
    response = await client.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = list(text_string_to_metric_families(response.text))
    assert len(families) > 20
    assert [family.name for family in families if not family.documentation] == []
    foreign = [f.name for f in families if not f.name.startswith(("sightline_", "process_"))]
    assert foreign == []
    assert any(family.name == "process_resident_memory_bytes" for family in families)
    assert "_created" not in response.text


async def test_requests_are_counted_by_template_method_and_status(
    client: httpx.AsyncClient,
) -> None:
    await client.put("/texts/first-id", json={"text": "unspeakable words"})
    await client.put("/texts/second-id", json={"text": "unspeakable words"})
    await client.put("/texts/second-id", json={"text": "other unspeakable words"})
    await client.get("/texts/third-id")
    await client.post("/search/text-to-image", json={"query": "unspeakable query"})
    await client.get("/page/main.js")
    await client.head("/texts/first-id")
    text = (await client.get("/metrics")).text
    found = samples(text)
    assert requests(found, "/texts/{id}", "PUT", 201) == 2
    assert requests(found, "/texts/{id}", "PUT", 200) == 1
    assert requests(found, "/texts/{id}", "GET", 404) == 1
    assert requests(found, "/search/text-to-image", "POST", 200) == 1
    assert requests(found, "/page", "GET", 200) == 1
    assert requests(found, "/texts/{id}", "HEAD", 200) == 1
    assert "-id" not in text
    assert "unspeakable" not in text


async def test_what_is_refused_before_it_reaches_a_route_is_counted_there(
    settings: Settings,
) -> None:
    async with client_of(settings.model_copy(update={"max_json_bytes": 1024})) as client:
        await client.put("/texts/a", json={"text": "x" * 2000})
        await client.delete("/images/a", headers={"origin": "http://other.example"})
        await client.get("/images/a/thumbnail", headers={"host": "other.example"})
        await client.delete("/healthz")
        await client.get("/nothing/here")
        await client.request("BREW", "/healthz")
        found = await scrape(client)
    assert requests(found, "/texts/{id}", "PUT", 413) == 1
    assert requests(found, "/images/{id}", "DELETE", 403) == 1
    assert requests(found, "/images/{id}/thumbnail", "GET", 421) == 1
    assert requests(found, "/healthz", "DELETE", 405) == 1
    assert requests(found, "none", "GET", 404) == 1
    assert requests(found, "/healthz", "other", 405) == 1


async def test_a_client_that_hangs_up_is_counted_as_499(client: httpx.AsyncClient) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError(f"nobody is there for {message}")

    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": "PUT",
        "path": "/texts/a",
        "raw_path": b"/texts/a",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    await app_of(client)(scope, receive, send)
    assert requests(await scrape(client), "/texts/{id}", "PUT", 499) == 1


async def test_it_answers_when_every_queue_is_full(settings: Settings) -> None:
    full = settings.model_copy(
        update={"encoder_workers": 1, "encoder_queue": 2, "search_workers": 1, "search_queue": 0}
    )
    async with client_of(full) as client:
        running: Running = app_of(client).state.running
        gate = threading.Event()
        held = []
        for pool in running.pools.values():
            for _ in range(pool.load()["limit"]):
                held.append(asyncio.ensure_future(pool.run(gate.wait)))
        await asyncio.sleep(0)
        refused = await client.post("/search/text-to-image", json={"query": "dog"})
        found = await scrape(client)
        gate.set()
        await asyncio.gather(*held)
        free = await scrape(client)
    assert refused.status_code == 503
    assert requests(found, "/search/text-to-image", "POST", 503) == 1
    for pool in ("encoding", "searching", "writing"):
        limit = value(found, "pool_limit", pool=pool)
        assert value(found, "pool_jobs", pool=pool) == limit
        assert value(free, "pool_jobs", pool=pool) == 0
    assert value(found, "pool_limit", pool="encoding") == 3
    assert value(found, "pool_workers", pool="encoding") == 1


async def test_searches_are_timed_by_direction_and_step(client: httpx.AsyncClient) -> None:
    for seed in range(3):
        await client.put(f"/images/{seed}", files={"image": ("a.jpg", jpeg(seed), "image/jpeg")})
    query = {"query": "a brown dog"}
    answer = (await client.post("/search/text-to-image", json=query)).json()
    late = (await client.post("/search/text-to-image", json={**query, "deadline_ms": 0.001})).json()
    queries = {"queries": [{"search": "text-to-text", **query}] * 2}
    await client.post("/search/batch", json=queries)
    found = await scrape(client)
    direction = "text-to-image"
    for stage in ("encode", "search", "fetch", "rerank", "total"):
        name = "search_stage_seconds_count"
        assert value(found, name, direction=direction, stage=stage) == 2
        assert value(found, name, direction="text-to-text", stage=stage) == 2
        assert value(found, name, direction="image-to-text", stage=stage) == 0
    steps = [
        value(found, "search_stage_seconds_sum", direction=direction, stage=stage)
        for stage in ("encode", "search", "fetch", "rerank")
    ]
    total = value(found, "search_stage_seconds_sum", direction=direction, stage="total")
    assert 0 < sum(steps) <= total
    reranked = value(found, "search_reranked_candidates_sum", direction=direction)
    assert reranked == answer["reranked"] + late["reranked"]
    assert answer["reranked"] == 3
    degraded = value(found, "search_degraded_total", direction=direction)
    assert degraded == answer["degraded"] + late["degraded"]
    assert late["degraded"]
    assert value(found, "search_no_match_total", direction="text-to-text") == 2


async def test_sizes_of_batches_are_observed(settings: Settings) -> None:
    async with client_of(settings.model_copy(update={"encode_batch_texts": 2})) as client:
        items = [{"id": str(n), "text": f"{n} dogs"} for n in range(5)]
        await client.post("/texts:bulk", json={"items": items})
        await client.post("/v1/embeddings", json={"input": ["a dog", "a cat", "a bird"]})
        await client.post("/rerank", json={"query": "a dog", "documents": ["a cat", "a bird"]})
        found = await scrape(client)
    for route, items_sent in (("/texts:bulk", 5), ("/v1/embeddings", 3), ("/rerank", 2)):
        assert value(found, "request_items_sum", route=route) == items_sent
        assert value(found, "request_items_count", route=route) == 1
    # 2 + 2 + 1 texts stored, 2 + 1 embedded, the query and 2 documents.
    assert value(found, "encoding_batch_items_count", kind="text") == 7
    assert value(found, "encoding_batch_items_sum", kind="text") == 11
    assert value(found, "encoding_batch_items_bucket", kind="text", le="1.0") == 3


async def test_it_tells_what_the_index_and_the_model_are(client: httpx.AsyncClient) -> None:
    await client.put("/texts/a", json={"text": "a dog"})
    ready = (await client.get("/readyz")).json()
    stats = (await client.get("/stats")).json()
    found = await scrape(client)
    assert value(found, "items", kind="text") == 1
    assert value(found, "items", kind="image") == 0
    assert value(found, "index_generation") == ready["generation"]
    assert value(found, "index_disk_bytes") == stats["index"]["bytes_on_disk"]
    assert value(found, "index_rows", kind="text", part="delta") == 1
    assert value(found, "index_building") == 0
    [info] = [dict(labels) for name, labels in found if name == "sightline_model_info"]
    assert info == {
        **{name: ready[name] for name in ("model", "fingerprint", "device", "scorer")},
        "version": stats["version"],
        "codec": "int8",
    }


def test_what_stays_on_the_device_is_told(settings: Settings) -> None:
    # What a GPU would do, on the CPU: torch scores float16, and may keep it in slots there too.
    kept = settings.model_copy(update={"codec": "float16"})
    bundle = load_bundle(settings.bundle)
    with EmbeddedIndex.open(
        kept.data_dir, bundle.fingerprint, bundle.stored_dimension, codec="float16"
    ) as index:
        matcher = Matcher(bundle, codec="float16", device_cache_mib=1)
        running = running_on(Collection(kept, matcher, index, "cpu"))
        query, *texts = matcher.encode_texts(["a dog", "a cat", "two birds"])
        pictures = matcher.encode_pictures([photo(1)])
        for asking, kind, stored in ((query, "text", pictures), (pictures[0], "image", texts)):
            arrays = [one.arrays for one in stored]
            for _ in range(3):
                matcher.score(asking, kind, np.zeros(len(stored), np.float32), arrays)
        found = samples(exposition(running).decode())
        told = stats(running).device_cache
        for pool in running.pools.values():
            pool.close()
    assert value(found, "device_cache_used", kind="image") == told["image"].used == 2
    assert value(found, "device_cache_used", kind="text") == told["text"].used == 4
    assert value(found, "device_cache_slots", kind="text") == told["text"].slots > 100
    lookups = partial(value, found, "device_cache_lookups_total", kind="text")
    assert lookups(outcome="miss") == told["text"].misses == 4
    assert lookups(outcome="hit") == told["text"].hits == 8


async def test_the_measured_recall_is_there_once_it_is_measured(settings: Settings) -> None:
    # Lists of a few items, so that a main segment is built and its recall measured.
    plan = Plan(
        flat_rows=8, delta_rows=8, recall_target=1.0, exact_rows=0, exact_answer_every_s=0.0
    )
    with EmbeddedIndex.open(settings.data_dir, "a" * 64, DIMENSION, plan=plan) as index:
        collection = Collection(settings, load_matcher(settings), index, "cpu")
        running = running_on(collection)
        index.upsert([record(f"i{n}", seed=n) for n in range(40)])
        wait_until(lambda: index.stats()["segments"]["image"]["main_rows"] == 40, 20)
        before = exposition(running).decode()
        index.search("image", np.ones((1, DIMENSION), np.float32), 5)
        wait_until(lambda: bool(index.stats()["measured_recall"]), 20)
        found = samples(exposition(running).decode())
        for pool in running.pools.values():
            pool.close()
    assert not any(name == "sightline_first_stage_recall" for name, _ in samples(before))
    assert value(found, "first_stage_recall", kind="image") == 1.0
    assert value(found, "first_stage_recall_queries", kind="image") == 1
    assert value(found, "index_rows", kind="image", part="main") == 40


async def test_two_services_in_one_process_count_apart(settings: Settings) -> None:
    other = settings.model_copy(update={"data_dir": settings.data_dir.with_name("other")})
    async with client_of(settings) as one, client_of(other) as two:
        await one.get("/healthz")
        assert requests(await scrape(one), "/healthz", "GET", 200) == 1
        assert "/healthz" not in (await two.get("/metrics")).text
