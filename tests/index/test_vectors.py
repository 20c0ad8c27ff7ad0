import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.flat import nearest_on_cpu, search
from index.vectors import MIN_DEAD_TO_COMPACT, Vectors
from tests.index.samples import Filled, best

NEAREST = nearest_on_cpu(1)
D = 16


def hits(vectors: Vectors, query: np.ndarray, k: int) -> list[tuple[str, float]]:
    (found,) = search(vectors.view, query[None], k, NEAREST)
    return [(id_, score) for score, id_ in found]


@settings(derandomize=True, deadline=None, max_examples=80)
@given(st.integers(0, 9999), st.integers(0, 120), st.integers(1, 40), st.integers(1, 130))
def test_order_is_total_and_equals_brute_force_even_among_ties(
    seed: int, count: int, distinct: int, k: int
) -> None:
    rng = np.random.default_rng(seed)
    pool = rng.standard_normal((distinct, D)).astype(np.float32)
    items = {f"{n:03d}": pool[rng.integers(distinct)] for n in rng.permutation(count)}
    vectors = Filled(D)
    if items:
        vectors.add(list(items), np.stack(list(items.values())))
    query = rng.standard_normal(D).astype(np.float32)
    assert hits(vectors.vectors, query, k) == best(items, query, k)


def test_a_thousand_equal_vectors_come_in_order_of_id() -> None:
    rng = np.random.default_rng(0)
    ids = [f"{n:04d}" for n in rng.permutation(1000)]
    vectors = Filled(D)
    vectors.add(ids, np.ones((1000, D), np.float32))
    vectors.add(["far"], -np.ones((1, D), np.float32))
    found = hits(vectors.vectors, np.ones(D, np.float32), 7)
    assert found == [(f"{n:04d}", 16.0) for n in range(7)]


def test_scores_and_order_do_not_depend_on_the_batch() -> None:
    rng = np.random.default_rng(1)
    vectors = Filled(D)
    vectors.add([f"{n:04d}" for n in range(3000)], rng.standard_normal((3000, D)).astype("f4"))
    queries = rng.standard_normal((40, D)).astype(np.float32)
    together = search(vectors.vectors.view, queries, 50, NEAREST)
    for query, own in zip(queries, together, strict=True):
        assert search(vectors.vectors.view, query[None], 50, NEAREST) == [own]


def test_dead_rows_never_crowd_out_the_living() -> None:
    vectors = Filled(D)
    near, far = np.full((500, D), 2, np.float32), np.ones((500, D), np.float32)
    vectors.add([f"{n:03d}" for n in range(500)], near)
    vectors.add([f"{n:03d}" for n in range(500)], far)
    vectors.remove(["000", "001", "unknown"])
    assert vectors.vectors.view.count == 498
    found = hits(vectors.vectors, np.ones(D, np.float32), 600)
    assert found == [(f"{n:03d}", 16.0) for n in range(2, 500)]


def test_an_unpublished_view_is_forgotten() -> None:
    vectors = Vectors(D)
    vectors.publish(vectors.prepare((), [1], ["a"], np.ones((1, D), np.float32)))
    vectors.prepare([1], [2, 3], ["b", "c"], np.full((2, D), 9, np.float32))
    vectors.publish(vectors.prepare((), [2], ["d"], np.full((1, D), 2, np.float32)))
    assert hits(vectors, np.ones(D, np.float32), 5) == [("d", 32.0), ("a", 16.0)]


def test_a_row_that_comes_and_goes_in_one_write_is_dead() -> None:
    vectors = Vectors(D)
    vectors.publish(vectors.prepare([7, 99], [7, 8], ["a", "a"], np.ones((2, D), np.float32)))
    assert vectors.view.count == 1
    assert hits(vectors, np.ones(D, np.float32), 5) == [("a", 16.0)]


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.integers(0, 9999), st.integers(1, 300), st.floats(0, 1), st.integers(1, 60))
def test_only_some_numbers_are_searched_as_if_there_were_no_others(
    seed: int, count: int, part: float, k: int
) -> None:
    rng = np.random.default_rng(seed)
    vectors = Filled(D)
    values = rng.standard_normal((count, D)).astype(np.float32)
    vectors.add([f"{n:03d}" for n in range(count)], values)
    vectors.remove([f"{n:03d}" for n in range(0, count, 5)])
    wanted = np.flatnonzero(rng.random(count + 9) < part) + 1
    items = {f"{n:03d}": values[n] for n in range(count) if n % 5 and n + 1 in wanted}
    query = rng.standard_normal(D).astype(np.float32)
    (found,) = search(vectors.vectors.view.only(wanted), query[None], k, NEAREST)
    assert [(id_, score) for score, id_ in found] == best(items, query, k)


def test_a_view_shows_the_same_while_writes_and_compaction_go_on() -> None:
    rng = np.random.default_rng(2)
    ids = [f"{n:04d}" for n in range(2000)]
    vectors = Filled(D)
    vectors.add(ids, rng.standard_normal((2000, D)).astype(np.float32))
    view, query = vectors.vectors.view, rng.standard_normal((1, D)).astype(np.float32)
    before = search(view, query, 30, NEAREST)
    epochs = set()
    for _ in range(4):
        vectors.add(ids, rng.standard_normal((2000, D)).astype(np.float32))
        epochs.add(vectors.vectors.view.epoch)
    assert len(epochs) > 1, "the dead rows were never cleared away"
    assert vectors.vectors.view.rows - vectors.vectors.view.count <= 2000 + MIN_DEAD_TO_COMPACT
    assert search(view, query, 30, NEAREST) == before


@pytest.mark.parametrize("magnitude", [1e-20, 1.0, 1e12])
def test_ties_are_found_at_any_magnitude(magnitude: float) -> None:
    rng = np.random.default_rng(3)
    pool = (rng.standard_normal((5, D)).clip(-1, 1) * magnitude).astype(np.float32)
    items = {f"{n:03d}": pool[n % 5] for n in range(200)}
    vectors = Filled(D)
    vectors.add(list(items), np.stack(list(items.values())))
    query = (rng.standard_normal(D).clip(-1, 1)).astype(np.float32)
    assert hits(vectors.vectors, query, 61) == best(items, query, 61)
