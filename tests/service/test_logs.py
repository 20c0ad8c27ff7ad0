"""What a line of the log holds, in both formats."""

import contextlib
import json
import logging
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import httpx
import pytest

from service import logs
from service.logs import JsonLines, TextLines
from service.middleware import log as http_log
from tests.helpers import app_of

log = logging.getLogger("some.logger")

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


async def test_a_refused_request_is_logged_with_the_route_it_was_for(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        answer = await client.delete("/images/nobody", headers={"Host": "elsewhere.example"})
    [line] = access_lines(caplog)
    assert (answer.status_code, line["status"], line["route"]) == (421, 421, "/images/{id}")


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


@pytest.fixture
def file(tmp_path: Path) -> Iterator[BinaryIO]:
    """What a log is written to, to be read from its beginning."""
    with (tmp_path / "log").open("w+b", buffering=0) as opened:
        yield opened


def lines_of(file: BinaryIO) -> list[dict[str, Any]]:
    file.seek(0)
    return [json.loads(line) for line in file]


@pytest.mark.usefixtures("root_as_it_was")
def test_warnings_of_python_are_lines_too(file: BinaryIO) -> None:
    with warnings.catch_warnings(), logs.written("info", "json", file.fileno()):
        warnings.simplefilter("always")
        warnings.warn("be careful", UserWarning, stacklevel=1)
    [told] = lines_of(file)
    assert told["logger"] == "py.warnings"
    assert "be careful" in told["message"]


@pytest.mark.usefixtures("root_as_it_was")
def test_what_is_written_is_all_that_was_said_when_it_was_said(file: BinaryIO) -> None:
    counts = [1, 2]
    with (
        contextlib.suppress(ZeroDivisionError),
        logs.written("info", "json", file.fileno()),
    ):
        fields = {"route": "/images/{id}", "key": None}
        about = {"request_id": "the-one", "fields": fields}
        log.info("counted %s, %d%%", counts, 5, extra=about)
        counts.append(3)
        log.debug("not wanted")
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError:
            log.exception("failed", extra=about)
            raise
    counted, failed = lines_of(file)
    assert counted["message"] == "counted [1, 2], 5%"
    assert failed["message"] == "failed"
    for line in (counted, failed):
        assert (line["request_id"], line["route"], line["key"]) == ("the-one", "/images/{id}", None)
    assert failed["traceback"].startswith("Traceback")
    assert failed["traceback"].endswith("ZeroDivisionError: division by zero")
    assert "traceback" not in counted


@pytest.mark.usefixtures("root_as_it_was")
def test_text_has_its_traceback_once(file: BinaryIO) -> None:
    with logs.written("info", "text", file.fileno()):
        try:
            1 / 0  # noqa: B018
        except ZeroDivisionError:
            log.exception("failed \udce9", extra={"request_id": "the-one"})
    file.seek(0)
    text = file.read().decode()
    assert text.splitlines()[0].endswith(" ERROR some.logger: failed \\udce9 [the-one]")
    assert text.count("Traceback") == text.count("ZeroDivisionError: division by zero") == 1


@pytest.mark.usefixtures("root_as_it_was")
def test_a_record_that_is_no_line_is_told_and_the_log_goes_on(file: BinaryIO) -> None:
    with logs.written("info", "json", file.fileno()) as lines:
        log.info("%d", "no number")
        log.info("odd", extra={"fields": {("no", "name"): 1}})
        log.info("fine")
    assert [line["message"] for line in lines_of(file) if line["level"] == "info"] == ["fine"]
    wrong = [line for line in lines_of(file) if line["level"] == "error"]
    assert [line["message"] for line in wrong] == ["a line of some.logger can't be written"] * 2
    assert all("TypeError" in line["traceback"] for line in wrong)
    assert lines.lost == 0


def test_a_file_that_took_the_place_of_a_closed_standard_error_is_left_alone(
    tmp_path: Path,
) -> None:
    code = """
import sys
with open(sys.argv[1], "w") as file:
    assert file.fileno() == 2
    import logging
    from service import logs
    with logs.written("info", "text"):
        logging.warning("not for this file")
"""
    done = subprocess.run(
        ["sh", "-c", '"$@" 2>&-', "sh", sys.executable, "-c", code, str(tmp_path / "catalog")],
        check=False,
    )
    assert done.returncode == 0
    assert (tmp_path / "catalog").read_bytes() == b""


@pytest.mark.usefixtures("root_as_it_was")
def test_every_line_is_written_in_its_order(file: BinaryIO) -> None:
    def talk(name: str) -> None:
        for number in range(500):
            log.info("said", extra={"fields": {"by": name, "number": number}})

    with logs.written("info", "json", file.fileno()) as lines, ThreadPoolExecutor(4) as threads:
        list(threads.map(talk, "abcd"))
    assert lines.lost == 0
    for name in "abcd":
        numbers = [line["number"] for line in lines_of(file) if line["by"] == name]
        assert numbers == list(range(500))
