"""The examples of docs/api.md and of the client's README run, in curl and in Python."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from service.app import create_app
from service.settings import Settings
from tests.helpers import Server, jpeg
from tests.needs import lacks

ROOT = Path(__file__).resolve().parent.parent.parent
API = ROOT / "docs" / "api.md"
README = ROOT / "client" / "README.md"
DEFAULT_URL = "http://127.0.0.1:8000"


def blocks(document: Path, language: str) -> list[str]:
    """The code blocks of a document in one language, in order."""
    text = document.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the pictures that the examples send."""
    for number, name in enumerate(("beach.jpg", "cat.jpg")):
        (tmp_path / name).write_bytes(jpeg(number))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_curl_examples_run(server: Server, folder: Path) -> None:
    curl = shutil.which("curl")
    if curl is None:
        lacks("curl is missing: install it to run the examples of docs/api.md")
    strict = folder / "bin" / "curl"
    strict.parent.mkdir()
    strict.write_text(f'#!/bin/sh\nexec "{curl}" --fail-with-body "$@"\n')
    strict.chmod(0o755)
    script = "\n".join(blocks(API, "sh")).replace(DEFAULT_URL, server.url)
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{strict.parent}:{os.environ['PATH']}"},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-500:]
    assert (folder / "thumbnail.jpg").read_bytes().startswith(b"\xff\xd8")


@pytest.mark.parametrize("document", [API, README], ids=lambda path: path.parent.name)
def test_python_examples_run(
    document: Path, server: Server, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {}
    for number, code in enumerate(blocks(document, "python"), start=1):
        here = code.replace("Client()", f'Client("{DEFAULT_URL}")').replace(DEFAULT_URL, server.url)
        exec(compile(here, f"{document.name}, example {number}", "exec"), names)
    assert number >= 6
    assert "beach" in capsys.readouterr().out


def test_every_route_has_an_example() -> None:
    script = "\n".join(block.strip() for block in blocks(API, "sh"))
    shown = set()
    for line in script.replace("\\\n", "").splitlines():
        [path] = re.findall(rf"{DEFAULT_URL}(/[^\s'?]*)", line)
        sends = re.search(r" -X ([A-Z]+)", line)
        method = sends[1] if sends else "POST" if re.search(r" -[dF] ", line) else "GET"
        shown.add((method, re.sub(r"^/(images|texts)/[a-z]+", r"/\1/{id}", path)))
    paths = create_app(Settings()).openapi()["paths"]
    assert shown == {(m.upper(), path) for path, methods in paths.items() for m in methods}
