import subprocess
import sys
from pathlib import Path

import pytest

from index.embedded import EmbeddedIndex
from index.errors import LockedError
from tests.index.conftest import Opener
from tests.index.samples import DIMENSION, FINGERPRINT, record

ROOT = Path(__file__).parents[2]
HOLD = f"""
import sys
from pathlib import Path
from index.embedded import EmbeddedIndex
index = EmbeddedIndex.open(Path(sys.argv[1]), {FINGERPRINT!r}, {DIMENSION})
print("open", flush=True)
sys.stdin.read()
index.close()
"""


def test_a_second_process_is_told_who_holds_the_directory(open_index: Opener, folder: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with other:
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(LockedError) as caught:
            open_index()
        assert str(caught.value) == f"{folder} is open in another process (pid {other.pid})"
        other.stdin.close()
    assert other.returncode == 0
    assert open_index().upsert([record("a")]) == [True]


def test_the_lock_goes_with_a_killed_process(open_index: Opener, folder: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with other:
        assert other.stdout.readline() == b"open\n"
        other.kill()
    assert open_index().count("image") == 0


def test_one_process_cannot_open_it_twice_either(index: EmbeddedIndex, folder: Path) -> None:
    index.upsert([record("a")])
    with pytest.raises(LockedError):
        EmbeddedIndex.open(folder, FINGERPRINT, DIMENSION)
    assert index.upsert([record("b")]) == [True]


def test_a_refused_opening_leaves_no_lock_behind(open_index: Opener, folder: Path) -> None:
    folder.mkdir()
    (folder / "catalog.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(Exception, match="damaged"):
        open_index()
    (folder / "catalog.sqlite").unlink()
    assert open_index().count("image") == 0
