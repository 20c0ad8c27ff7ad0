"""A disk that is full, or read-only: errors in words, and everything stored stays good."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.index.conftest import Opener
from tests.index.samples import DIMENSION, FINGERPRINT, record
from tests.needs import lacks

ROOT = Path(__file__).parents[2]
START = f"""
import os, subprocess, sys
from pathlib import Path
import numpy as np
from index.embedded import EmbeddedIndex
from index.errors import StorageError, StorageFullError
from tests.index.samples import SMALL, eventually, record, same
disk = Path(sys.argv[1])
folder = disk / "data"

def opened(**options):
    return EmbeddedIndex.open(folder, {FINGERPRINT!r}, {DIMENSION}, **options)

def check(index, done):
    query = np.ones((1, {DIMENSION}), np.float32)
    assert index.count("image") == len(done)
    assert all(same(index.get("image", one.id), one) for one in done)
    assert sorted(index.search("image", query, 9999).ids[0]) == sorted(one.id for one in done)
    assert index.verify().problems == ()
"""
FULL = """
(disk / "ballast").write_bytes(bytes(1_000_000))
index, done = opened(plan=SMALL), []
try:
    while True:
        records = [record(f"i{n}", seed=n) for n in range(len(done), len(done) + 10)]
        index.upsert(records)
        done += records
except StorageFullError as error:
    print(error)
assert len(done) > 50
check(index, done)
try:
    index.backup(disk / "copy")
except StorageError as error:
    print(error)
assert not (disk / "copy").exists()
(disk / "ballast").unlink()
index.upsert(records)
done += records
check(index, done)
index.rebuild()
check(index, done)
index.close()
with opened(plan=SMALL) as index:
    check(index, done)
"""
READ_ONLY = """
def mounted(how):
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)

done = [record(f"i{n}", seed=n) for n in range(40)]
with opened() as index:
    index.upsert(done)
before = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
mounted("ro")
try:
    opened()
except StorageError as error:
    print(error)
assert {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()} == before
mounted("rw")
with opened() as index:
    check(index, done)
"""


@pytest.fixture(scope="module")
def may_mount() -> None:
    """Skips where this process may not mount a file system for itself."""
    if shutil.which("unshare") is None:
        lacks("unshare is missing, to mount a file system with")
    done = subprocess.run(
        ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here: {done.stderr.decode().strip()}")


def on_a_small_disk(child: str) -> str:
    """What a child says that works on a disk of two megabytes, of its own."""
    mount_and_run = 'mount -t tmpfs -o size=2m tmpfs "$1" && exec "$2" -c "$3" "$1"'
    with tempfile.TemporaryDirectory() as name:
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", mount_and_run, "sh", name, sys.executable, child],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout.replace(name, "DISK")


@pytest.mark.usefixtures("may_mount")
def test_a_full_disk_refuses_writes_and_takes_them_again_when_there_is_room() -> None:
    first, second = on_a_small_disk(START + FULL).splitlines()
    assert first == "DISK/data/catalog.sqlite: no space is left on the disk"
    assert "DISK" in second


@pytest.mark.usefixtures("may_mount")
def test_a_disk_that_is_read_only_refuses_to_open_and_changes_nothing() -> None:
    assert on_a_small_disk(START + READ_ONLY) == "DISK/data/lock: Read-only file system\n"


@pytest.mark.parametrize(
    ("writable", "words"),
    [
        (None, "lock: Permission denied"),
        ("lock", "catalog.sqlite: attempt to write a readonly database"),
    ],
)
def test_a_collection_of_another_owner_is_refused_in_words(
    open_index: Opener, folder: Path, writable: str | None, words: str
) -> None:
    with open_index() as index:
        index.upsert([record("a")])
    # The superuser may write anywhere, so the child steps down first.
    child = """
if os.geteuid() == 0:
    os.setuid(65534)
try:
    opened()
except StorageError as error:
    print(error)
"""
    with tempfile.TemporaryDirectory() as name:
        theirs = Path(name) / "data"
        shutil.copytree(folder, theirs)
        for path in (*theirs.iterdir(), theirs, Path(name)):
            path.chmod(0o555 if path.is_dir() else 0o444)
        if writable is not None:
            (theirs / writable).chmod(0o666)
        before = (theirs / "catalog.sqlite").read_bytes()
        done = subprocess.run(
            [sys.executable, "-c", START + child, name], cwd=ROOT, capture_output=True, text=True
        )
        assert done.stdout == f"{theirs}/{words}\n", done.stderr
        assert (theirs / "catalog.sqlite").read_bytes() == before
        for path in (Path(name), theirs):
            path.chmod(0o755)
    assert open_index().count("image") == 1
