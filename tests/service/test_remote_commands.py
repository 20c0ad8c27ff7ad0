"""`search` and `index` with `--url`: what the service is asked, and what of the call is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import jpeg
from tests.scripted import Scripted


def test_a_picture_that_is_not_there_is_not_taken_for_words(
    run: Any, tmp_path: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = {"title": "Asked", "status": 422, "detail": "it was asked"}
    scripted.answers = [(422, {}, json.dumps(problem).encode())] * 5
    monkeypatch.chdir(tmp_path)
    Path("beach").mkdir()
    Path("ring").symlink_to("ring")
    for query, words in (
        ("nowhere/a.JPG", "no such file"),
        ("./beach", "not a file"),
        ("ring", "Too many levels"),
    ):
        status, out, err = run("search", query, "--url", scripted.url)
        told = " ".join(err.replace("│", " ").split())
        assert (status, out) == (2, "")
        assert f"{query}: {words}" in told
        assert "are words to find" in told
    for query in ("beach", "a.jpg ", "a beach", "a dog and " * 30):
        assert run("search", query, "--url", scripted.url)[2] == "sightline: it was asked\n"


def test_a_key_goes_to_the_service_and_its_refusal_is_told(
    run: Any, tmp_path: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = {"title": "A key is needed", "status": 401, "detail": "this key is not known"}
    scripted.answers = [(401, {}, json.dumps(problem).encode())] * 6
    told = (1, "", "sightline: this key is not known\n")
    assert run("search", "dog", "--url", scripted.url, "--key", "one") == told
    monkeypatch.setenv("SIGHTLINE_KEY", "two")
    assert run("search", "dog", "--url", scripted.url) == told
    assert [key for *_, key in scripted.asked] == ["Bearer one", "Bearer two"]
    (tmp_path / "a.jpg").write_bytes(jpeg(1))
    assert run("index", tmp_path / "a.jpg", "--url", scripted.url) == told
    status, _, err = run("search", "dog", "--url", scripted.url, "--key", "a key")
    assert (status, "without spaces" in err) == (1, True)


def test_a_service_is_asked_whatever_the_environment_says_of_one_here(
    run: Any, tmp_path: Path, scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = {"title": "Busy", "status": 422, "detail": "it was asked"}
    scripted.answers = [(422, {}, json.dumps(problem).encode())]
    monkeypatch.setenv("SIGHTLINE_KEY", "two")
    assert "holds no collection" in run("search", "dog", "--data-dir", tmp_path)[2]
    monkeypatch.setenv("SIGHTLINE_HOST", "0.0.0.0")
    assert run("search", "dog", "--url", scripted.url)[2] == "sightline: it was asked\n"
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    status, _, err = run("search", "dog", "--url", scripted.url)
    assert (status, err.startswith("sightline: "), "SOCKS" in err) == (1, True, True)
