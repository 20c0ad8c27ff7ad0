"""The Python client against services that are busy, broken, foreign, newer or slow."""

import asyncio
import base64
import json
import os
import re
from pathlib import Path

import pytest

from sightline_client import (
    AsyncClient,
    Client,
    NewImage,
    ProblemError,
    Retry,
    SightlineError,
    UnexpectedAnswerError,
    UnreachableError,
    errors,
)
from tests.helpers import jpeg
from tests.scripted import Scripted

OK = (200, {}, b'{"status": "ok", "mood": "new"}')
BUSY = (503, {"Retry-After": "0"}, b"busy")
QUICK = Retry(times=2, busy_s=5, first_wait_s=0.01)


def test_a_busy_service_is_asked_again_and_unknown_fields_are_kept(scripted: Scripted) -> None:
    scripted.answers = [BUSY, BUSY, None, OK]
    with Client(scripted.url, api_key="s3cret", retry=QUICK) as asking:
        health = asking.health()
    assert health.model_dump() == {"status": "ok", "mood": "new"}
    assert scripted.asked == [("GET", "/healthz", "Bearer s3cret")] * 4


def test_patience_ends(scripted: Scripted) -> None:
    with Client(scripted.url, retry=Retry(times=0, busy_s=0)) as asking:
        scripted.answers = [(503, {"Retry-After": "7"}, b"<html>")]
        with pytest.raises(errors.UnavailableError) as busy:
            asking.health()
        assert (busy.value.retry_after, busy.value.status) == (7.0, 503)
        scripted.answers = [None]
        with pytest.raises(UnreachableError) as broken:
            asking.health()
        assert broken.value.maybe_done
    with Client("http://127.0.0.1:1", retry=QUICK) as asking:
        with pytest.raises(UnreachableError, match=r"http://127.0.0.1:1: .*refused") as nowhere:
            asking.health()
        assert not nowhere.value.maybe_done


def test_a_deletion_that_may_have_happened_is_not_repeated(scripted: Scripted) -> None:
    with Client(scripted.url, retry=QUICK) as asking:
        scripted.answers = [BUSY, None]
        with pytest.raises(UnreachableError):
            asking.delete_image("a")
    assert [method for method, *_ in scripted.asked] == ["DELETE", "DELETE"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.UnauthorizedError),
        (403, errors.ForbiddenError),
        (418, ProblemError),
        (500, errors.ServerError),
        (502, errors.ServerError),
    ],
)
def test_refusals_of_others_are_told_too(
    scripted: Scripted, status: int, kind: type[ProblemError]
) -> None:
    scripted.answers = [(status, {"X-Request-ID": "r1"}, b"a proxy's page")]
    with Client(scripted.url) as asking, pytest.raises(kind) as refused:
        asking.health()
    assert type(refused.value) is kind
    assert (refused.value.status, refused.value.request_id) == (status, "r1")
    assert f"answered {status}" in refused.value.detail


def test_a_proxys_page_is_taken_for_no_answer(scripted: Scripted) -> None:
    page = (200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>Log in")
    scripted.answers = [page] * 4
    with Client(scripted.url) as asking:
        for ask in (
            lambda: asking.thumbnail("a"),
            asking.metrics,
            lambda: asking.delete_image("a"),
            lambda: asking.delete_text("a"),
        ):
            with pytest.raises(UnexpectedAnswerError, match=r"text/html|200, not 204"):
                ask()


def test_a_newer_services_words_hide_no_problem(scripted: Scripted) -> None:
    problem = {
        "type": "urn:sightline:problem:new",
        "title": "New",
        "status": 422,
        "detail": "told",
        "errors": [{"pointer": "/a", "detail": "wrong", "place": "cookie"}],
    }
    scripted.answers = [(422, {}, json.dumps(problem).encode())]
    with Client(scripted.url) as asking, pytest.raises(errors.InvalidFieldsError) as refused:
        asking.health()
    assert str(refused.value) == "told"
    assert [field.place for field in refused.value.errors] == ["cookie"]


def test_what_is_no_answer_of_this_api_says_so(scripted: Scripted) -> None:
    scripted.answers = [(200, {}, b"<html>"), (200, {}, b'{"id": 1}'), (307, {}, b"")]
    with Client(scripted.url) as asking:
        for _ in range(3):
            with pytest.raises(UnexpectedAnswerError, match="/images/a"):
                asking.get_image("a")


@pytest.mark.parametrize("key", ["with space", "ключ", "line\nbreak"])
def test_a_key_that_no_header_can_hold_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="API key"):
        Client(api_key=key)


def test_a_proxys_password_goes_beside_the_key_and_into_no_message(scripted: Scripted) -> None:
    url = scripted.url.replace("//", "//me:p%40ss@") + "/pre%20fix/"
    with Client(url, api_key="s3cret", retry=Retry(times=0)) as asking:
        assert asking.url == f"{scripted.url}/pre%20fix"
        scripted.answers = [OK, (404, {}, b"a proxy's page"), (200, {}, b"<html>"), None]
        assert asking.health().status == "ok"
        for kind in (errors.NotFoundError, UnexpectedAnswerError, UnreachableError):
            with pytest.raises(kind, match="pre%20fix") as told:
                asking.health()
            assert "p%40ss" not in str(told.value)
    basic = base64.b64encode(b"me:p@ss").decode()
    assert scripted.asked == [("GET", "/pre%20fix/healthz", f"Basic {basic}")] * 4
    assert scripted.keys == ["s3cret"] * 4


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("localhost:8000", "localhost:8000: a service's URL begins with http:// or https://"),
        ("ftp://h", "ftp://h: a service's URL begins with http:// or https://"),
        ("http://", "and a host"),
        ("", "and a host"),
        ("http://h/pre?x=1", "no query"),
        ("http://h/#top", "no query"),
        ("http://me:secret@h:port", "http://h:port: "),
        ("http://me:secret#@h", "http://h: "),
        ("me:secret@h:8000", "h:8000: "),
    ],
)
@pytest.mark.parametrize("kind", [Client, AsyncClient])
def test_a_url_that_is_none_of_a_service_is_refused(
    kind: type[Client] | type[AsyncClient], url: str, words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)) as refused:
        kind(url)
    assert "secret" not in str(refused.value)


@pytest.mark.timeout(20)
@pytest.mark.anyio
async def test_a_picture_that_is_read_slowly_holds_no_other_task_up(
    scripted: Scripted, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe.jpg"
    scripted.answers = [
        (200, {}, b'{"id": "a", "created": true}'),
        (200, {}, b'{"items": [], "created": 0, "replaced": 0, "failed": 0}'),
    ]
    async with AsyncClient(scripted.url) as asking:
        for upload in (asking.post_image(pipe), asking.bulk_images([NewImage(pipe)])):
            os.mkfifo(pipe)
            # Reading waits for what the other task writes.
            _, written = await asyncio.gather(upload, asyncio.to_thread(pipe.write_bytes, jpeg(1)))
            assert written == len(jpeg(1))
            pipe.unlink()


def test_an_asynchronous_client_says_that_it_belongs_to_one_loop(scripted: Scripted) -> None:
    asking = AsyncClient(scripted.url)
    scripted.answers = [OK] * 2

    async def ask() -> str:
        return (await asking.health()).status

    async def ask_and_close() -> None:
        await ask()
        await asking.aclose()

    asyncio.run(ask_and_close())
    with pytest.raises(SightlineError, match=r"belongs to the event loop.*each asyncio\.run"):
        asyncio.run(ask())
