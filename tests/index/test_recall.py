"""The recall of live queries, measured in the background."""

from dataclasses import replace

import numpy as np

from index.plan import Plan
from index.tuning import share_found
from tests.index.conftest import Opener
from tests.index.samples import DIMENSION, SMALL, eventually, record


def test_live_queries_are_answered_exactly_as_well(open_index: Opener) -> None:
    index = open_index(device="cpu", plan=SMALL)
    index.upsert([record(f"i{n:03d}", seed=n) for n in range(300)])
    eventually(lambda: index.stats()["segments"]["image"]["main_rows"] == 300)
    assert index.stats()["measured_recall"] == {}
    queries = np.random.default_rng(0).standard_normal((40, DIMENSION)).astype(np.float32)

    def measured() -> int:
        for query in queries:
            index.search("image", query[None], 10)
        return index.stats()["measured_recall"].get("image", {}).get("queries", 0)

    eventually(lambda: measured() > 20)
    # Every list is probed.
    assert index.stats()["measured_recall"]["image"]["recall"] == 1.0
    assert "text" not in index.stats()["measured_recall"]


def test_more_lists_are_probed_when_live_queries_need_them(open_index: Opener) -> None:
    """Tuned on vectors in clusters, and asked for what every cluster has some of."""
    plan = replace(SMALL, recall_target=0.9)
    rng = np.random.default_rng(1)
    vectors = 5 * rng.standard_normal((20, DIMENSION))[rng.integers(20, size=2000)]
    vectors = (vectors + rng.standard_normal(vectors.shape)).astype(np.float32)
    vectors[:, -1] = 0.1 * rng.random(2000)
    index = open_index(device="cpu", plan=plan)
    index.upsert([record(f"i{n:04d}", vector=vector) for n, vector in enumerate(vectors)])

    def facts() -> dict:
        return index.stats()["segments"]["image"]

    eventually(lambda: facts()["main_rows"] == 2000)
    built = facts()["nprobe"]
    query = np.eye(1, DIMENSION, DIMENSION - 1, dtype=np.float32)

    def raised() -> bool:
        for _ in range(20):
            index.search("image", query, 100)
        return facts()["nprobe"] > built

    eventually(raised)
    after = facts()["nprobe"]
    index.close()
    assert open_index(device="cpu", plan=plan).stats()["segments"]["image"]["nprobe"] == after


def test_a_collection_that_is_searched_exactly_has_nothing_to_measure(open_index: Opener) -> None:
    index = open_index(device="cpu", plan=Plan(exact_answer_every_s=0.0))
    index.upsert([record("a")])
    for _ in range(5):
        index.search("image", np.ones((1, DIMENSION), np.float32), 1)
    assert index.stats()["measured_recall"] == {}


def test_recall_counts_hits_as_good_as_the_last_exact_one() -> None:
    exact = [(3.0, "a"), (2.0, "b"), (2.0, "c")]
    assert share_found(exact, exact) == 1.0
    assert share_found([(3.0, "a"), (2.0, "d"), (2.0, "e")], exact) == 1.0
    assert share_found([(3.0, "a"), (1.9, "d")], exact) == 1 / 3
    assert share_found([], exact) == 0.0
