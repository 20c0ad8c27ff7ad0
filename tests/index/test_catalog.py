"""The file itself: damage, formats, and a disk that refuses."""

import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest

from index.errors import DamagedError, FormatError, StorageError
from index.migrations import FORMAT_VERSION
from tests.index.conftest import Opener
from tests.index.samples import DIMENSION, FINGERPRINT, record

ROOT = Path(__file__).parents[2]


def filled(open_index: Opener, folder: Path) -> Path:
    with open_index() as index:
        index.upsert([record(f"i{n}", seed=n) for n in range(20)])
    return folder / "catalog.sqlite"


def edit(catalog: Path, statement: str, *values: object) -> None:
    connection = sqlite3.connect(catalog)
    with connection:
        assert connection.execute(statement, values).rowcount
    connection.close()


@pytest.mark.parametrize(
    ("table", "column", "call"),
    [
        ("arrays", "arrays", lambda index: index.fetch("image", ["i0", "i3"])),
        ("arrays", "arrays", lambda index: index.get("image", "i3")),
        ("thumbnail", "jpeg", lambda index: index.thumbnail("i3")),
        ("vector", "vector", lambda index: index.get("image", "i3")),
    ],
)
def test_a_damaged_blob_is_named_by_whoever_reads_it_and_by_verify(
    open_index: Opener, folder: Path, table: str, column: str, call: object
) -> None:
    catalog = filled(open_index, folder)
    index = open_index()
    edit(
        catalog,
        f"UPDATE {table} SET {column} = zeroblob(length({column}))"
        " WHERE number = (SELECT number FROM item WHERE id = 'i3')",
    )
    with pytest.raises(DamagedError, match="image 'i3'"):
        call(index)
    assert index.get("image", "i4") is not None
    report = index.verify()
    assert not report.ok
    assert any("image 'i3'" in problem for problem in report.problems)
    assert not any("'i4'" in problem for problem in report.problems)


def test_a_damaged_vector_stops_an_opening_that_has_to_read_it(
    open_index: Opener, folder: Path
) -> None:
    catalog = filled(open_index, folder)
    edit(catalog, "UPDATE vector SET vector = x'00' WHERE number = 3")
    with pytest.raises(DamagedError, match="image 'i2': vector"):
        open_index()


def test_verify_names_an_item_whose_parts_are_missing(open_index: Opener, folder: Path) -> None:
    catalog = filled(open_index, folder)
    index = open_index()
    edit(catalog, "DELETE FROM vector WHERE number = 3")
    problems = index.verify().problems
    assert "image 'i2': its vector or its arrays are missing" in problems
    assert "FAISS holds 20 items of kind image, the catalog 19" in problems


def test_verify_names_a_vector_that_differs_from_the_searched_one(
    open_index: Opener, folder: Path
) -> None:
    catalog = filled(open_index, folder)
    index = open_index()
    edit(
        catalog,
        "UPDATE vector SET vector = (SELECT vector FROM vector WHERE number = 4) WHERE number = 3",
    )
    assert index.verify().problems == (
        "image 'i2' has another vector in FAISS than in the catalog",
    )
    index.rebuild()
    assert index.verify().ok


def test_verify_finds_a_damaged_page(open_index: Opener, folder: Path) -> None:
    catalog = filled(open_index, folder)
    connection = sqlite3.connect(catalog)
    (page,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = 'tag_by_kind'"
    ).fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    with catalog.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 64)
    report = open_index().verify()
    assert not report.ok
    assert "catalog.sqlite" in report.problems[0]


def test_a_file_that_is_no_catalog_is_refused_in_words(open_index: Opener, folder: Path) -> None:
    folder.mkdir()
    catalog = folder / "catalog.sqlite"
    catalog.write_bytes(os.urandom(20000))
    with pytest.raises(DamagedError, match=r"is damaged .*restore it from a backup"):
        open_index()
    catalog.unlink()
    connection = sqlite3.connect(catalog)
    connection.execute("CREATE TABLE other (x)")
    connection.close()
    with pytest.raises(FormatError, match="not a catalog of ours"):
        open_index()


def test_a_later_format_is_refused_and_left_alone(open_index: Opener, folder: Path) -> None:
    catalog = filled(open_index, folder)
    connection = sqlite3.connect(catalog)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(FormatError, match=f"format 99; .* up to {FORMAT_VERSION}"):
        open_index()
    connection = sqlite3.connect(catalog)
    assert connection.execute("PRAGMA user_version").fetchone() == (99,)
    assert connection.execute("SELECT count(*) FROM item").fetchone() == (20,)
    connection.close()


def test_a_path_that_cannot_be_a_folder_is_an_error_in_words(
    open_index: Opener, folder: Path
) -> None:
    folder.write_text("a file")
    with pytest.raises(StorageError, match="data: File exists"):
        open_index()


def test_a_read_only_folder_is_an_error_in_words() -> None:
    # The superuser may write anywhere, so the child steps down first.
    child = f"""
import os, sys
from pathlib import Path
from index.embedded import EmbeddedIndex
from index.errors import StorageError
if os.geteuid() == 0:
    os.setuid(65534)
try:
    EmbeddedIndex.open(Path(sys.argv[1]), {FINGERPRINT!r}, {DIMENSION})
except StorageError as error:
    print(error)
"""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", child, name], cwd=ROOT, capture_output=True, text=True
        )
        assert done.stdout == f"{name}/lock: Permission denied\n", done.stderr
        folder.chmod(0o755)


def test_a_disk_that_takes_no_more_keeps_everything_acknowledged() -> None:
    # A limit on the size of files stands for the end of the disk.
    child = f"""
import resource, sys
from pathlib import Path
import numpy as np
from index.embedded import EmbeddedIndex
from index.errors import StorageError
from tests.index.samples import record, same
index = EmbeddedIndex.open(Path(sys.argv[1]), {FINGERPRINT!r}, {DIMENSION})
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
done = []
try:
    while True:
        records = [record(f"i{{n}}", seed=n) for n in range(len(done), len(done) + 10)]
        index.upsert(records)
        done += records
except StorageError as error:
    print(error)
for _ in range(2):
    assert index.count("image") == len(done) > 0, len(done)
    assert all(same(index.get("image", r.id), r) for r in done)
    query = np.ones((1, {DIMENSION}), np.float32)
    assert sorted(index.search("image", query, 9999).ids[0]) == sorted(r.id for r in done)
    assert index.verify().ok
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    index.upsert(records)
    done += [r for r in records if r not in done]
index.close()
with EmbeddedIndex.open(Path(sys.argv[1]), {FINGERPRINT!r}, {DIMENSION}) as index:
    assert index.count("image") == len(done)
    assert index.verify().ok
"""
    with tempfile.TemporaryDirectory() as name:
        done = subprocess.run(
            [sys.executable, "-c", child, name], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith(f"{name}/catalog.sqlite: "), done.stdout


def test_the_index_stays_usable_after_a_query_of_many_ids(open_index: Opener) -> None:
    index = open_index()
    index.upsert([record("a")])
    asked = [f"i{n}" for n in range(40_000)] + ["a"]
    found = index.fetch("image", asked)
    assert [r.id for r in found if r is not None] == ["a"]
    assert index.delete("image", asked) == 1
    assert index.search("image", np.ones((1, DIMENSION), np.float32), 1).ids == [[]]
