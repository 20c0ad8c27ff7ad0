"""A disk that refuses: clients are told what was stored, and who runs the service learns of it."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from index.embedded import EmbeddedIndex
from service.running import Running
from service.settings import Settings
from tests.helpers import app_of, client_of, jpeg

pytestmark = pytest.mark.anyio

Break = Callable[[EmbeddedIndex], None]


def fill_disk(index: EmbeddedIndex) -> None:
    """No page more for SQLite, as on a disk without space."""
    writer = index._catalog._writer
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages}")


def forbid_writing(index: EmbeddedIndex) -> None:
    """Only reading from now on, as on a disk that was remounted after an error."""
    index._catalog._writer.execute("PRAGMA query_only = ON")


def index_of(client: httpx.AsyncClient) -> EmbeddedIndex:
    index = app_of(client).state.running.collection.index
    assert isinstance(index, EmbeddedIndex)
    return index


def large(number: int) -> dict[str, Any]:
    """A text with metadata that need pages of their own."""
    return {"id": str(number), "text": f"{number} dogs", "metadata": {"long": "x" * 15_000}}


@pytest.mark.parametrize(
    ("breaks", "status", "kind"),
    [
        (fill_disk, 507, "disk-full"),
        (forbid_writing, 503, "storage"),
        (EmbeddedIndex.close, 503, "closing"),
    ],
)
async def test_a_bulk_that_is_cut_short_says_what_was_stored(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, breaks: Break, status: int, kind: str
) -> None:
    async with client_of(settings.model_copy(update={"encode_batch_texts": 2})) as client:
        running: Running = app_of(client).state.running
        write, writes = running.writer.run, 0

        async def write_and_break(*job: Any) -> Any:
            nonlocal writes
            writes += 1
            result = await write(*job)
            breaks(index_of(client))
            return result

        monkeypatch.setattr(running.writer, "run", write_and_break)
        items = [*(large(n) for n in range(5)), {"id": "5"}, large(6)]
        answer = await client.post("/texts:bulk", json={"items": items})
    assert answer.status_code == 200
    told = answer.json()["items"]
    assert [one["status"] for one in told] == [201, 201, status, status, status, 422, status]
    assert [one["id"] for one in told] == [str(number) for number in range(7)]
    assert told[2]["error"]["type"] == f"urn:sightline:problem:{kind}"
    assert writes <= 2, "what can't be stored is not tried again and again"
    async with client_of(settings) as client:
        stored = (await client.get("/texts")).json()["items"]
    assert [item["id"] for item in stored] == ["0", "1"]


async def test_a_bulk_of_which_nothing_was_stored_is_refused_whole(
    client: httpx.AsyncClient,
) -> None:
    forbid_writing(index_of(client))
    files = [("images", (f"{n}.jpg", jpeg(n), "image/jpeg")) for n in range(2)]
    answer = await client.post("/images:bulk", files=files)
    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:sightline:problem:storage"


@pytest.mark.parametrize(("breaks", "reason"), [(fill_disk, "full"), (forbid_writing, "refused")])
async def test_a_disk_that_refuses_is_logged_and_counted_from_the_first_time_on(
    settings: Settings, caplog: pytest.LogCaptureFixture, breaks: Break, reason: str
) -> None:
    async with client_of(settings.model_copy(update={"encode_batch_texts": 2})) as client:
        name = f'sightline_storage_errors_total{{reason="{reason}"}}'
        assert f"{name} 0.0" in (await client.get("/metrics")).text
        breaks(index_of(client))
        id_ = {"x-request-id": "the-one"}
        metadata = {"long": "x" * 15_000}
        asked = {"text": "a dog", "metadata": metadata}
        answer = await client.put("/texts/a", json=asked, headers=id_)
        assert answer.status_code in (503, 507)
        [line] = [record for record in caplog.records if record.levelname == "ERROR"]
        assert line.request_id == "the-one"  # type: ignore[attr-defined]
        assert line.getMessage() == answer.json()["detail"]
        # Of the first batch nothing was in order, so nothing is stored.
        items = [{"id": "b"}, {"id": "c"}, *(large(n) for n in range(4))]
        bulk = await client.post("/texts:bulk", json={"items": items})
        assert bulk.status_code == answer.status_code
        told = [record for record in caplog.records if record.levelname == "ERROR"]
        assert len(told) == 2, "once for all that a request can't store"
        assert f"{name} 2.0" in (await client.get("/metrics")).text
