"""Groups of like length: everything once, small enough, and never dearer than simpler cuts."""

import doctest

from hypothesis import given
from hypothesis import strategies as st

from model import lengths
from model.lengths import PASS_COST, of_like_length

LENGTHS = st.lists(st.integers(1, 128), max_size=80)


def cost(groups: list[list[int]], sizes: list[int]) -> int:
    return sum(PASS_COST + len(group) * max(sizes[i] for i in group) for group in groups)


def test_its_example() -> None:
    assert doctest.testmod(lengths).failed == 0


@given(sizes=LENGTHS, most=st.integers(1, 100))
def test_every_place_is_in_one_group_that_is_small_enough(sizes: list[int], most: int) -> None:
    groups = of_like_length(sizes, most)
    assert sorted(i for group in groups for i in group) == list(range(len(sizes)))
    assert all(1 <= len(group) <= most for group in groups)


@given(sizes=LENGTHS, most=st.integers(1, 100))
def test_no_simple_cut_is_cheaper(sizes: list[int], most: int) -> None:
    order = sorted(range(len(sizes)), key=lambda i: sizes[i])
    found = cost(of_like_length(sizes, most), sizes)
    for size in range(1, most + 1):
        cut = [order[start : start + size] for start in range(0, len(order), size)]
        assert found <= cost(cut, sizes)
