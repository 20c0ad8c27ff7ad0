"""Is it up, what does it hold, and does it stay answerable under load."""

import asyncio
import threading
from typing import Any

import httpx
import numpy as np
import pytest

from index.embedded import EmbeddedIndex
from index.plan import Plan
from model.fused import variant
from service.collection import resolve_device
from service.errors import StartError
from service.running import Running
from service.settings import Device, Settings
from service.status import IndexStats
from tests.helpers import app_of, client_of, jpeg, wait_until
from tests.index.samples import DIMENSION, record

pytestmark = pytest.mark.anyio


async def test_readiness_tells_what_is_loaded(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    await client.put("/texts/a", json={"text": "a dog"})
    ready = (await client.get("/readyz")).json()
    fingerprint = ready.pop("fingerprint")
    assert len(fingerprint) == 64
    assert ready == {
        "ready": True,
        "model": "toy",
        "device": "cpu",
        "scorer": variant(),
        "index_device": "cpu",
        "generation": 1,
        "images": 0,
        "texts": 1,
        "engine": "embedded",
        "faiss_index": {"image": "Flat", "text": "Flat"},
    }
    assert (await client.get("/healthz")).json() == {"status": "ok"}


async def test_stats_count_and_measure(client: httpx.AsyncClient) -> None:
    await client.put("/images/a", files={"image": ("a.jpg", jpeg(1), "image/jpeg")})
    stats = (await client.get("/stats")).json()
    assert stats["counts"] == {"image": 1, "text": 0}
    assert stats["index"]["engine"] == "embedded"
    assert stats["index"]["bytes_on_disk"] > 0
    assert stats["index"]["fingerprint"] == stats["fingerprint"]
    assert (stats["scorer"], stats["index"]["codec"]) == (variant(), "int8")
    assert stats["index"]["bytes_per_item"]["image"] > 100
    assert stats["index"]["bytes_per_item"]["text"] == 0
    assert stats["queues"]["encoding"]["jobs"] == 0
    assert stats["uptime_s"] >= 0
    nothing = {"slots": 0, "used": 0, "hits": 0, "misses": 0}
    assert stats["device_cache"] == {"image": nothing, "text": nothing}


def test_stats_tell_all_that_the_index_says(settings: Settings) -> None:
    # Lists of a few items, so that a main segment is built and its recall measured.
    plan = Plan(
        flat_rows=8, delta_rows=8, recall_target=1.0, exact_rows=0, exact_answer_every_s=0.0
    )
    with EmbeddedIndex.open(settings.data_dir, "a" * 64, DIMENSION, plan=plan) as index:
        index.upsert([record(f"i{n}", seed=n) for n in range(40)])
        wait_until(lambda: index.stats()["segments"]["image"]["main_rows"] == 40, 20)
        index.search("image", np.ones((1, DIMENSION), np.float32), 5)
        wait_until(lambda: bool(index.stats()["measured_recall"]), 20)
        found = index.stats()
    told = IndexStats.model_validate(found)
    assert told.model_dump(mode="json", exclude_unset=True) == found
    assert told.segments["image"].nprobe is not None
    assert told.segments["text"].nprobe is None
    assert told.measured_recall["image"].queries >= 1


async def test_a_full_queue_is_503_and_the_rest_goes_on(settings: Settings) -> None:
    narrow = settings.model_copy(
        update={"encoder_workers": 1, "encoder_queue": 1, "retry_after_s": 3}
    )
    async with client_of(narrow) as client:
        running: Running = app_of(client).state.running
        pool = running.encoders
        gate = threading.Event()
        held = [asyncio.ensure_future(pool.run(gate.wait)) for _ in range(2)]
        await asyncio.sleep(0)
        refused = await client.post("/search/text-to-image", json={"query": "dog"})
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "3"
        assert refused.json()["type"] == "urn:sightline:problem:overloaded"
        # What needs no encoder is answered meanwhile: nothing blocks the event loop.
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/images")).status_code == 200
        gate.set()
        await asyncio.gather(*held)
        answered = await client.post("/search/text-to-image", json={"query": "dog"})
        assert answered.status_code == 200


@pytest.mark.parametrize("waiting", [0, 1], ids=["busy", "full"])
async def test_what_watches_it_does_not_wait_behind_searches(
    settings: Settings, waiting: int
) -> None:
    narrow = settings.model_copy(update={"search_workers": 1, "search_queue": 1})
    async with client_of(narrow) as client, asyncio.timeout(30):
        pool = app_of(client).state.running.searchers
        gate = threading.Event()
        held = [asyncio.ensure_future(pool.run(gate.wait)) for _ in range(1 + waiting)]
        try:
            await asyncio.sleep(0)
            for path in ("/healthz", "/readyz", "/stats"):
                assert (await client.get(path)).status_code == 200
            stats = (await client.get("/stats")).json()
            assert stats["queues"]["searching"] == {"workers": 1, "jobs": 1 + waiting, "limit": 2}
        finally:
            gate.set()
        await asyncio.gather(*held)


async def test_a_bulk_that_meets_a_full_queue_says_what_was_stored(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    narrow = settings.model_copy(
        update={"encoder_workers": 1, "encoder_queue": 0, "encode_batch_texts": 2}
    )
    async with client_of(narrow) as client:
        running: Running = app_of(client).state.running
        pool = running.encoders
        gate = threading.Event()
        held: list[asyncio.Future[bool]] = []
        write = running.writer.run

        async def write_and_fill(*job: Any) -> Any:
            result = await write(*job)
            held.append(asyncio.ensure_future(pool.run(gate.wait)))
            await asyncio.sleep(0)
            return result

        monkeypatch.setattr(running.writer, "run", write_and_fill)
        items = [{"id": str(number), "text": f"sentence {number}"} for number in range(4)]
        found = (await client.post("/texts:bulk", json={"items": items})).json()
        gate.set()
        await asyncio.gather(*held)
        assert [item["status"] for item in found["items"]] == [201, 201, 503, 503]
        ids = [item["id"] for item in (await client.get("/texts")).json()["items"]]
        assert ids == ["0", "1"]


async def test_concurrent_writes_and_searches_all_succeed(client: httpx.AsyncClient) -> None:
    async def put(number: int) -> int:
        response = await client.put(f"/texts/{number}", json={"text": f"a dog and {number} cats"})
        return response.status_code

    async def patch(number: int) -> int:
        response = await client.patch("/texts/shared/metadata", json={str(number): number})
        return response.status_code

    async def search(number: int) -> int:
        response = await client.post("/search/text-to-image", json={"query": f"{number} cats"})
        return response.status_code

    await client.put("/texts/shared", json={"text": "shared"})
    numbers = range(12)
    statuses = await asyncio.gather(
        *(put(n) for n in numbers), *(patch(n) for n in numbers), *(search(n) for n in numbers)
    )
    assert set(statuses) == {200, 201}
    merged = (await client.get("/texts/shared")).json()["metadata"]
    assert merged == {str(number): number for number in numbers}


async def test_nothing_is_lost_between_two_runs(settings: Settings) -> None:
    for expected in (0, 1):
        async with client_of(settings) as client:
            assert (await client.get("/readyz")).json()["texts"] == expected
            await client.put("/texts/a", json={"text": "a dog"})


@pytest.mark.parametrize(
    ("asked", "usable", "found"),
    [("auto", False, "cpu"), ("auto", True, "cuda"), ("cpu", True, "cpu"), ("cuda", True, "cuda")],
)
def test_the_device_is_the_one_that_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, asked: Device, usable: bool, found: str
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: usable)
    assert resolve_device(asked) == found


def test_a_gpu_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(StartError, match="device: cuda was asked for"):
        resolve_device("cuda")
