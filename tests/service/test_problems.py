"""Every refusal is a problem document (RFC 9457) that names the field and the limit."""

import json
import string

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.errors import StorageFullError
from model.errors import PictureError, PictureTooLargeError
from service.errors import OverloadedError
from service.problems import headers_of, pointer_to, problem_of
from service.settings import Settings
from tests.helpers import app_of, client_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/images", "GET, HEAD, POST"),
        ("/images/a", "DELETE, GET, HEAD, PUT"),
        ("/texts/a/metadata", "PATCH"),
        ("/stats", "GET, HEAD"),
        ("/search/batch", "POST"),
    ],
)
async def test_a_refused_method_is_told_all_that_are_allowed(
    shared_client: httpx.AsyncClient, path: str, allowed: str
) -> None:
    response = await shared_client.request("OPTIONS", path)
    assert response.status_code == 405
    assert response.headers["allow"] == allowed
    assert response.json()["detail"] == f"{path} answers {allowed}, not OPTIONS"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/images/none", 404),
        ("GET", "/page/nothing.js", 404),
        ("DELETE", "/healthz", 405),
        ("POST", "/search/text-to-image", 415),
        ("GET", "/images?limit=many", 422),
        ("GET", "/images?limit=501", 422),
        ("GET", "/images?page=2", 422),
        ("GET", "/images?cursor=%21", 422),
        ("GET", "/tags?kind=sound", 422),
    ],
)
async def test_refusals_have_one_shape(
    shared_client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    response = await shared_client.request(method, path)
    problem = response.json()
    assert response.status_code == problem["status"] == status
    assert response.headers["content-type"] == "application/problem+json"
    assert problem["request_id"] == response.headers["x-request-id"]
    assert problem["type"]
    assert problem["title"]
    assert problem["detail"]


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/healthz", "/stats", "/images?limit=1", "/images/none", "/images?limit=no"),
        *("/page/main.js", "/docs", "/openapi.json", "/search/batch", "/nowhere"),
    ],
)
async def test_head_is_answered_as_get_without_the_body(
    shared_client: httpx.AsyncClient, path: str
) -> None:
    whole = await shared_client.get(path)
    head = await shared_client.head(path)
    assert (head.status_code, head.content) == (whole.status_code, b"")
    own = ("x-request-id", "content-length") if path == "/stats" else ("x-request-id",)
    for name in {*whole.headers, *head.headers} - {*own}:
        assert head.headers[name] == whole.headers[name], name


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/openapi.json"])
@pytest.mark.parametrize("asked", ["lines=0-9", "bytes=", "bytes=9-0", "bytes=99999999-"])
async def test_a_part_of_a_file_is_answered_with_the_whole(
    shared_client: httpx.AsyncClient, path: str, asked: str
) -> None:
    whole = await shared_client.get(path)
    answer = await shared_client.get(path, headers={"range": asked})
    assert (answer.status_code, answer.content) == (200, whole.content)
    assert "accept-ranges" not in answer.headers


async def test_wrong_parameters_are_named(shared_client: httpx.AsyncClient) -> None:
    problem = (await shared_client.get("/images?limit=501")).json()
    assert problem["errors"] == [
        {
            "pointer": "/limit",
            "detail": "Input should be less than or equal to 500",
            "place": "query",
        }
    ]


async def test_a_refused_method_says_which_would_do(shared_client: httpx.AsyncClient) -> None:
    response = await shared_client.delete("/healthz")
    assert response.headers["allow"] == "GET, HEAD"
    assert response.json()["detail"] == "/healthz answers GET, HEAD, not DELETE"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"query": "a',
        b"\xff\xfe",
        b"nul",
        b"[" * 100_000,
        b'{"k": ' + b"9" * 5000 + b"}",
    ],
    ids=["empty", "open", "cut", "not-utf-8", "word", "deep", "long-number"],
)
async def test_json_that_is_none_is_400(shared_client: httpx.AsyncClient, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = await shared_client.post("/search/text-to-image", content=body, headers=headers)
    assert response.status_code == 400
    assert response.json()["type"] == "urn:sightline:problem:malformed-body"


@pytest.mark.parametrize("body", ["[]", '"words"', "null", "3", "true"])
async def test_json_that_is_no_object_is_422(shared_client: httpx.AsyncClient, body: str) -> None:
    headers = {"content-type": "application/json"}
    response = await shared_client.post("/search/text-to-image", content=body, headers=headers)
    assert response.status_code == 422
    assert "expected a JSON object" in response.json()["detail"]


async def test_a_request_id_is_kept_and_a_strange_one_replaced(
    shared_client: httpx.AsyncClient,
) -> None:
    kept = await shared_client.get("/healthz", headers={"x-request-id": "trace-17"})
    assert kept.headers["x-request-id"] == "trace-17"
    replaced = await shared_client.get("/healthz", headers={"x-request-id": "a b<c>"})
    assert set(replaced.headers["x-request-id"]) <= set(string.hexdigits)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://localhost:9999"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site", "origin": "http://localhost:9999"}, 403),
        ({"host": "evil.example"}, 421),
        ({"host": "localhost.evil.example:80"}, 421),
        ({"origin": "http://localhost"}, 201),
        ({"sec-fetch-site": "same-origin", "origin": "https://photos.example"}, 201),
        ({"sec-fetch-site": "none"}, 201),
        ({"host": "127.0.0.1:8000"}, 201),
        ({"host": "[::1]:8000"}, 201),
        ({}, 201),
    ],
)
async def test_only_pages_of_this_service_may_change_anything(
    client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    response = await client.post("/texts", json={"text": "a sentence"}, headers=headers)
    assert response.status_code == status, response.text


async def test_an_open_service_answers_under_any_name(settings: Settings) -> None:
    opened = settings.model_copy(update={"allow_open_network": True})
    async with client_of(opened) as asking:
        response = await asking.get("/healthz", headers={"host": "photos.example"})
        assert response.status_code == 200


async def test_answers_forbid_what_the_page_does_not_need(client: httpx.AsyncClient) -> None:
    headers = (await client.get("/")).headers
    assert policy_of(headers) == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "font-src": "'self'",
        "img-src": "'self' blob:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]


@pytest.mark.parametrize("path", ["/stats", "/images", "/nothing/here", "/images/a/thumbnail"])
async def test_data_is_never_run_framed_or_loaded_elsewhere(
    client: httpx.AsyncClient, path: str
) -> None:
    headers = (await client.get(path)).headers
    assert policy_of(headers) == {
        "default-src": "'none'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
async def test_the_documentation_runs_its_own_scripts_alone(
    client: httpx.AsyncClient, path: str
) -> None:
    policy = policy_of((await client.get(path)).headers)
    assert policy["default-src"] == "'none'"
    assert "unsafe" not in policy["script-src"]
    assert policy["frame-ancestors"] == "'none'"
    assert ("unsafe-inline" in policy["style-src"]) == (path == "/redoc")


def policy_of(headers: httpx.Headers) -> dict[str, str]:
    directives = headers["content-security-policy"].split("; ")
    return {name: sources for name, _, sources in (d.partition(" ") for d in directives)}


def test_an_unexpected_error_keeps_its_words_to_the_log() -> None:
    problem = problem_of(RuntimeError("password=hunter2"))
    assert problem.status == 500
    assert "hunter2" not in problem.model_dump_json()


def test_children_of_an_error_have_their_own_status() -> None:
    assert problem_of(PictureError("cut")).status == 422
    assert problem_of(PictureTooLargeError("huge")).status == 413
    assert problem_of(StorageFullError("full")).status == 507


def test_an_overloaded_service_says_when_to_come_back() -> None:
    error = OverloadedError("busy", 7)
    assert problem_of(error).status == 503
    assert headers_of(error) == {"Retry-After": "7"}


@given(st.lists(st.text() | st.integers(0, 99), max_size=4))
def test_a_pointer_leads_back_to_its_field(location: list[str | int]) -> None:
    parts = pointer_to(location).split("/")[1:]
    assert [p.replace("~1", "/").replace("~0", "~") for p in parts] == [str(p) for p in location]


async def test_errors_of_the_service_itself_are_500_with_an_id(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    del app_of(client).state.running
    response = await client.get("/stats")
    assert response.status_code == 500
    assert response.headers["x-request-id"] == json.loads(response.content)["request_id"]
    [failed] = [record for record in caplog.records if record.levelname == "ERROR"]
    assert failed.request_id == response.headers["x-request-id"]  # type: ignore[attr-defined]
    assert failed.exc_info is not None
