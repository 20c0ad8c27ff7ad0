"""Searches and writes at the same time."""

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from index.embedded import EmbeddedIndex
from index.plan import DEFAULT_PLAN, Plan
from tests.index.conftest import Opener
from tests.index.load import run
from tests.index.samples import DIMENSION, SMALL, eventually, record

IDS = [f"i{n:02d}" for n in range(24)]
FIRST_AXIS = np.eye(1, DIMENSION, dtype=np.float32)


def version(number: int) -> list:
    """One write: every item gets a vector whose first coordinate is the version."""
    vector = np.full(DIMENSION, number, np.float32)
    return [record(id_, vector=vector, metadata={"version": number}) for id_ in IDS]


@pytest.mark.parametrize("plan", [DEFAULT_PLAN, SMALL], ids=["delta", "segments"])
def test_searchers_never_see_half_a_write_nor_miss_an_acknowledged_one(
    open_index: Opener, plan: Plan
) -> None:
    index = open_index(plan=plan)
    acknowledged = [0]
    index.upsert(version(0))
    stop = threading.Event()

    def write() -> None:
        # Enough replaced rows for the dead to be cleared away a few times.
        for number in range(1, 100):
            index.upsert(version(number))
            acknowledged[0] = number
        stop.set()

    def search() -> int:
        count, generation = 0, 0
        while not stop.is_set():
            known = acknowledged[0]
            hits = index.search("image", FIRST_AXIS, 99)
            assert hits.ids == [IDS]
            (seen,) = set(hits.scores[0].tolist())
            assert seen >= known
            # Each swap of a segment is a generation as well.
            assert hits.generation >= max(seen + 1, generation)
            assert plan is SMALL or hits.generation == seen + 1
            generation = hits.generation
            fetched = index.fetch("image", IDS)
            (stored,) = {one.metadata["version"] for one in fetched}
            assert stored >= seen
            count += 1
        return count

    with ThreadPoolExecutor(5) as pool:
        searches = [pool.submit(search) for _ in range(4)]
        pool.submit(write).result()
        assert all(done.result() > 5 for done in searches)
    stats = index.stats()
    assert (stats["generation"] > 100) == (plan is SMALL), "no segment was swapped in"
    assert stats["build_failures"] == {}
    assert index.verify().ok


@pytest.mark.parametrize("plan", [DEFAULT_PLAN, SMALL], ids=["delta", "segments"])
def test_every_answer_is_of_one_state_while_many_search_and_two_write(
    open_index: Opener, plan: Plan
) -> None:
    index = open_index(plan=plan)
    load = run(index, seconds=2, searchers=8, writers=2)
    assert load.searches > 8
    assert load.writes > 4
    assert load.generation >= load.writes
    assert index.stats()["build_failures"] == {}
    assert index.verify().ok


def test_reads_do_not_wait_for_a_write_that_waits(index: EmbeddedIndex, folder: Path) -> None:
    index.upsert(version(1))
    holder = sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        write = pool.submit(index.upsert, version(2))
        started = time.monotonic()
        for _ in range(20):
            assert set(index.search("image", FIRST_AXIS, 3).scores[0].tolist()) == {1.0}
            assert index.fetch("image", IDS[:1])[0].metadata == {"version": 1}
            assert index.list("image", limit=1)[0].metadata == {"version": 1}
            assert index.stats()["generation"] == 1
        assert time.monotonic() - started < 5
        assert not write.done()
        holder.execute("ROLLBACK")
        holder.close()
        write.result()
    assert set(index.search("image", FIRST_AXIS, 3).scores[0].tolist()) == {2.0}


def test_many_writers_take_turns(index: EmbeddedIndex) -> None:
    def write(writer: int) -> None:
        for step in range(10):
            assert index.upsert([record(f"w{writer}-{step}")]) == [True]
            assert index.delete("image", [f"w{writer}-{step - 1}"]) == (step > 0)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    assert [one.id for one in index.list("image")] == [f"w{n}-9" for n in range(4)]
    assert index.stats()["generation"] == 4 * 19
    assert index.verify().ok


def test_closing_waits_for_the_write_in_progress(open_index: Opener, folder: Path) -> None:
    index = open_index()
    holder = sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(2) as pool:
        write = pool.submit(index.upsert, version(1))
        eventually(write.running)
        close = pool.submit(index.close)
        eventually(close.running)
        holder.execute("ROLLBACK")
        holder.close()
        close.result()
        if write.exception() is None:
            assert write.result() == [True] * len(IDS)
    # Whichever came first: told "done" means there, told "closed" means not.
    with open_index() as again:
        assert again.count("image") == (len(IDS) if write.exception() is None else 0)


def test_a_commit_that_was_never_published_shows_with_the_next_write(
    index: EmbeddedIndex, folder: Path
) -> None:
    # As after a Ctrl-C between the two: the catalog is ahead of what is searched.
    index.upsert([record("a"), record("b")])
    other = sqlite3.connect(folder / "catalog.sqlite")
    other.execute("PRAGMA foreign_keys = ON")
    with other:
        other.execute("DELETE FROM item WHERE id = 'a'")
        other.execute("UPDATE state SET generation = generation + 1, token = randomblob(16)")
    other.close()
    index.upsert([record("c")])
    assert sorted(index.search("image", FIRST_AXIS, 9).ids[0]) == ["b", "c"]
    assert index.stats()["generation"] == 3
    assert index.verify().ok


def test_a_batch_on_two_threads_finds_what_one_finds(open_index: Opener) -> None:
    index = open_index(threads=2)
    index.upsert([record(f"i{n:03d}", seed=n) for n in range(300)])
    queries = np.random.default_rng(0).standard_normal((40, DIMENSION)).astype(np.float32)
    together = index.search("image", queries, 10)
    assert together.ids == [index.search("image", q[None], 10).ids[0] for q in queries]
