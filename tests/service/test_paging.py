"""Pages of a search: together they are one ranking, and a cursor fits no other search."""

import base64
import json
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.answers import SearchResponse
from service.collection import Collection, open_collection
from service.cursor import Cursor
from service.errors import CursorExpiredError, InvalidFieldsError
from service.ingest import NewPicture, NewText, prepare_pictures, prepare_texts, store
from service.queries import PictureQuery, TextQuery
from service.question import encode_question
from service.results import answer
from service.search import ask_of, search
from service.settings import Settings
from tests.helpers import client_of, jpeg

PICTURES = 23
SENTENCES = ("a dog", "two dogs run", "a cat sleeps", "snow", "a red ball", "children in snow")


@pytest.fixture(scope="module")
def filled(toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    """Pictures and texts, of which every third has a twin, so that scores tie."""
    folder = tmp_path_factory.mktemp("paging") / "data"
    chosen = Settings(
        bundle=toy_bundle, data_dir=folder, device="cpu", default_candidates=7, max_candidates=40
    )
    with open_collection(chosen) as collection:
        pictures = [
            NewPicture(jpeg(n - n % 3 // 2), f"p{n * 7 % PICTURES:02}", {"number": n})
            for n in range(PICTURES)
        ]
        store(collection, "image", prepare_pictures(collection, pictures))
        texts = [
            NewText(SENTENCES[n % len(SENTENCES)], f"t{n:02}", {"number": n}) for n in range(15)
        ]
        store(collection, "text", prepare_texts(collection, texts))
        yield collection


def ask(collection: Collection, **fields: Any) -> SearchResponse:
    """A search for pictures, or for sentences where `image_id` is given."""
    given: TextQuery | PictureQuery
    if "image_id" in fields:
        given = PictureQuery.model_validate(fields)
        question = encode_question(collection, "image-to-text", given)
    else:
        given = TextQuery.model_validate(fields)
        question = encode_question(collection, "text-to-image", given)
    asked = ask_of(given, collection, time.perf_counter())
    return answer(collection, question, asked, search(collection, question, asked, 0.0))


def all_pages(collection: Collection, **fields: Any) -> list[SearchResponse]:
    pages = [ask(collection, **fields)]
    while pages[-1].next_cursor is not None:
        assert len(pages) <= 60
        pages.append(ask(collection, cursor=pages[-1].next_cursor, **fields))
    return pages


def ids(*pages: SearchResponse) -> list[str]:
    return [result.id for page in pages for result in page.results]


@given(
    query=st.sampled_from([{"query": "a dog"}, {"query": "snow on a ball"}, {"image_id": "p05"}]),
    k=st.integers(1, 9),
    more=st.integers(0, 30),
    options=st.sampled_from(
        [
            {},
            {"rerank": False},
            {"deadline_ms": 0.0001},
            {"deadline_ms": 60_000},
            {"filter": {"field": "number", "range": {"lt": 11}}},
            {"explain": True, "filter": {"not": {"field": "number", "in": [1, 2]}}},
        ]
    ),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_pages_are_cut_from_one_ranking(
    filled: Collection, query: dict[str, Any], k: int, more: int, options: dict[str, Any]
) -> None:
    candidates = min(40, k + more)
    fields = {**query, **options, "k": k, "candidates": candidates}
    pages = all_pages(filled, **fields)
    head = ids(ask(filled, **{**fields, "k": candidates}))
    if options.get("rerank") is False:
        head = head[:k]
    first_stage = ids(ask(filled, **{**fields, "k": 40, "candidates": 40, "rerank": False}))
    rest = [item for item in first_stage if item not in head]
    assert ids(*pages) == head + rest
    assert len(first_stage) == len(set(first_stage)) >= 9
    # Only the page on which the candidates end, and the last, may be shorter.
    assert sum(len(page.results) < k for page in pages) <= 2
    places = [result.rank_before for page in pages for result in page.results]
    assert sorted(places) == list(range(1, len(places) + 1))


def test_a_minimum_thins_pages_and_loses_nothing(filled: Collection) -> None:
    everything = ask(filled, query="a dog", k=23, candidates=23)
    middle = sorted(result.probability or 0 for result in everything.results)[12]
    fields = {"query": "a dog", "k": 4, "candidates": 23, "min_probability": middle}
    likely = [one.id for one in everything.results if (one.probability or 0) >= middle]
    assert ids(*all_pages(filled, **fields)) == likely


def test_pages_beyond_the_candidates_are_those_of_the_first_stage(filled: Collection) -> None:
    pages = all_pages(filled, query="a dog", k=5, candidates=10)
    assert [page.reranked for page in pages] == [10, 10, 0, 0, 0]
    assert {page.no_match for page in pages} == {pages[0].no_match}
    beyond = pages[2].results[0]
    assert beyond.stage_scores.entity is None
    assert beyond.rank_before == 11


def test_pages_end_at_the_limit(filled: Collection) -> None:
    shallow = filled.settings.model_copy(update={"max_paging_depth": 12})
    narrow = Collection(shallow, filled.matcher, filled.index, filled.device)
    found = ids(*all_pages(narrow, query="a dog", k=5, candidates=5))
    assert found == ids(*all_pages(filled, query="a dog", k=5, candidates=5))[:15]


def test_a_cursor_fits_one_encoding_of_the_query(filled: Collection) -> None:
    given = TextQuery(query="a dog", k=3)
    question = encode_question(filled, "text-to-image", given)
    first = search(filled, question, ask_of(given, filled, time.perf_counter()), 0.0)
    given = TextQuery(query="a dog", k=3, cursor=first.next_cursor)
    again = ask_of(given, filled, time.perf_counter())
    assert len(search(filled, question, again, 0.0).matches) == 3
    [part] = question.parts
    tags = part.encoded.arrays["tags"].copy()
    tags.flat[0] += 1
    otherwise = replace(part.encoded, arrays={**part.encoded.arrays, "tags": tags})
    question = replace(question, parts=(replace(part, encoded=otherwise),))
    with pytest.raises(CursorExpiredError, match="no longer remembered"):
        search(filled, question, again, 0.0)


@pytest.mark.anyio
async def test_a_cursor_fits_one_search_in_one_state(settings: Settings) -> None:
    async with client_of(settings) as client:
        for number in range(5):
            files = {"image": ("p.jpg", jpeg(number), "image/jpeg")}
            await client.put(f"/images/p{number}", files=files)
        body = {"query": "a dog", "k": 2}
        path = "/search/text-to-image"
        cursor = (await client.post(path, json=body)).json()["next_cursor"]
        assert re.fullmatch(r"[A-Za-z0-9_-]+", cursor)
        second = (await client.post(path, json={**body, "cursor": cursor})).json()
        assert len(second["results"]) == 2
        for other in ({"query": "a cat"}, {"k": 3}, {"filter": {"tag": "dog"}}, {"explain": True}):
            refused = await client.post(path, json={**body, **other, "cursor": cursor})
            assert problem(refused) == (409, "cursor-mismatch", "/cursor")
        elsewhere = {"image_id": "p1", "k": 2, "cursor": cursor}
        refused = await client.post("/search/image-to-text", json=elsewhere)
        assert problem(refused) == (409, "cursor-mismatch", "/cursor")
        await client.delete("/images/p4")
        for stale in (cursor, second["next_cursor"]):
            refused = await client.post(path, json={**body, "cursor": stale})
            assert problem(refused) == (410, "cursor-expired", "/cursor")


@pytest.mark.anyio
async def test_an_uploaded_picture_is_paged_when_it_is_sent_again(settings: Settings) -> None:
    async with client_of(settings) as client:
        for number, text in enumerate(SENTENCES):
            await client.put(f"/texts/t{number}", json={"text": text})
        found: list[str] = []
        form = {"k": "4"}
        for _ in range(2):
            files = {"image": ("p.jpg", jpeg(1), "image/jpeg")}
            page = (await client.post("/search/image-to-text", files=files, data=form)).json()
            found += [result["id"] for result in page["results"]]
            form["cursor"] = page.get("next_cursor", "")
        assert sorted(found) == [f"t{number}" for number in range(6)]
        assert form["cursor"] == ""
        files = {"image": ("p.jpg", jpeg(2), "image/jpeg")}
        form["cursor"] = (
            await client.post("/search/image-to-text", files=files, data={"k": "4"})
        ).json()["next_cursor"]
        files = {"image": ("p.jpg", jpeg(1), "image/jpeg")}
        refused = await client.post("/search/image-to-text", files=files, data=form)
        assert problem(refused) == (409, "cursor-mismatch", "/cursor")


@pytest.mark.parametrize(
    "changed",
    [
        {"item_id": "p1"},
        {"score": 0.5},
        {"candidates": 100_000},
        {"given": 100_000},
        {"given": -1},
        {"more": 1},
    ],
)
def test_a_forged_cursor_is_refused(filled: Collection, changed: dict[str, Any]) -> None:
    cursor = ask(filled, query="a dog", k=2).next_cursor
    assert cursor is not None
    fields = Cursor.read(cursor).model_dump(exclude_none=True)
    forged = base64.urlsafe_b64encode(json.dumps({**fields, **changed}).encode()).decode()
    with pytest.raises(InvalidFieldsError, match="cursor: "):
        ask(filled, query="a dog", k=2, cursor=forged.rstrip("="))


def problem(response: httpx.Response) -> tuple[int, str, str]:
    body = response.json()
    assert response.status_code == body["status"]
    return body["status"], body["type"].rpartition(":")[2], body["errors"][0]["pointer"]
