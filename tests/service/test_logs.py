"""What a line of the log holds, in both formats."""

import io
import json
import logging
import re
import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from service import logs
from service.logs import JsonLines, TextLines
from service.middleware import log as http_log
from tests.helpers import app_of

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def access_lines(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    records = [record for record in caplog.records if record.name == "sightline.access"]
    return [json.loads(JsonLines().format(record)) for record in records]


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/healthz", "/healthz", 200),
        ("GET", "/images/nobody", "/images/{id}", 404),
        ("GET", "/images/nobody/thumbnail?secret=1", "/images/{id}/thumbnail", 404),
        ("DELETE", "/stats", "/stats", 405),
        ("GET", "/page/main.js", "/page/*", 200),
        ("GET", "/nothing/here", None, 404),
        ("GET", "/", "/", 200),
    ],
)
async def test_a_request_has_one_line_with_its_route(
    client: httpx.AsyncClient,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
    route: str | None,
    status: int,
) -> None:
    with caplog.at_level(logging.INFO):
        answer = await client.request(method, path)
    [line] = access_lines(caplog)
    assert TIME.fullmatch(line.pop("time"))
    assert line.pop("duration_ms") > 0
    message = line.pop("message")
    assert message.startswith(f"{method} {route or '(no route)'} {status} in ")
    assert "nobody" not in message
    assert line == {
        "level": "info",
        "logger": "sightline.access",
        "request_id": answer.headers["x-request-id"],
        "method": method,
        "route": route,
        "status": status,
        "bytes": len(answer.content),
        "key": None,
    }


async def test_an_unexpected_error_has_its_traceback_as_a_member(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    del app_of(client).state.running
    answer = await client.get("/images/secret-id", headers={"X-Request-ID": "the-one"})
    assert answer.status_code == 500
    [record] = [record for record in caplog.records if record.name == http_log.name]
    told = json.loads(JsonLines().format(record))
    assert told["message"] == "GET /images/{id} failed"
    assert told["request_id"] == "the-one"
    assert told["level"] == "error"
    assert "Traceback" in told["traceback"]
    assert "AttributeError" in told["traceback"]
    text = TextLines().format(record)
    assert text.splitlines()[0].endswith("GET /images/{id} failed [the-one]")
    assert "AttributeError" in text


@pytest.mark.parametrize("message", ["two\nlines", "\u2028 and \x85", 'quote " and é', ""])
def test_a_record_is_one_line_of_json(message: str) -> None:
    record = logging.LogRecord("a", logging.WARNING, "f.py", 1, message, None, None)
    line = JsonLines().format(record)
    assert len(line.splitlines()) == 1
    assert json.loads(line)["message"] == message
    assert "request_id" not in json.loads(line)


@pytest.fixture
def root_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("root_as_it_was")
def test_warnings_of_python_are_lines_too(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    with warnings.catch_warnings():
        logs.configure("info", "json")
        warnings.simplefilter("always")
        warnings.warn("be careful", UserWarning, stacklevel=1)
        logging.captureWarnings(False)
    told = json.loads(written.getvalue())
    assert told["logger"] == "py.warnings"
    assert "be careful" in told["message"]
