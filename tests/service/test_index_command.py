"""`sightline index`: what it takes, what it leaves out, and how it ends."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from service.photos import find_photos
from tests.helpers import Server, as_nobody, jpeg, wait_until
from tests.scripted import Scripted

NOT_FOUND = {
    "type": "urn:sightline:problem:not-found",
    "title": "There is no such item",
    "status": 404,
    "detail": "no picture has this id",
}
UNKNOWN = (404, {}, json.dumps(NOT_FOUND).encode())


def test_folders_that_cannot_be_read_are_told() -> None:
    with TemporaryDirectory() as name:
        photos = Path(name)
        for number, folder in enumerate(("open", "closed", "listed")):
            (photos / folder).mkdir()
            (photos / folder / "b.jpg").write_bytes(jpeg(number))
        (photos / "closed").chmod(0)
        (photos / "listed").chmod(0o444)
        with as_nobody(photos):
            found = find_photos([photos])
        assert [photo.name for photo in found.photos] == ["open/b.jpg"]
        assert sorted(found.errors) == [
            (f"{photos}/closed", "Permission denied"),
            (f"{photos}/listed/b.jpg", "Permission denied"),
        ]
        (photos / "closed").chmod(0o700)
        (photos / "listed").chmod(0o700)


def test_links_to_nowhere_are_told_and_links_to_folders_not_followed(
    run: Any, tmp_path: Path
) -> None:
    photos, other = tmp_path / "photos", tmp_path / "other"
    for folder in (photos, other):
        folder.mkdir()
        (folder / f"{folder.name}.jpg").write_bytes(jpeg(len(folder.name)))
    (photos / "linked").symlink_to(other)
    (photos / "gone.jpg").symlink_to("nowhere")
    status, out, err = run("index", photos, "--data-dir", tmp_path / "d")
    assert (status, out) == (3, "1 new, 0 already there, 0 failed\n")
    assert err == f"{photos}/gone.jpg: No such file or directory\n"
    status, out, _ = run("index", photos / "linked", "--data-dir", tmp_path / "d")
    assert (status, out) == (0, "1 new, 0 already there, 0 failed\n")


def test_no_picture_at_all_is_a_failure(run: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    status, out, err = run("index", tmp_path / "empty", "--data-dir", tmp_path / "d")
    assert (status, out) == (1, "0 new, 0 already there, 0 failed\n")
    assert err == "there is no picture in what was given\n"


def test_what_befalls_every_picture_ends_the_run(
    run: Any, tmp_path: Path, scripted: Scripted, server: Server
) -> None:
    for number in range(20):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(number))
    scripted.answers = [(404, {}, b"<html>not here")] * 20
    for url in (scripted.url, f"{server.url}/wrong"):
        status, out, err = run("index", tmp_path, "--url", url)
        assert (status, out) == (1, "")
        assert err.startswith(f"sightline: {url} answers, but there is no Sightline at this path")
    assert {method for method, *_ in scripted.asked} == {"GET"}
    assert len(scripted.asked) <= 8
    scripted.answers = [UNKNOWN, (404, {}, b"<html>not here")] * 10
    status, out, err = run("index", tmp_path / "1.jpg", tmp_path / "2.jpg", "--url", scripted.url)
    assert (status, out) == (1, "")
    status, _, err = run("index", tmp_path, "--url", "http://127.0.0.1:1")
    assert (status, err.count("refused")) == (1, 1)


def test_ctrl_c_does_not_wait_for_a_service(tmp_path: Path, scripted: Scripted) -> None:
    for number in range(8):
        (tmp_path / f"{number}.jpg").write_bytes(jpeg(number))
    scripted.answers = [UNKNOWN] * 8
    scripted.seconds = 60
    process = subprocess.Popen(
        [sys.executable, "-m", "service", "index", str(tmp_path), "--url", scripted.url],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        wait_until(lambda: len(scripted.asked) >= 4, 60)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=5)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 1
    assert err.endswith("sightline: stopped; what was stored stays\n")
    assert "Traceback" not in err
