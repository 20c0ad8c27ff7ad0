"""Keys: who is let in, who may change something, and what a damaged keys file is told."""

import logging
import re
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from service.access import OPEN_PATHS, READING_POSTS, needed_access
from service.app import create_app
from service.cli import app
from service.errors import StartError
from service.keys import Key, Keyring, digest_of, new_key, parse_key, read_keyring
from service.settings import Settings
from tests.helpers import client_of, jpeg

READER, WRITER = "sl_reader-key-of-the-tests", "sl_writer-key-of-the-tests"
ENTRIES = ", ".join(
    Key(name, access, digest_of(secret.encode())).line  # type: ignore[arg-type]
    for name, access, secret in (("phone", "read", READER), ("laptop", "write", WRITER))
)
DIGEST = "sha256:" + "ab" * 32


@pytest.fixture(scope="module")
async def guarded(
    toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory, anyio_backend: str
) -> AsyncIterator[httpx.AsyncClient]:
    """A service with a key that reads and one that writes, asked without any."""
    folder = tmp_path_factory.mktemp("guarded")
    async with client_of(
        Settings(bundle=toy_bundle, data_dir=folder, device="cpu", keys=ENTRIES)
    ) as asking:
        image = {"image": ("a.jpg", jpeg(), "image/jpeg")}
        for path, body in (("/images/a", {"files": image}), ("/texts/a", {"json": {"text": "x"}})):
            (await asking.put(path, **bearer(WRITER), **body)).raise_for_status()
        yield asking


def bearer(key: str) -> dict[str, dict[str, str]]:
    return {"headers": {"Authorization": f"Bearer {key}"}}


def routes() -> list[tuple[str, str]]:
    paths = create_app(Settings()).openapi()["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


async def test_every_route_but_the_probes_refuses_strangers(guarded: httpx.AsyncClient) -> None:
    let_in = set()
    for method, path in routes():
        response = await guarded.request(method, path.replace("{id}", "a"))
        if response.status_code == 401:
            assert response.headers["www-authenticate"] == "Bearer"
            assert response.headers["content-type"] == "application/problem+json"
            assert response.json()["type"] == "urn:sightline:problem:missing-key"
        else:
            let_in.add((method, path, response.status_code))
    assert let_in == {("GET", "/healthz", 200), ("GET", "/readyz", 200)}


@pytest.mark.parametrize("path", ["/", "/page/main.js", "/docs", "/redoc", "/openapi.json"])
async def test_the_page_and_the_documentation_need_no_key(
    guarded: httpx.AsyncClient, path: str
) -> None:
    assert (await guarded.get(path)).status_code == 200


async def test_what_is_not_known_is_not_told_to_strangers(guarded: httpx.AsyncClient) -> None:
    assert (await guarded.get("/no/such/path")).status_code == 401
    assert (await guarded.request("TRACE", "/stats")).status_code == 401


async def test_a_reading_key_searches_and_changes_nothing(guarded: httpx.AsyncClient) -> None:
    for method, path in routes():
        response = await guarded.request(method, path.replace("{id}", "a"), **bearer(READER))
        needed = needed_access(method, path)
        if needed == "write":
            assert response.status_code == 403, (method, path)
            assert "phone may only read" in response.json()["detail"]
            assert "insufficient_scope" in response.headers["www-authenticate"]
        else:
            assert response.status_code not in (401, 403), (method, path)
    found = await guarded.post("/search/text-to-image", json={"query": "x"}, **bearer(READER))
    assert [result["id"] for result in found.json()["results"]] == ["a"]


async def test_a_writing_key_does_both(guarded: httpx.AsyncClient) -> None:
    put = await guarded.put("/texts/b", json={"text": "y"}, **bearer(WRITER))
    assert put.status_code == 201
    assert (await guarded.get("/texts/b", **bearer(WRITER))).status_code == 200
    assert (await guarded.delete("/texts/b", **bearer(WRITER))).status_code == 204


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": f"Bearer {READER}"}, 200),
        ({"Authorization": f"bearer   {READER} "}, 200),
        ({"X-API-Key": READER}, 200),
        ({"Authorization": "Basic cHJveHk6c2VjcmV0", "X-API-Key": READER}, 200),
        ({"Authorization": READER}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": f"Bearer {READER}x"}, 401),
        ({"Authorization": f"Bearer {READER[:-1]}"}, 401),
        ({"Authorization": f"Bearer {digest_of(READER.encode()).hex()}"}, 401),
        ({"X-API-Key": ""}, 401),
        ({"Authorization": "Bearer \xff\xfe"}, 401),
        ({"Authorization": "Bearer wrong", "X-API-Key": READER}, 401),
        ({"Cookie": f"key={READER}"}, 401),
    ],
)
async def test_a_key_is_recognised_as_a_whole(
    guarded: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    given_ = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    assert (await guarded.get("/stats", headers=given_)).status_code == status


async def test_a_key_in_the_address_counts_for_nothing(guarded: httpx.AsyncClient) -> None:
    assert (await guarded.get("/stats", params={"key": READER})).status_code == 401


async def test_a_body_is_not_read_before_the_key(guarded: httpx.AsyncClient) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    refused = await guarded.put("/texts/x", content=never())
    assert refused.status_code == 401


async def test_a_failed_attempt_is_logged_without_the_key(
    guarded: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await guarded.get("/images/secret-id", **bearer("sl_guessed"))
        await guarded.delete("/images/secret-id", **bearer(READER))
    warned = [record for record in caplog.records if record.name == "sightline.keys"]
    assert ["nobody has" in warned[0].message, "phone" in warned[1].message] == [True, True]
    assert all(len(record.request_id) == 32 for record in warned)  # type: ignore[attr-defined]
    for secret in ("sl_guessed", READER):
        assert secret not in caplog.text
    assert "secret-id" not in "".join(record.getMessage() for record in warned)


async def test_without_keys_nobody_is_asked(shared_client: httpx.AsyncClient) -> None:
    assert (await shared_client.get("/stats")).status_code == 200
    assert (await shared_client.get("/stats", **bearer("whatever"))).status_code == 200


async def test_with_keys_any_host_name_is_answered(guarded: httpx.AsyncClient) -> None:
    answer = await guarded.get("/stats", headers={"Host": "photos.example", "X-API-Key": READER})
    assert answer.status_code == 200


def test_keys_open_the_network() -> None:
    assert Settings(host="0.0.0.0", keys=ENTRIES).host == "0.0.0.0"
    assert Settings(host="0.0.0.0", keys_file=Path("keys")).faces_the_network


def test_openapi_names_the_keys_of_every_guarded_route() -> None:
    document = create_app(Settings()).openapi()
    schemes = document["components"]["securitySchemes"]
    assert schemes["key"]["scheme"] == "bearer"
    assert schemes["keyHeader"]["name"] == "X-API-Key"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            needed = needed_access(method.upper(), path)
            assert ("security" in operation) == (needed is not None), (method, path)
            assert ("401" in operation["responses"]) == (needed is not None), (method, path)
            assert ("403" in operation["responses"]) == (needed == "write"), (method, path)


def test_open_and_reading_routes_exist() -> None:
    there = {path for _, path in routes()} | {"/", "/docs", "/redoc", "/openapi.json"}
    assert {*OPEN_PATHS, *READING_POSTS} <= there


def test_a_new_key_is_long_random_and_found_by_its_digest() -> None:
    made = {new_key() for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch(r"sl_[A-Za-z0-9_-]{43}", key) for key in made)
    keys = [Key(f"k{n}", "read", digest_of(key.encode())) for n, key in enumerate(sorted(made))]
    ring = Keyring(tuple(keys))
    for key, known in zip(sorted(made), keys, strict=True):
        assert ring.find(key.encode()) == known
    assert ring.find(b"") is None


@given(st.binary(max_size=80))
def test_no_bytes_but_the_key_are_the_key(presented: bytes) -> None:
    ring = Keyring((Key("a", "read", digest_of(b"sl_the-one")),))
    assert (ring.find(presented) is not None) == (presented == b"sl_the-one")


@given(st.text(max_size=120))
def test_an_entry_is_no_key_by_accident(entry: str) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        parse_key(entry)


@given(
    st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True),
    st.sampled_from(["read", "write"]),
    st.binary(min_size=32, max_size=32),
)
def test_a_key_is_read_back_from_its_line(name: str, access: str, digest: bytes) -> None:
    key = Key(name, access, digest)  # type: ignore[arg-type]
    assert parse_key(key.line) == key


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"# ours\n\nphone read {DIGEST}\nphone write {DIGEST}", "line 4: there is a key named"),
        (f"phone admin {DIGEST}", "line 1: the access of phone is 'admin'"),
        ("phone read sha256:abcd", "line 1: the digest of phone is not"),
        ("phone read sl_the-key-itself", "line 1: the digest of phone is not"),
        ("\nphone read", "line 2: expected `name access sha256:digest`, not 2 words"),
        (f"ph=ne read {DIGEST}", "line 1: a name has 1 to 64 letters"),
        ('{"keys": []}', "line 1: expected"),
        ("", "holds no key"),
        ("# nobody yet\n", "holds no key"),
    ],
)
def test_a_damaged_keys_file_names_the_line(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "keys"
    file.write_text(text)
    with pytest.raises(StartError, match=re.escape(words)) as refused:
        read_keyring(Settings(keys_file=file))
    assert str(file) in str(refused.value)
    assert "sl_the-key-itself" not in str(refused.value)


def test_a_keys_file_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StartError, match="No such file"):
        read_keyring(Settings(keys_file=tmp_path / "gone"))
    with pytest.raises(StartError, match="directory"):
        read_keyring(Settings(keys_file=tmp_path))
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StartError, match="not UTF-8"):
        read_keyring(Settings(keys_file=tmp_path / "binary"))


def test_the_variable_adds_to_the_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"tablet read {DIGEST}\n")
    file.chmod(0o600)
    ring = read_keyring(Settings(keys_file=file, keys=ENTRIES))
    assert [key.name for key in ring.keys] == ["tablet", "phone", "laptop"]
    with pytest.raises(StartError, match="tablet in the keys file and in SIGHTLINE_KEYS"):
        read_keyring(Settings(keys_file=file, keys=f"tablet write {DIGEST}"))
    with pytest.raises(StartError, match="SIGHTLINE_KEYS, entry 2: the access"):
        read_keyring(Settings(keys=f"a read {DIGEST}, b all {DIGEST}"))
    with pytest.raises(StartError, match="SIGHTLINE_KEYS holds no key"):
        read_keyring(Settings(keys=" "))


@pytest.mark.parametrize(("mode", "warns"), [(0o600, False), (0o400, False), (0o644, True)])
def test_a_keys_file_that_others_can_read_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, warns: bool
) -> None:
    file = tmp_path / "keys"
    file.write_text(f"tablet read {DIGEST}\n")
    file.chmod(mode)
    read_keyring(Settings(keys_file=file))
    assert ("open to other users" in caplog.text) == warns


def test_the_command_appends_to_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    made = [
        CliRunner().invoke(app, ["key", *arguments, "--file", str(file)])
        for arguments in (["phone"], ["laptop", "--access", "write"])
    ]
    assert [one.exit_code for one in made] == [0, 0]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    ring = read_keyring(Settings(keys_file=file))
    for one, name, access in zip(made, ("phone", "laptop"), ("read", "write"), strict=True):
        secret = one.stdout.strip()
        found = ring.find(secret.encode())
        assert found is not None
        assert (found.name, found.access) == (name, access)
        assert secret not in file.read_text()
    again = CliRunner().invoke(app, ["key", "phone", "--file", str(file)])
    assert again.exit_code == 2
    assert len(read_keyring(Settings(keys_file=file)).keys) == 2


def test_the_command_appends_to_a_file_without_keys(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# of the house\n")
    file.chmod(0o600)
    made = CliRunner().invoke(app, ["key", "phone", "--file", str(file)])
    assert made.exit_code == 0
    assert read_keyring(Settings(keys_file=file)).find(made.stdout.strip().encode()) is not None
    assert file.read_text().startswith("# of the house\nphone read sha256:")


def test_no_key_is_stored_that_nobody_has_seen(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    command = [sys.executable, "-m", "service", "key", "phone", "--file", str(file)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode != 0
    assert "No space left" in done.stderr
    assert file.read_text() == ""


def test_the_command_prints_the_entry_to_store() -> None:
    secret, line = CliRunner().invoke(app, ["key", "phone"]).stdout.splitlines()
    assert parse_key(line) == Key("phone", "read", digest_of(secret.encode()))
    assert CliRunner().invoke(app, ["key", "my phone"]).exit_code == 2
