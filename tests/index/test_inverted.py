"""The trained index: recall as promised, on vectors like ours."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.errors import ClosedError, DamagedError
from index.flat import nearest_on_cpu
from index.inverted import Inverted, build, read, write
from index.parts import Parts, search, search_exactly
from index.plan import as_they_are
from index.segments import Segments
from index.tuning import held_out_rows, share_found, trial_of, tuned
from index.vectors import View, empty_view
from tests.index.samples import FINGERPRINT, Filled, best

D = 24
GO = threading.Event()


def clustered(rows: int, seed: int, dimension: int = D) -> np.ndarray:
    """Unit vectors around random centres, and a coordinate of another size, as ours have."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(2, rows // 60), dimension - 1))
    points = centres[rng.integers(len(centres), size=rows)]
    points = points + 0.6 * rng.standard_normal(points.shape)
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return np.hstack([points, -0.3 - 0.1 * rng.random((rows, 1))]).astype(np.float32)


def tuned_to(view: View, target: float) -> Inverted:
    held_out = held_out_rows(view.rows)
    index = build(view.matrix, held_out, GO)
    nothing = np.empty((0, D), np.float32)
    return tuned(index, trial_of(view, held_out, as_they_are, nothing), target, GO)


def every_list(faiss_index: object, view: View, held_out: np.ndarray) -> Inverted:
    return tuned(faiss_index, None, 1.0, GO)


def filled(vectors: np.ndarray) -> View:
    return Filled(vectors.shape[1]).add([f"{n:05d}" for n in range(len(vectors))], vectors)


@pytest.mark.parametrize("target", [0.8, 0.95, 0.99])
def test_the_fewest_lists_that_reach_the_target_are_probed(target: float) -> None:
    view = filled(clustered(6000, 0))
    inverted = tuned_to(view, target)
    assert inverted.recall >= target
    assert inverted.nprobe < inverted.lists / 2


def test_queries_of_another_kind_are_tuned_for_as_they_are() -> None:
    """The last coordinate of a query is 1, which makes other rows the nearest."""
    view = filled(clustered(6000, 0))
    asked = clustered(6000, 0)[::30] + 0.01
    asked[:, -1] = 1
    alike = tuned_to(view, 0.99)
    held_out = held_out_rows(view.rows)

    def as_queries(vectors: np.ndarray) -> np.ndarray:
        return np.hstack([vectors[:, :-1], np.ones((len(vectors), 1), np.float32)])

    nothing = np.empty((0, D), np.float32)
    real = trial_of(view, held_out[:0], as_they_are, asked)
    assert real.recall(alike)[0] < 0.99
    for trial in (real, trial_of(view, held_out, as_queries, nothing)):
        inverted = tuned(alike.faiss_index, trial, 0.99, GO)
        assert inverted.nprobe > alike.nprobe
        assert real.recall(inverted)[0] > 0.99


def parts_of(view: View, segment: object) -> Parts:
    flat = nearest_on_cpu(1)
    return Parts(segment, view, flat, empty_view(view.matrix.shape[1]), flat)


def test_at_a_target_of_one_every_list_is_probed() -> None:
    view = filled(clustered(500, 1))
    inverted = tuned_to(view, 1.0)
    assert (inverted.nprobe, inverted.recall) == (inverted.lists, 1.0)


def test_lists_that_add_nothing_are_not_probed_for_a_target_out_of_reach() -> None:
    """One row is so long that the codes of the others all but vanish."""
    vectors = clustered(3000, 8)
    vectors[7] *= 1e6
    view = filled(vectors)
    inverted = tuned_to(view, 0.99)
    assert inverted.recall < 0.9
    every = replace(inverted, nprobe=inverted.lists)
    nothing = np.empty((0, D), np.float32)
    trial = trial_of(view, held_out_rows(view.rows), as_they_are, nothing)
    assert inverted.nprobe < inverted.lists
    assert inverted.recall >= trial.recall(every)[1]


def test_too_few_rows_to_measure_are_probed_whole() -> None:
    view = filled(clustered(5, 1))
    inverted = tuned_to(view, 0.99)
    assert inverted.nprobe == inverted.lists
    assert inverted.recall is None


@pytest.mark.parametrize(
    "vectors",
    [
        np.zeros((300, D), np.float32),
        np.ones((300, D), np.float32),
        np.eye(300, D, dtype=np.float32) * np.float32(1e12),
        np.random.default_rng(0).standard_normal((300, D)).astype(np.float32) * np.float32(1e-18),
    ],
    ids=["zero", "equal", "huge", "tiny"],
)
def test_odd_vectors_are_indexed_and_found(tmp_path: Path, vectors: np.ndarray) -> None:
    view = filled(vectors)
    segment = Segments(tmp_path, FINGERPRINT, D).write("image", [view], every_list, GO)
    parts = parts_of(segment.view, segment)
    query = np.ones((1, D), np.float32)
    (found,) = search(parts, query, 50, exact_rows=0, threads=1)
    items = dict(zip(view.ids, vectors, strict=True))
    assert [score for score, _ in found] == [score for _, score in best(items, query[0], 50)]


@settings(derandomize=True, deadline=None, max_examples=40)
@given(st.integers(0, 99), st.integers(30, 400), st.floats(0, 1), st.integers(1, 500))
def test_a_filtered_or_thinned_segment_equals_filter_then_exact(
    seed: int, rows: int, part: float, k: int
) -> None:
    """With every list probed nothing but the codes stands between the index and exactness."""
    rng = np.random.default_rng(seed)
    vectors = clustered(rows, seed)
    view = filled(vectors)
    index = Inverted(build(view.matrix, held_out_rows(rows), GO), nprobe=10**6, recall=None)
    wanted = np.flatnonzero(rng.random(rows) < part) + 1
    restricted = view.only(wanted)
    items = {f"{n - 1:05d}": vectors[n - 1] for n in wanted}
    query = rng.standard_normal((1, D)).astype(np.float32)
    segment = SegmentLike(index)
    (found,) = search(parts_of(restricted, segment), query, k, exact_rows=0, threads=1)
    assert [(id_, score) for score, id_ in found] == best(items, query[0], k)


class SegmentLike:
    """What a search asks of a segment: its index. Its vectors are in memory for good."""

    def __init__(self, inverted: Inverted) -> None:
        self.inverted = inverted

    def was_read(self, rows: int) -> None:
        """Has nothing to let go of."""


@pytest.mark.parametrize("part", [0.9, 0.5, 0.2, 0.1, 0.03])
def test_recall_under_a_filter_is_no_lower_than_without(part: float) -> None:
    vectors = clustered(6000, 9)
    view = filled(vectors)
    inverted = tuned_to(view, 0.95)
    wanted = np.flatnonzero(np.random.default_rng(0).random(6000) < part) + 1
    parts = parts_of(view.only(wanted), SegmentLike(inverted))
    queries = vectors[::60] + np.float32(0.01)
    exact = search_exactly(parts, queries, 100)
    found = search(parts, queries, 100, exact_rows=0, threads=1)
    shares = [share_found(*pair) for pair in zip(found, exact, strict=True)]
    assert np.mean(shares) > 0.95


def test_a_filter_that_leaves_only_far_items_still_finds_k() -> None:
    """Of two far clusters the filter leaves the one that the query isn't near to."""
    rng = np.random.default_rng(3)
    near = np.eye(1, D) + 0.01 * rng.standard_normal((3000, D))
    far = -np.eye(1, D) + 0.01 * rng.standard_normal((2000, D))
    vectors = np.vstack([near, far]).astype(np.float32)
    view = filled(vectors)
    index = Inverted(build(view.matrix, held_out_rows(5000), GO), nprobe=1, recall=None)
    wanted = np.arange(3001, 5001)
    query = np.eye(1, D, dtype=np.float32)
    (found,) = search(
        parts_of(view.only(wanted), SegmentLike(index)), query, 40, exact_rows=0, threads=1
    )
    items = {f"{n - 1:05d}": vectors[n - 1] for n in wanted}
    assert [(id_, score) for score, id_ in found] == best(items, query[0], 40)


def test_the_mapped_index_finds_what_the_built_one_finds(tmp_path: Path) -> None:
    view = filled(clustered(2000, 4))
    built = build(view.matrix, held_out_rows(2000), GO)
    with (tmp_path / "index").open("wb") as file:
        write(built, file.write)
    mapped = read(tmp_path / "index")
    queries = clustered(50, 5)
    for nprobe in (1, 8):
        one, other = (
            Inverted(i, nprobe, None).nearest(view, queries, 10, 20, 1) for i in (built, mapped)
        )
        assert np.array_equal(one, other)


def test_a_file_that_is_no_index_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "index").write_bytes(b"nonsense" * 20)
    with pytest.raises(DamagedError, match="FAISS can't read it"):
        read(tmp_path / "index")


def test_a_build_stops_when_it_is_told_to() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(ClosedError):
        build(clustered(500, 6), held_out_rows(500), stop)
