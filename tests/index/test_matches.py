import numpy as np

from index.embedded import EmbeddedIndex
from index.filter import OneOf, parse_filter
from index.filter_sql import compiled
from index.matches import Matches
from index.reads import Stamp
from tests.index.samples import DIMENSION, record

FIRST, SECOND = Stamp(1, b"a"), Stamp(2, b"b")
A, B, C = (compiled("image", OneOf("/x", (value,))) for value in (1, 2, 3))
QUERY = np.ones((1, DIMENSION), np.float32)


def test_what_matched_is_remembered_for_its_state_alone() -> None:
    matches, numbers = Matches(), np.arange(5)
    matches.put("image", A, FIRST, numbers)
    assert matches.get("image", A, FIRST) is numbers
    assert matches.get("text", A, FIRST) is None
    assert matches.get("image", B, FIRST) is None
    assert matches.get("image", A, SECOND) is None
    matches.put("image", B, SECOND, numbers)
    assert matches.get("image", A, FIRST) is None


def test_what_was_asked_for_longest_ago_is_forgotten_first() -> None:
    matches = Matches(most_bytes=2 * 40_000 + 10_000)
    for condition in (A, B):
        matches.put("image", condition, FIRST, np.arange(5000))
    matches.get("image", A, FIRST)
    matches.put("image", C, FIRST, np.arange(3000))
    assert matches.get("image", B, FIRST) is None
    assert matches.get("image", A, FIRST) is not None
    matches.put("image", B, FIRST, np.arange(20_000))
    assert matches.get("image", B, FIRST) is None


def test_filters_that_match_nothing_are_forgotten_too() -> None:
    matches = Matches(most_bytes=1_000_000)
    conditions = [compiled("image", OneOf("/user", (f"u{n}" * 100,))) for n in range(2000)]
    for condition in conditions:
        matches.put("image", condition, FIRST, np.empty(0, np.int64))
    kept = sum(matches.get("image", condition, FIRST) is not None for condition in conditions)
    assert 300 < kept < 1000
    assert matches.get("image", conditions[-1], FIRST) is not None


def test_a_filter_that_is_put_again_is_counted_once() -> None:
    matches = Matches(most_bytes=100_000)
    for _ in range(10):
        matches.put("image", A, FIRST, np.arange(5000))
    assert matches.get("image", A, FIRST) is not None


def test_one_and_true_are_two_filters(index: EmbeddedIndex) -> None:
    index.upsert([record("one", metadata={"x": 1}), record("true", metadata={"x": True})])
    for value, expected in ((1, "one"), (True, "true"), (1.0, "one")):
        tree = parse_filter({"field": "x", "equals": value})
        for _ in range(2):
            assert index.search("image", QUERY, 9, tree).ids == [[expected]]
    index.delete("image", ["one"])
    assert index.search("image", QUERY, 9, parse_filter({"field": "x", "equals": 1})).ids == [[]]
