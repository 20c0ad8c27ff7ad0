import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.vectors import MIN_DEAD_TO_COMPACT, Vectors, nearest_on_cpu, search
from tests.index.samples import best

NEAREST = nearest_on_cpu(1)
D = 16


def add(vectors: Vectors, ids: list[str], values: np.ndarray) -> None:
    vectors.publish(vectors.prepare((), ids, values))


def remove(vectors: Vectors, ids: list[str]) -> None:
    vectors.publish(vectors.prepare(ids, (), np.empty((0, D), np.float32)))


def hits(vectors: Vectors, query: np.ndarray, k: int) -> list[tuple[str, float]]:
    ids, scores = search(vectors.view, query[None], k, NEAREST)
    return list(zip(ids[0], scores[0].tolist(), strict=True))


@settings(derandomize=True, deadline=None, max_examples=80)
@given(st.integers(0, 9999), st.integers(0, 120), st.integers(1, 40), st.integers(1, 130))
def test_order_is_total_and_equals_brute_force_even_among_ties(
    seed: int, count: int, distinct: int, k: int
) -> None:
    rng = np.random.default_rng(seed)
    pool = rng.standard_normal((distinct, D)).astype(np.float32)
    items = {f"{n:03d}": pool[rng.integers(distinct)] for n in rng.permutation(count)}
    vectors = Vectors(D)
    if items:
        add(vectors, list(items), np.stack(list(items.values())))
    query = rng.standard_normal(D).astype(np.float32)
    assert hits(vectors, query, k) == best(items, query, k)


def test_a_thousand_equal_vectors_come_in_order_of_id() -> None:
    rng = np.random.default_rng(0)
    ids = [f"{n:04d}" for n in rng.permutation(1000)]
    vectors = Vectors(D)
    add(vectors, ids, np.ones((1000, D), np.float32))
    add(vectors, ["far"], -np.ones((1, D), np.float32))
    found = hits(vectors, np.ones(D, np.float32), 7)
    assert found == [(f"{n:04d}", 16.0) for n in range(7)]


def test_scores_and_order_do_not_depend_on_the_batch() -> None:
    rng = np.random.default_rng(1)
    vectors = Vectors(D)
    add(vectors, [f"{n:04d}" for n in range(3000)], rng.standard_normal((3000, D)).astype("f4"))
    queries = rng.standard_normal((40, D)).astype(np.float32)
    ids, scores = search(vectors.view, queries, 50, NEAREST)
    for query, own_ids, own_scores in zip(queries, ids, scores, strict=True):
        assert hits(vectors, query, 50) == list(zip(own_ids, own_scores.tolist(), strict=True))


def test_dead_rows_never_crowd_out_the_living() -> None:
    vectors = Vectors(D)
    near, far = np.full((500, D), 2, np.float32), np.ones((500, D), np.float32)
    add(vectors, [f"{n:03d}" for n in range(500)], near)
    add(vectors, [f"{n:03d}" for n in range(500)], far)
    remove(vectors, ["000", "001", "unknown"])
    assert vectors.view.count == 498
    found = hits(vectors, np.ones(D, np.float32), 600)
    assert found == [(f"{n:03d}", 16.0) for n in range(2, 500)]


def test_an_unpublished_change_is_forgotten() -> None:
    vectors = Vectors(D)
    add(vectors, ["a"], np.ones((1, D), np.float32))
    vectors.prepare(["a"], ["b", "c"], np.full((2, D), 9, np.float32))
    add(vectors, ["d"], np.full((1, D), 2, np.float32))
    assert hits(vectors, np.ones(D, np.float32), 5) == [("d", 32.0), ("a", 16.0)]
    assert "b" not in vectors


def test_a_view_shows_the_same_while_writes_and_compaction_go_on() -> None:
    rng = np.random.default_rng(2)
    ids = [f"{n:04d}" for n in range(2000)]
    vectors = Vectors(D)
    add(vectors, ids, rng.standard_normal((2000, D)).astype(np.float32))
    view, query = vectors.view, rng.standard_normal((1, D)).astype(np.float32)
    before = search(view, query, 30, NEAREST)
    epochs = set()
    for _ in range(4):
        add(vectors, ids, rng.standard_normal((2000, D)).astype(np.float32))
        epochs.add(vectors.view.epoch)
    assert len(epochs) > 1, "the dead rows were never cleared away"
    assert vectors.view.rows - vectors.view.count <= 2000 + MIN_DEAD_TO_COMPACT
    after = search(view, query, 30, NEAREST)
    assert before[0] == after[0]
    assert np.array_equal(before[1][0], after[1][0])


@pytest.mark.parametrize("magnitude", [1e-20, 1.0, 1e12])
def test_ties_are_found_at_any_magnitude(magnitude: float) -> None:
    rng = np.random.default_rng(3)
    pool = (rng.standard_normal((5, D)).clip(-1, 1) * magnitude).astype(np.float32)
    items = {f"{n:03d}": pool[n % 5] for n in range(200)}
    vectors = Vectors(D)
    add(vectors, list(items), np.stack(list(items.values())))
    query = (rng.standard_normal(D).clip(-1, 1)).astype(np.float32)
    assert hits(vectors, query, 61) == best(items, query, 61)
