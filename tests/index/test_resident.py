"""What a search maps into memory of a main segment's vectors doesn't stay there for good."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from index.segment import Reads
from tests.index.conftest import Opener
from tests.index.samples import DIMENSION, SMALL, best, eventually, record

SMAPS = Path("/proc/self/smaps")
GIVEN = [record(f"p{n:02d}", seed=n) for n in range(60)]


def resident_kib(folder: Path) -> int:
    """Of the mapped vectors, what counts as this process's memory."""
    lines = iter(SMAPS.read_text().splitlines())
    found = 0
    for line in lines:
        if str(folder) in line and line.endswith("/vectors"):
            found += next(int(fact.split()[1]) for fact in lines if fact.startswith("Rss:"))
    return found


@pytest.mark.skipif(not SMAPS.exists(), reason="only Linux tells what is resident")
def test_searches_let_go_of_the_vectors_that_they_read(
    open_index: Opener, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reads, "MOST", 100)
    # No answers in the background, which let go of what they read, too.
    index = open_index(device="cpu", plan=replace(SMALL, exact_answer_every_s=3600))
    index.upsert(GIVEN)
    eventually(lambda: index.stats()["segments"]["image"]["main_rows"] == 60)
    query = np.ones((1, DIMENSION), np.float32)
    expected = [id_ for id_, _ in best({r.id: r.vector for r in GIVEN}, query[0], 10)]
    resident = []
    for _ in range(10):
        assert index.search("image", query, 10).ids == [expected]
        resident.append(resident_kib(folder))
    assert max(resident) > 0, "a search reads them where they are mapped"
    assert min(resident) == 0, "and they are let go of"


def test_many_reads_are_counted_whoever_reads() -> None:
    reads = Reads()
    times: list[int] = []

    def read() -> None:
        times.extend(1 for _ in range(1000) if reads.are_many(100))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Two reads of a hundred are more than 128.
    assert len(times) == 4 * 1000 // 2
