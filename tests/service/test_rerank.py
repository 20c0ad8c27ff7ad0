"""The re-ranker's slices: the same answer as in one go, and in time when there is a deadline."""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from model.matcher import Encoded, Kind, Matcher, Scores
from service.collection import Collection
from service.rerank import FIRST_SLICE, rerank
from tests.helpers import photo


@pytest.fixture
def candidates(collection: Collection) -> list[Encoded]:
    return collection.matcher.encode_pictures([photo(seed) for seed in range(3 * FIRST_SLICE + 5)])


@pytest.fixture
def query(collection: Collection) -> Encoded:
    return collection.matcher.encode_texts(["a dog on the beach"])[0]


def first_stage_of(query: Encoded, candidates: Sequence[Encoded]) -> np.ndarray:
    return np.array([query.query @ candidate.vector for candidate in candidates], np.float32)


def ids_of(candidates: Sequence[Encoded]) -> list[str]:
    return [f"{place:03}" for place in range(len(candidates))]


def test_slices_give_what_one_go_gives(
    collection: Collection, query: Encoded, candidates: list[Encoded]
) -> None:
    first_stage = first_stage_of(query, candidates)
    arrays, ids = [candidate.arrays for candidate in candidates], ids_of(candidates)
    whole, scored = rerank(collection.matcher, query, "text", first_stage, arrays, ids)
    later = time.perf_counter() + 60
    sliced, also = rerank(collection.matcher, query, "text", first_stage, arrays, ids, later)
    assert scored == also == len(candidates)
    assert [one.place for one in whole] == [one.place for one in sliced]
    assert [one.score for one in whole] == pytest.approx([one.score for one in sliced], abs=1e-5)
    assert [one.score for one in whole] == sorted((one.score for one in whole), reverse=True)


class SlowMatcher(Matcher):
    """The real matcher with a clock that jumps, so that a deadline passes between two slices."""

    def __init__(self, real: Matcher, clock: "Clock") -> None:
        self.__dict__.update(real.__dict__)
        self._clock = clock

    def score(
        self,
        query: Encoded,
        query_kind: Kind,
        first_stage: np.ndarray,
        candidates: Sequence[Mapping[str, np.ndarray]],
    ) -> Scores:
        self._clock.now += 0.010
        return super().score(query, query_kind, first_stage, candidates)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(("allowed_s", "slices"), [(0.0, 0), (0.005, 1), (0.019, 1), (0.025, 2)])
def test_a_deadline_stops_before_the_slice_that_would_miss_it(
    collection: Collection,
    query: Encoded,
    candidates: list[Encoded],
    monkeypatch: pytest.MonkeyPatch,
    allowed_s: float,
    slices: int,
) -> None:
    clock = Clock()
    monkeypatch.setattr("service.rerank.time.perf_counter", clock)
    first_stage = first_stage_of(query, candidates)
    arrays, ids = [candidate.arrays for candidate in candidates], ids_of(candidates)
    slow = SlowMatcher(collection.matcher, clock)
    ranking, scored = rerank(slow, query, "text", first_stage, arrays, ids, clock.now + allowed_s)
    assert scored == slices * FIRST_SLICE
    assert len(ranking) == len(candidates)
    assert {one.place for one in ranking[:scored]} == set(range(scored))
    left = ranking[scored:]
    assert [one.place for one in left] == list(range(scored, len(candidates)))
    assert [one.score for one in left] == first_stage[scored:].tolist()
    assert all(one.stages.entity is None for one in left)


class QuickMatcher(SlowMatcher):
    """Takes ten microseconds a candidate, and tells how many it was given at once."""

    def __init__(self, real: Matcher, clock: "Clock") -> None:
        super().__init__(real, clock)
        self.sizes: list[int] = []

    def score(
        self,
        query: Encoded,
        query_kind: Kind,
        first_stage: np.ndarray,
        candidates: Sequence[Mapping[str, np.ndarray]],
    ) -> Scores:
        self.sizes.append(len(candidates))
        self._clock.now += 10e-6 * len(candidates)
        return Matcher.score(self, query, query_kind, first_stage, candidates)


@pytest.mark.parametrize(
    ("allowed_s", "sizes"), [(1.0, [16, 32, 5]), (470e-6, [16]), (490e-6, [16, 32])]
)
def test_slices_grow_while_they_take_less_than_half_a_millisecond(
    collection: Collection,
    query: Encoded,
    candidates: list[Encoded],
    monkeypatch: pytest.MonkeyPatch,
    allowed_s: float,
    sizes: list[int],
) -> None:
    clock = Clock()
    monkeypatch.setattr("service.rerank.time.perf_counter", clock)
    first_stage = first_stage_of(query, candidates)
    arrays, ids = [candidate.arrays for candidate in candidates], ids_of(candidates)
    quick = QuickMatcher(collection.matcher, clock)
    _, scored = rerank(quick, query, "text", first_stage, arrays, ids, clock.now + allowed_s)
    assert quick.sizes == sizes
    assert scored == sum(sizes)


def test_ties_go_by_id(collection: Collection, query: Encoded) -> None:
    twin = collection.matcher.encode_pictures([photo(1)])[0]
    first_stage = first_stage_of(query, [twin] * 4)
    arrays, ids = [twin.arrays] * 4, ["d", "b", "c", "a"]
    ranking, _ = rerank(collection.matcher, query, "text", first_stage, arrays, ids)
    assert [ids[one.place] for one in ranking] == ["a", "b", "c", "d"]


def test_no_candidates_give_no_ranking(collection: Collection, query: Encoded) -> None:
    empty = np.zeros(0, np.float32)
    assert rerank(collection.matcher, query, "text", empty, [], []) == ([], 0)
