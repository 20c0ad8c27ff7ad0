"""The recall of live queries, measured in the background."""

import numpy as np

from index.plan import Plan
from index.tuning import share_found
from tests.index.conftest import Opener
from tests.index.samples import DIMENSION, SMALL, eventually, record


def test_live_queries_are_answered_exactly_as_well(open_index: Opener) -> None:
    index = open_index(plan=SMALL)
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


def test_a_collection_that_is_searched_exactly_has_nothing_to_measure(open_index: Opener) -> None:
    index = open_index(plan=Plan(exact_answer_every_s=0.0))
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
