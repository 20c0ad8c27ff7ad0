"""The filter language: what is read, and what is refused in which words."""

import pytest

from index.errors import FilterError
from index.filter import All, Not, OneOf, Range, Some, Tagged, parse_filter


def test_every_form_has_its_tree() -> None:
    given = {
        "and": [
            {"field": "year", "equals": 2020},
            {"field": "/camera/model", "in": ["X100", None, True, 1.5]},
            {"or": [{"tag": "dog"}, {"tag": ["cat", "cow", "cat"]}]},
            {"not": {"range": {"lt": 5, "gte": 1}, "field": "a/b"}},
        ]
    }
    assert parse_filter(given) == All(
        (
            OneOf("/year", (2020,)),
            OneOf("/camera/model", ("X100", None, True, 1.5)),
            Some((Tagged(("dog",)), Tagged(("cat", "cow")))),
            Not(Range("/a~1b", (("gte", 1), ("lt", 5)))),
        )
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "filter: must be an object, not []"),
        ({}, "filter: must hold one of and, or, not, tag, or field with one of equals, in, range;"),
        ({"field": "year"}, "it holds ['field']"),
        ({"field": "year", "equals": 1, "in": [1]}, "it holds ['field', 'equals', 'in']"),
        ({"and": []}, "filter/and: must be a list of at least one filter"),
        ({"and": [{"tag": "a"}, 7]}, "filter/and/1: must be an object, not 7"),
        ({"not": {"or": [{"field": "", "equals": 1}]}}, "filter/not/or/0/field: must be a name"),
        ({"field": "\ud800", "equals": 1}, "filter/field: must be a name or a JSON pointer"),
        (
            {"field": "year", "like": "2%"},
            "filter: field '/year': no such operator: 'like'; there are equals, in, range",
        ),
        (
            {"field": "year", "equals": [1]},
            "filter/equals: field '/year', equals: must be a text, a finite number, true, false or",
        ),
        ({"field": "year", "equals": float("nan")}, "'/year', equals: must be a text, a finite"),
        ({"field": "year", "equals": "x" * 257}, "equals: a text of 257 characters; the limit is"),
        ({"field": "year", "in": "abc"}, "'/year', in: must be a list of at least one value"),
        (
            {"field": "year", "in": [1, {}]},
            "filter/in/1: field '/year', in: must be a text, a finite number",
        ),
        ({"field": "year", "range": {}}, "'/year', range: must be an object of one or more of gt,"),
        ({"field": "year", "range": {"from": 1}}, "range: must be an object of one or more of"),
        ({"field": "year", "range": {"gt": 1, "lt": "b"}}, "all numbers or all texts"),
        ({"field": "year", "range": {"gt": True}}, "all numbers or all texts"),
        ({"field": "year", "range": {"gt": []}}, "'/year', range, gt: must be a text, a finite"),
        ({"tag": []}, "filter/tag: must be a text or a list of texts"),
        ({"tag": [3]}, "filter/tag: must be a text or a list of texts"),
        ({"tag": "\ud800"}, "filter/tag: must be a text or a list of texts"),
        ({"or": [{"tag": "a"}] * 101}, "filter: at least 101 conditions; the limit is 100"),
        ({"field": "n", "in": [1] * 10_001}, "filter: at least 10,001 values; the limit is 10,000"),
    ],
)
def test_a_filter_that_cannot_be_read_is_refused_with_place_field_and_operator(
    given: object, words: str
) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(given)
    assert words in str(caught.value)


def test_a_filter_over_the_limits_is_read_no_further() -> None:
    with pytest.raises(FilterError, match="at least 101 conditions"):
        parse_filter({"or": [{"tag": "a"}] * 101 + [7]})
    with pytest.raises(FilterError, match="at least 10,001 values"):
        parse_filter({"tag": [*["a"] * 10_000, 7]})


def test_a_value_of_any_depth_is_refused_like_any_other() -> None:
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(FilterError, match="or null, not a list"):
        parse_filter({"field": "year", "equals": value})


def test_nesting_has_a_limit() -> None:
    given: dict = {"tag": "a"}
    for _ in range(16):
        given = {"not": given}
    with pytest.raises(FilterError, match="nested deeper than 16"):
        parse_filter(given)
    assert parse_filter(given["not"])
