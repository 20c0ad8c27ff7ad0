"""A real server with keys: the command line asks it, and a damaged keys file stops its start."""

import json
import os
import subprocess
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from service.cli import app
from service.remote import RemoteError
from tests.helpers import Server, ServerStarter, jpeg


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    return tmp_path / "sightline.keys"


def sightline(*arguments: str, **variables: str | None) -> Result:
    """A command, run in this process: starting one takes seconds."""
    env = {"SIGHTLINE_KEY": None, **variables}
    return CliRunner().invoke(app, arguments, env=env)


def make_key(file: Path, name: str, access: str) -> str:
    made = sightline("key", name, "--access", access, "--file", str(file))
    assert made.exit_code == 0, made.stderr
    return made.stdout.strip()


def test_keys_from_the_command_line_to_the_command_line(
    start_server: ServerStarter, keys_file: Path, tmp_path: Path
) -> None:
    reader, writer = (make_key(keys_file, access, access) for access in ("read", "write"))
    server = start_server("--host", "0.0.0.0", SIGHTLINE_KEYS_FILE=str(keys_file))
    url = server.url.replace("0.0.0.0", "127.0.0.1")
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(jpeg())
    index = ("index", str(photo), "--url", url, "--json")
    for key, words in (
        (None, "needs a key"),
        ("sl_wrong", "there is no such key"),
        (reader, "may only read"),
        ("Schlüssel", "an API key holds printable ASCII"),
    ):
        refused = sightline(*index, SIGHTLINE_KEY=key)
        assert isinstance(refused.exception, RemoteError)
        assert words in str(refused.exception)
        assert key is None or key not in str(refused.exception)
    assert json.loads(sightline(*index, SIGHTLINE_KEY=writer).stdout)["new"] == 1
    found = sightline("search", "a dog", "--url", url, "--key", reader, "--json")
    assert len(json.loads(found.stdout)["results"]) == 1


def test_a_damaged_keys_file_stops_the_start(start_server: ServerStarter, keys_file: Path) -> None:
    keys_file.write_text("phone all sha256:00")
    started = subprocess.run(
        start_server.command(),
        env={**os.environ, "SIGHTLINE_KEYS_FILE": str(keys_file)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert started.returncode == 1
    assert started.stdout == ""
    assert str(keys_file) in started.stderr
    assert "Traceback" not in started.stderr


def test_a_server_without_keys_asks_for_none(server: Server) -> None:
    assert httpx.get(f"{server.url}/stats").status_code == 200
