"""The Python client against a real server process, and in one process with the application."""

import copy
import io
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from service.settings import Settings
from sightline_client import (
    AsyncClient,
    Client,
    NewImage,
    NewText,
    Retry,
    UnexpectedAnswerError,
    UnreachableError,
    data_url,
    errors,
    searches,
)
from tests.helpers import Server, app_of, client_of, jpeg

SENTENCES = {"dog": "a brown dog runs", "cat": "a black cat sleeps", "snow": "snow in the city"}


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    """A client of a server with four pictures and three sentences, whatever a test before did."""
    with Client(server.url) as asking:
        for item in asking.images():
            asking.delete_image(item.id)
        for item in asking.texts():
            asking.delete_text(item.id)
        images = [NewImage(jpeg(n), f"p{n}", {"number": n}) for n in range(4)]
        assert asking.bulk_images(images).created == 4
        texts = [NewText(text, name) for name, text in SENTENCES.items()]
        assert asking.bulk_texts(texts).created == 3
        yield asking


def test_every_direction_is_searched(client: Client) -> None:
    found = client.text_to_image("a dog", k=2, explain=True)
    assert len(found.results) == 2
    assert found.next_cursor is not None
    explanation = found.results[0].explanation
    assert explanation is not None
    assert [word.text for word in explanation.words] == ["a", "dog"]
    assert found.results[0].stage_scores.global_ <= 1
    assert client.image_to_text(jpeg(1)).results[0].text in SENTENCES.values()
    assert (
        client.image_to_text(image_id="p1", k=1).results
        == (client.image_to_text(image_id="p1").results[:1])
    )
    assert client.image_to_image(jpeg(2)).results[0].id == "p2"
    assert client.text_to_text("a brown dog runs").results[0].id == "dog"


def test_queries_have_parts_and_filters(client: Client) -> None:
    among = {"field": "number", "range": {"gte": 2}}
    found = client.image_to_image(
        jpeg(3), query="a dog", exclude="a cat", region=(0, 0, 0.5, 1), filter=among
    )
    assert {result.id for result in found.results} == {"p2", "p3"}
    found = client.text_to_image("a dog", image_id="p1", filter=among, rerank=False)
    assert {result.id for result in found.results} == {"p2", "p3"}
    assert found.reranked == 0


def test_pictures_come_as_paths_bytes_and_files(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "beach.jpg"
    path.write_bytes(jpeg(9))
    stored = client.put_image("a", path, metadata={"by": "me"}, captions=["a beach"])
    assert (stored.id, stored.created) == ("a", True)
    assert not client.put_image("a", str(path)).created
    with path.open("rb") as file:
        by_hash = client.post_image(file)
    assert client.post_image(jpeg(9)) == by_hash.model_copy(update={"created": False})
    assert client.post_image(io.BytesIO(jpeg(9))).id == by_hash.id
    assert client.get_text("a-0").text == "a beach"
    assert client.get_image("a").content_hash == by_hash.id
    named = client.bulk_images([NewImage(path), NewImage(jpeg(9)), NewImage(b"no picture", "x")])
    assert [item.id for item in named.items] == ["beach", by_hash.id, "x"]
    assert [item.status for item in named.items] == [201, 200, 422]
    assert named.items[2].error is not None
    with path.open() as words, pytest.raises(TypeError, match="opened for bytes"):
        client.post_image(words)  # type: ignore[arg-type]


def test_a_picture_is_stored_under_its_files_name_whatever_it_holds(
    client: Client, tmp_path: Path
) -> None:
    names = ['say "hi".jpg', "back\\slash.jpg", "100%22.jpg", "ünï.tar.gz"]
    for name in names:
        (tmp_path / name).write_bytes(jpeg(9))
    stored = client.bulk_images([NewImage(tmp_path / name) for name in names])
    ids = ['say "hi"', "back\\slash", "100%22", "ünï.tar"]
    assert [(item.id, item.status) for item in stored.items] == [(id_, 201) for id_ in ids]
    assert [client.get_image(id_).id for id_ in ids] == ids


def test_what_utf_8_cannot_hold_is_replaced(client: Client, tmp_path: Path) -> None:
    latin_1 = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    latin_1.write_bytes(jpeg(9))
    client.put_image("x", latin_1, metadata={"file": latin_1.name}, captions=["cut \ud83d"])
    assert client.get_image("x").metadata == {"file": "caf\ufffd.jpg"}
    assert client.get_text("x-0").text == "cut \ufffd"
    client.put_text("y", "cut \ud83d", metadata={"cut \ud83d": ["cut \ud83d"]})
    assert client.get_text("y").text == "cut \ufffd"
    assert client.get_text("y").metadata == {"cut \ufffd": ["cut \ufffd"]}
    assert client.text_to_image("cut \ud83d").results
    assert client.image_to_text(latin_1, query="cut \ud83d").results
    [unnamed] = client.bulk_images([NewImage(latin_1)]).items
    assert unnamed.error is not None
    assert "UTF-8" in unnamed.error.detail
    with pytest.raises(ValueError, match="an id is valid UTF-8"):
        client.get_text("cut \ud83d")


def test_one_text_is_not_taken_for_a_list_of_letters(client: Client) -> None:
    with pytest.raises(TypeError, match="captions is a list of texts"):
        client.put_image("a", jpeg(1), captions="dog")
    with pytest.raises(TypeError, match="documents is a list of texts"):
        client.rerank("a dog", "dog")
    client.put_image("a", jpeg(1), captions=np.array(["a dog", "a wolf"]))
    assert [client.get_text(f"a-{n}").text for n in range(2)] == ["a dog", "a wolf"]


def test_items_are_read_changed_and_deleted(client: Client) -> None:
    assert client.thumbnail("p1").startswith(b"\xff\xd8")
    assert client.patch_image_metadata("p1", {"number": None, "album": "x"}).metadata == {
        "album": "x"
    }
    assert client.patch_text_metadata("dog", {"a": 1}).metadata == {"a": 1}
    assert client.put_text("höhle 7 %", "a cave", metadata={"b": 2}).created
    assert client.get_text("höhle 7 %").metadata == {"b": 2}
    assert not client.post_text("a cave").id.startswith("h")
    client.delete_text("höhle 7 %")
    with pytest.raises(errors.NotFoundError):
        client.get_text("höhle 7 %")
    client.delete_image("p1")
    assert [item.id for item in client.images(limit=2)] == ["p0", "p2", "p3"]
    for wrong in ("", "..", "a/b"):
        with pytest.raises(ValueError, match="an id"):
            client.get_image(wrong)


def test_all_pages_are_gone_through(client: Client) -> None:
    pages = list(client.text_to_image_pages("a dog", k=3))
    ids = [result.id for page in pages for result in page.results]
    assert sorted(ids) == ["p0", "p1", "p2", "p3"]
    assert len(pages) >= 2
    by_picture = client.image_to_text_pages(jpeg(1), k=2)
    found = [result.id for page in by_picture for result in page.results]
    assert sorted(found) == sorted(SENTENCES)
    assert [item.id for item in client.texts(limit=1)] == sorted(SENTENCES)
    assert len(client.list_texts(limit=2).items) == 2


def test_a_batch_answers_each_search(client: Client) -> None:
    answers = client.batch(
        [
            searches.text_to_image("a dog", k=1),
            searches.image_to_text(jpeg(1), k=1),
            searches.image_to_image(image_id="nothing"),
        ]
    ).items
    assert [item.status for item in answers] == [200, 200, 404]
    assert answers[0].answer is not None
    assert answers[0].answer.results == client.text_to_image("a dog", k=1).results
    assert answers[2].error is not None
    assert "nothing" in answers[2].error.detail


def test_embeddings_reranking_tags_and_operations(client: Client) -> None:
    vectors = client.embeddings(["a dog", data_url(jpeg(1))])
    assert [item.index for item in vectors.data] == [0, 1]
    assert isinstance(client.embeddings("a dog", encoding_format="base64").data[0].embedding, str)
    ranked = client.rerank(
        "a dog", [{"image_id": "p1"}, data_url(jpeg(2))], return_documents=True, top_n=1
    )
    assert len(ranked.results) == 1
    assert ranked.results[0].document is not None
    everything = client.tags(kind="text")
    among = client.tags(kind="text", filter={"field": "number", "equals": 99})
    assert len(everything.tags) >= len(among.tags) == 0
    assert client.stats().counts == {"image": 4, "text": 3}
    assert client.health().status == "ok"
    assert client.readiness().images == 4
    assert "sightline_" in client.metrics()


def test_a_refusal_tells_what_the_service_told(client: Client) -> None:
    with pytest.raises(errors.InvalidFieldsError) as refused:
        client.text_to_image("a dog", k=0)
    error = refused.value
    assert (error.status, error.title) == (422, "Some fields are wrong")
    assert error.detail == str(error) == "k: Input should be greater than or equal to 1"
    assert [field.pointer for field in error.errors] == ["/k"]
    assert error.request_id
    assert error.type == "urn:sightline:problem:invalid-fields"
    first = client.text_to_image("a dog", k=1)
    with pytest.raises(errors.ConflictError):
        client.text_to_image("a cat", k=1, cursor=first.next_cursor)
    client.put_text("new", "something new")
    with pytest.raises(errors.ExpiredError):
        client.text_to_image("a dog", k=1, cursor=first.next_cursor)


def test_a_search_for_a_picture_takes_one(client: Client) -> None:
    with pytest.raises(TypeError, match="either image or image_id"):
        client.image_to_text()
    with pytest.raises(TypeError, match="either image or image_id"):
        client.image_to_text(jpeg(1), image_id="p1")


@pytest.mark.anyio
async def test_the_asynchronous_client_works_inside_the_process(settings: Settings) -> None:
    async with client_of(settings) as inside:
        transport = httpx.ASGITransport(app_of(inside))
        async with AsyncClient("http://localhost", transport=transport) as asking:
            for number in range(3):
                assert (await asking.put_image(f"p{number}", jpeg(number))).created
            await asking.bulk_texts([NewText("a dog", "dog")])
            assert (await asking.image_to_text(jpeg(1))).results[0].id == "dog"
            assert [item.id async for item in asking.images(limit=2)] == ["p0", "p1", "p2"]
            pages = [page async for page in asking.text_to_image_pages("a dog", k=2)]
            assert sum(len(page.results) for page in pages) == 3
            with pytest.raises(errors.NotFoundError):
                await asking.delete_image("nothing")


def test_both_clients_have_the_same_methods() -> None:
    def public(client: type) -> set[str]:
        return {name for name in vars(client) if not name.startswith("_")}

    assert public(Client) - {"close"} == public(AsyncClient) - {"aclose"}
    for name in public(Client) - {"close", "send"}:
        assert getattr(Client, name).__doc__ == getattr(AsyncClient, name).__doc__


def pickled(error: Exception) -> Any:
    return pickle.loads(pickle.dumps(error))  # noqa: S301 - it is our own


@pytest.mark.parametrize("again", [copy.copy, pickled])
def test_errors_come_back_from_other_processes(
    client: Client, again: Callable[[Exception], Exception]
) -> None:
    with pytest.raises(errors.NotFoundError) as missing:
        client.get_image("nothing")
    with (
        Client("http://127.0.0.1:1", retry=Retry(times=0)) as asking,
        pytest.raises(UnreachableError) as no,
    ):
        asking.health()
    for error in (missing.value, no.value, UnexpectedAnswerError("what")):
        came = again(error)
        assert (type(came), str(came), vars(came)) == (type(error), str(error), vars(error))
