"""A filtered search gives what filtering first and searching exactly then would give."""

import functools
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index.embedded import EmbeddedIndex
from index.filter import parse_filter
from index.filter_sql import compiled
from index.migrations import MIGRATIONS
from index.packing import seal
from index.plan import DEFAULT_PLAN, Plan
from tests.index.conftest import Opener
from tests.index.samples import DIMENSION, FINGERPRINT, SMALL, best, record

NUMBERS = [0, 1, 1.0, 1.5, -2, 2**53, 2**53 + 1, 10**30, -(10**400)]
TEXTS = ["", "1", "a", "B", "é", "🐕", "%", "'; DROP TABLE item; --", "x" * 300, "x" * 256]
FIELDS = ["year", "place", "a/b", "~", "/camera/model", "", "/by/name"]
TAGS = ["dog", "cat", "Ünder", "a'b"]
QUERY = np.ones((1, DIMENSION), np.float32)

values = st.one_of(st.sampled_from([*NUMBERS, *TEXTS]), st.booleans(), st.none())
stored = st.one_of(values, st.lists(values, max_size=3))
metadata = st.dictionaries(
    st.sampled_from(["year", "place", "a/b", "~", ""]), stored, max_size=4
).flatmap(
    lambda flat: st.fixed_dictionaries(
        {},
        optional={
            "camera": st.fixed_dictionaries({"model": stored}),
            "by": st.lists(st.fixed_dictionaries({"name": stored}), max_size=2),
        },
    ).map(lambda deep: {**flat, **deep})
)
items = st.lists(st.tuples(metadata, st.lists(st.sampled_from(TAGS), max_size=3)), max_size=14)
short = values.filter(lambda value: not isinstance(value, str) or len(value) <= 256)
fields = st.sampled_from([field for field in FIELDS if field])
bounds = st.sampled_from(["gt", "gte", "lt", "lte"])
leaves = st.one_of(
    st.fixed_dictionaries({"field": fields, "equals": short}),
    st.fixed_dictionaries({"field": fields, "in": st.lists(short, min_size=1, max_size=3)}),
    *(
        st.fixed_dictionaries(
            {"field": fields, "range": st.dictionaries(bounds, st.sampled_from(pool), min_size=1)}
        )
        for pool in (NUMBERS, TEXTS[:-2])
    ),
    st.fixed_dictionaries({"tag": st.sampled_from(TAGS)}),
    st.fixed_dictionaries({"tag": st.lists(st.sampled_from(TAGS), min_size=1, max_size=2)}),
)
filters = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.fixed_dictionaries({"and": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"or": st.lists(inner, min_size=1, max_size=3)}),
        st.fixed_dictionaries({"not": inner}),
    ),
    max_leaves=5,
)


Opened = Callable[[Plan], EmbeddedIndex]


@pytest.fixture
def opened(open_index: Opener) -> Opened:
    """One index for all examples of a plan."""
    return functools.cache(lambda plan: open_index(plan=plan))


def places(value: Any, steps: list[str]) -> Iterator[Any]:
    """The values at a path, one after the other."""
    if isinstance(value, list):
        for one in value:
            yield from places(one, steps)
    elif steps and isinstance(value, dict):
        if steps[0] in value:
            yield from places(value[steps[0]], steps[1:])
    elif not steps and not isinstance(value, dict):
        yield value


def comparable(value: Any) -> Any:
    """Numbers, booleans, texts and null never meet."""
    if isinstance(value, bool) or value is None:
        return (str(type(value)), value)
    if isinstance(value, str):
        return ("text", value)
    inside = -(2**63) <= value < 2**63
    try:
        return ("number", value if inside else float(value))
    except OverflowError:
        return ("number", float("inf") if value > 0 else float("-inf"))


COMPARE = {
    "gt": lambda a, b: a > b,
    "gte": lambda a, b: a >= b,
    "lt": lambda a, b: a < b,
    "lte": lambda a, b: a <= b,
}


def holds(tree: dict, data: dict, tags: list[str]) -> bool:
    """The filter's meaning, one item at a time."""
    if "and" in tree:
        return all(holds(part, data, tags) for part in tree["and"])
    if "or" in tree:
        return any(holds(part, data, tags) for part in tree["or"])
    if "not" in tree:
        return not holds(tree["not"], data, tags)
    if "tag" in tree:
        wanted = tree["tag"] if isinstance(tree["tag"], list) else [tree["tag"]]
        return any(tag in tags for tag in wanted)
    field = tree["field"]
    deep = field.startswith("/") and field not in data
    found = [comparable(v) for v in places(data, field[1:].split("/") if deep else [field])]
    if "range" in tree:
        limits = {name: comparable(value) for name, value in tree["range"].items()}
        return any(
            all(v[0] == b[0] and COMPARE[name](v[1], b[1]) for name, b in limits.items())
            for v in found
        )
    wanted = [comparable(v) for v in (tree["in"] if "in" in tree else [tree["equals"]])]
    return any(v in wanted for v in found)


@pytest.mark.parametrize("plan", [DEFAULT_PLAN, SMALL], ids=["flat", "inverted lists"])
@settings(
    derandomize=True,
    deadline=None,
    max_examples=80,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(items, st.lists(filters, min_size=1, max_size=4), st.integers(1, 15))
def test_a_filtered_search_equals_filter_then_exact(
    opened: Opened, plan: Plan, some: list, trees: list, k: int
) -> None:
    index = opened(plan)
    index.delete("image", [one.id for one in index.list("image")])
    given = [record(f"i{n}", seed=n, metadata=m, tags=tuple(t)) for n, (m, t) in enumerate(some)]
    # Sentences that match as well are never found among pictures.
    index.upsert([*given, *(record(r.id, "text", metadata=r.metadata, tags=r.tags) for r in given)])
    for tree in trees:
        matching = {r.id: r.vector for r in given if holds(tree, r.metadata, list(r.tags))}
        hits = index.search("image", QUERY, k, parse_filter(tree))
        found = list(zip(hits.ids[0], hits.scores[0].tolist(), strict=True))
        assert found == best(matching, QUERY[0], k), tree


def test_changed_metadata_and_tags_count_at_once(index: EmbeddedIndex) -> None:
    index.upsert([record("a", metadata={"year": 1}, tags=("x",)), record("b", tags=("x",))])
    year, tag = parse_filter({"field": "year", "equals": 1}), parse_filter({"tag": "x"})
    assert index.search("image", QUERY, 9, year).ids == [["a"]]
    index.update_metadata("image", "a", {"year": 2})
    assert index.search("image", QUERY, 9, year).ids == [[]]
    assert len(index.search("image", QUERY, 9, tag).ids[0]) == 2
    index.update_metadata("image", "a", {"year": 1}, ["y"])
    index.delete("image", ["b"])
    assert index.search("image", QUERY, 9, year).ids == [["a"]]
    assert index.search("image", QUERY, 9, tag).ids == [[]]
    assert index.verify().ok


@pytest.mark.parametrize("plan", [DEFAULT_PLAN, SMALL], ids=["delta", "segments"])
def test_filter_and_vectors_are_of_one_state_while_items_are_replaced(
    open_index: Opener, plan: Plan
) -> None:
    """Every write moves the items to another year, all together."""
    index = open_index(plan=plan)
    ids = [f"i{n}" for n in range(12)]

    def version(number: int) -> list:
        vector = np.full(DIMENSION, number, np.float32)
        return [record(id_, vector=vector, metadata={"year": number % 2}) for id_ in ids]

    index.upsert(version(0))
    stop = threading.Event()

    def write() -> None:
        for number in range(1, 120):
            index.upsert(version(number))
        stop.set()

    def look() -> int:
        count, axis = 0, np.eye(1, DIMENSION, dtype=np.float32)
        while not stop.is_set():
            for year in (0, 1):
                tree = parse_filter({"field": "year", "equals": year})
                hits = index.search("image", axis, 99, tree)
                assert sorted(hits.ids[0]) in (sorted(ids), [])
                seen = set(hits.scores[0].tolist())
                assert not seen or seen in ({float(n)} for n in range(year, 120, 2))
                if plan is DEFAULT_PLAN:
                    # No swap of a segment is among the generations.
                    version = hits.generation - 1
                    assert seen == ({version} if version % 2 == year else set())
            count += 1
        return count

    with ThreadPoolExecutor(3) as pool:
        looks = [pool.submit(look) for _ in range(2)]
        pool.submit(write).result()
        assert all(done.result() > 5 for done in looks)


def test_a_filter_sees_a_commit_that_was_never_published(
    index: EmbeddedIndex, folder: Path
) -> None:
    index.upsert([record("a", tags=("x",)), record("b", tags=("x",))])
    other = sqlite3.connect(folder / "catalog.sqlite")
    other.execute("PRAGMA foreign_keys = ON")
    with other:
        other.execute("DELETE FROM item WHERE id = 'a'")
        other.execute("UPDATE state SET generation = generation + 1, token = randomblob(16)")
    other.close()
    assert index.search("image", QUERY, 9, parse_filter({"tag": "x"})).ids == [["b"]]


def test_the_items_of_the_first_format_can_be_filtered(open_index: Opener, folder: Path) -> None:
    folder.mkdir()
    old = sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)
    for statement in MIGRATIONS[0]:
        old.execute(statement)
    old.execute("PRAGMA user_version = 1")
    old.execute("INSERT INTO model VALUES (1, ?, ?)", (FINGERPRINT, DIMENSION))
    vectors = {}
    for number, year in ((3, "2019"), (9, "2020")):
        vectors[year] = np.full(DIMENSION, number, np.float32)
        old.execute(
            "INSERT INTO item VALUES (?, 'image', ?, 1, ?, '[\"dog\"]', NULL, '', 5, 5)",
            (number, year, f'{{"year":{year}}}'),
        )
        old.execute("INSERT INTO vector VALUES (?, ?)", (number, seal(vectors[year].tobytes())))
    old.close()
    index = open_index()
    tree = parse_filter({"field": "year", "range": {"gte": 2020}})
    assert index.search("image", QUERY, 9, tree).ids == [["2020"]]
    assert index.search("image", QUERY, 9).ids == [["2020", "2019"]]
    # Numbers go on behind those that were used.
    index.delete("image", ["2020"])
    index.upsert([record("new")])
    connection = sqlite3.connect(folder / "catalog.sqlite")
    assert connection.execute("SELECT number FROM item ORDER BY 1").fetchall() == [(3,), (10,)]
    connection.close()


@pytest.mark.parametrize(
    "tree",
    [
        {"field": "year", "equals": 2020},
        {"field": "year", "in": [2020, "2021"]},
        {"field": "year", "range": {"gte": 2020, "lt": 2030}},
        {"tag": ["dog", "cat"]},
    ],
)
def test_a_condition_is_answered_by_an_index(
    index: EmbeddedIndex, folder: Path, tree: dict
) -> None:
    condition = compiled("image", parse_filter(tree))
    connection = sqlite3.connect(folder / "catalog.sqlite")
    plan = connection.execute(
        f"EXPLAIN QUERY PLAN SELECT number FROM item WHERE kind = ? AND {condition.sql}"
        " ORDER BY number",
        ("image", *condition.parameters),
    ).fetchall()
    connection.close()
    steps = [step[-1] for step in plan]
    assert any(
        "attribute_by_value (kind=? AND pointer=? AND type=? AND value" in s
        or "tag_by_kind (kind=? AND tag=?)" in s
        for s in steps
    )
    assert not any(step.startswith("SCAN") for step in steps), steps
