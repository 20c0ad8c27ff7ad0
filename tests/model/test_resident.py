"""Scores with candidates that stay on the device are those with candidates that are copied."""

import gc
import random as chance
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.alignment import Alignment
from model.errors import PackedNodesError
from model.fused import TORCH, FusedScorer, Kind, Layer
from model.packed_nodes import PackedNodes, pack_in_float16, pack_in_four_bits, pack_nodes
from model.resident import NodeShape, ResidentNodes, Usage

DIMENSION = 24
WIDTH = 6
CLOSE = 1e-5
Layout = Literal["int8", "four bits", "float16"]
PACKERS: dict[Layout, Callable[[np.ndarray, np.ndarray], PackedNodes]] = {
    "int8": pack_nodes,
    "four bits": pack_in_four_bits,
    "float16": pack_in_float16,
}
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=pytest.mark.skipif(
            not torch.cuda.is_available(), reason="torch finds no usable GPU here"
        ),
    ),
]


def item(
    seed: int, count: int = 3, layout: Layout = "int8", dimension: int = DIMENSION
) -> np.ndarray:
    """A block of unit vectors with weights that sum to 1."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(count, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    weights = random.random(count)
    return PACKERS[layout](vectors, weights / weights.sum()).block


def pool_of(slots: int, float16: bool = False, device: str = "cpu") -> ResidentNodes:
    return ResidentNodes(slots, NodeShape(WIDTH, DIMENSION, float16), device)


class Pair:
    """A scorer with a pool for each side of a layer, and one without."""

    def __init__(
        self,
        slots: int,
        float16: bool = False,
        device: str = "cpu",
        assignment: Literal["soft", "hard"] = "soft",
    ) -> None:
        alignment = Alignment(1, assignment).to(device)
        self.pools: dict[tuple[Layer, Kind], ResidentNodes] = {
            ("entity", "image"): pool_of(slots, float16, device),
            ("entity", "text"): pool_of(slots, float16, device),
        }
        self.resident = FusedScorer(alignment, TORCH, self.pools)
        self.copied = FusedScorer(alignment, TORCH)

    def agree(self, query: np.ndarray, kind: Kind, blocks: Sequence[np.ndarray]) -> None:
        """Both score the same."""
        found = self.resident.score("entity", query, kind, blocks)
        expected = self.copied.score("entity", query, kind, blocks)
        np.testing.assert_allclose(found, expected, atol=CLOSE)


blocks_given = st.tuples(
    st.integers(1, WIDTH + 2),
    st.sampled_from([*PACKERS, "int8", "four bits"]),
)


@pytest.mark.parametrize("device", DEVICES)
@settings(derandomize=True, deadline=None, max_examples=80)
@given(
    slots=st.integers(1, 6),
    float16=st.booleans(),
    assignment=st.sampled_from(["soft", "hard"]),
    given_blocks=st.lists(blocks_given, min_size=4, max_size=12),
    steps=st.lists(
        st.tuples(
            st.sampled_from(["image", "text"]),
            st.lists(st.integers(0, 11), max_size=10),
            st.lists(st.integers(0, 11), max_size=4),
        ),
        min_size=3,
        max_size=12,
    ),
)
def test_any_queries_over_blocks_that_come_and_go_score_the_same(
    device: str,
    slots: int,
    float16: bool,
    assignment: Literal["soft", "hard"],
    given_blocks: list[tuple[int, Layout]],
    steps: list[tuple[Kind, list[int], list[int]]],
) -> None:
    pair = Pair(slots, float16, device, assignment)
    stored = [item(seed, *one) for seed, one in enumerate(given_blocks)]
    seeds = len(stored)
    for step, (kind, asked, replaced) in enumerate(steps):
        # The old array is gone before the new one is made, so that its id may come again.
        for place in {one % len(stored) for one in replaced}:
            stored[place] = np.zeros(0, np.uint8)
            stored[place] = item(seeds + place, *given_blocks[(place + step) % len(given_blocks)])
        seeds += len(stored)
        candidates = [stored[one % len(stored)] for one in asked]
        query = item(10_000 + step, 1 + step % WIDTH, "float16" if float16 else "int8")
        pair.agree(query, kind, candidates)
        for pool in pair.pools.values():
            assert pool.usage().used <= slots


@pytest.mark.parametrize("device", DEVICES)
def test_threads_that_share_few_slots_get_the_scores_of_their_own_candidates(device: str) -> None:
    pair = Pair(12, device=device)
    stored = [item(n, 1 + n % WIDTH) for n in range(40)]
    query = item(999, 4)
    expected = pair.copied.score("entity", query, "text", stored)

    def search(seed: int) -> float:
        random = chance.Random(seed)
        worst = 0.0
        for _ in range(40):
            asked = random.choices(range(40), k=random.randint(1, 14))
            # Copies that die at once, so that slots come free while others look for some.
            blocks = [stored[n].copy() if random.random() < 0.3 else stored[n] for n in asked]
            found = pair.resident.score("entity", query, "text", blocks)
            worst = max(worst, float(np.abs(found - expected[asked]).max()))
        return worst

    with ThreadPoolExecutor(4) as threads:
        assert max(threads.map(search, range(8))) < CLOSE
    usage = pair.pools["entity", "image"].usage()
    assert usage.used <= usage.slots
    assert usage.hits > 0


def test_what_was_asked_for_before_is_copied_no_more() -> None:
    pool = pool_of(4)
    blocks = [item(n) for n in range(3)]
    pool.nodes(blocks)
    assert pool.usage() == Usage(slots=4, used=3, hits=0, misses=3)
    pool.nodes(blocks[:2])
    assert pool.usage() == Usage(slots=4, used=3, hits=2, misses=3)
    # One that is named twice is copied once.
    pool.nodes([new := item(9), new])
    assert pool.usage() == Usage(slots=4, used=4, hits=3, misses=4)


def test_the_least_recently_used_loses_its_slot() -> None:
    pool = pool_of(2)
    first, second, third = (item(n) for n in range(3))
    pool.nodes([first, second])
    pool.nodes([first])
    pool.nodes([third])
    assert pool.known([first, second, third]) == [True, False, True]


def test_what_a_query_found_is_not_given_to_what_it_misses() -> None:
    pool = pool_of(3)
    old, kept = item(0), item(1)
    pool.nodes([kept, old])
    # `kept` is the least recently used, and asked for beside two that need slots.
    pool.nodes([item(2), new := item(3), kept])
    assert pool.known([kept, new, old]) == [True, True, False]


def test_a_slot_is_free_once_its_array_is_gone() -> None:
    pool = pool_of(2)
    kept, gone = item(0), item(1)
    pool.nodes([kept, gone])
    del gone
    gc.collect()
    assert pool.usage().used == 1


def test_a_free_slot_is_taken_before_that_of_an_array_that_lives() -> None:
    pool = pool_of(2)
    kept, gone = item(0), item(1)
    pool.nodes([kept, gone])
    del gone
    gc.collect()
    pool.nodes([new := item(2)])
    assert pool.known([kept, new]) == [True, True]


def test_an_array_with_the_id_of_one_that_is_gone_is_another() -> None:
    pair = Pair(8)
    query = item(100)
    seen: set[int] = set()
    repeated = 0
    for seed in range(200):
        block = item(seed)
        repeated += id(block) in seen
        seen.add(id(block))
        pair.agree(query, "text", [block])
        del block
    assert repeated > 0, "this Python never gave an id again, so nothing was tested"
    assert pair.pools["entity", "image"].usage().hits == 0


@pytest.mark.parametrize("assignment", ["soft", "hard"])
@pytest.mark.parametrize("kind", ["image", "text"])
def test_nothing_of_a_longer_item_is_left_for_a_shorter_one_in_its_slot(
    kind: Kind, assignment: Literal["soft", "hard"]
) -> None:
    pair = Pair(2, assignment=assignment)
    query = item(100)
    pair.agree(query, kind, [item(1, WIDTH), item(2, WIDTH)])
    # Copied alone, it brings no room for more nodes with it that would be empty.
    short = item(3, 1)
    pair.agree(query, kind, [short])
    pair.agree(query, kind, [short, item(4, WIDTH)])


def test_more_candidates_than_slots_are_scored_and_the_first_stay() -> None:
    pair = Pair(5)
    blocks = [item(n, 1 + n % WIDTH) for n in range(12)]
    for _ in range(3):
        pair.agree(item(100), "text", blocks)
    assert pair.pools["entity", "image"].usage() == Usage(slots=5, used=5, hits=10, misses=5)
    assert pair.pools["entity", "image"].known(blocks) == [True] * 5 + [False] * 7


@pytest.mark.parametrize(
    "other",
    [item(1, WIDTH + 1), item(1, 2, "float16")],
    ids=["more nodes than a slot has", "another layout"],
)
def test_what_fits_in_no_slot_is_copied_beside_what_does(other: np.ndarray) -> None:
    pair = Pair(5)
    blocks = [item(2), other, item(3, 5, "four bits")]
    pair.agree(item(100), "text", blocks)
    assert pair.pools["entity", "image"].known(blocks) == [True, False, True]


def test_queries_of_another_dimension_than_the_slots_are_scored_without_them() -> None:
    pair = Pair(5)
    pair.agree(item(0, dimension=10), "text", [item(n, dimension=10) for n in range(1, 4)])
    assert pair.pools["entity", "image"].usage().used == 0


def test_a_candidate_on_the_device_of_another_dimension_than_the_query_is_refused() -> None:
    pair = Pair(5)
    block = item(0)
    pair.agree(item(1), "text", [block])
    with pytest.raises(PackedNodesError, match="candidate 0: its dimension isn't the query's"):
        pair.resident.score("entity", item(2, dimension=10), "text", [block])


def test_a_candidate_that_can_not_be_read_is_named_and_takes_no_slot() -> None:
    pair = Pair(5)
    good, query = item(0), item(1)
    for garbage in (good[:-1], item(0, dimension=10), good[:0]):
        with pytest.raises(PackedNodesError, match="candidate 1: "):
            pair.resident.score("entity", query, "text", [good, garbage])
    assert pair.pools["entity", "image"].usage().used == 0
