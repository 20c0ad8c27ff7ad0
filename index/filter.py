"""The filter language: JSON to a tree of conditions on metadata and tags.

    {"field": "year", "equals": 2020}             a value of the metadata
    {"field": "place", "in": ["Oslo", "Rome"]}    one of several
    {"field": "taken", "range": {"gte": "2020-01-01", "lt": "2021-01-01"}}
    {"field": "/camera/model", "equals": "X100"}  deeper, by JSON pointer
    {"tag": "dog"}    {"tag": ["dog", "cat"]}     the item carries it; one of them
    {"and": [...]}    {"or": [...]}    {"not": {...}}

Values compare by type: 1 equals 1.0, but neither "1" nor true, and a range of numbers holds no
text. A list matches when one of its elements does. A field that isn't there matches nothing, so
`not` of a condition matches items without the field.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeGuard

from index.attributes import MAX_TEXT_CHARACTERS, Scalar, escaped
from index.errors import FilterError

MAX_DEPTH = 16
MAX_CONDITIONS = 100
# Each value is two parameters of one SQL statement, and SQLite allows 32,766.
MAX_VALUES = 10_000
# Characters of what an error quotes.
MOST_SHOWN = 60

Bound = Literal["gt", "gte", "lt", "lte"]
BOUNDS: tuple[Bound, ...] = ("gt", "gte", "lt", "lte")
_FIELD_OPERATORS = ("equals", "in", "range")
_GROUPS = ("and", "or", "not")


@dataclass(frozen=True)
class OneOf:
    """A value at this JSON pointer of the metadata is one of these."""

    pointer: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Range:
    """A value at this pointer lies within every bound; all are numbers, or all are texts."""

    pointer: str
    bounds: tuple[tuple[Bound, str | int | float], ...]


@dataclass(frozen=True)
class Tagged:
    """The item carries one of these tags."""

    tags: tuple[str, ...]


@dataclass(frozen=True)
class All:
    """Every part holds."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True)
class Some:
    """One part holds, or more."""

    parts: tuple["Filter", ...]


@dataclass(frozen=True)
class Not:
    """The part doesn't hold."""

    part: "Filter"


Filter = OneOf | Range | Tagged | All | Some | Not


def parse_filter(given: object) -> Filter:
    """The tree of a filter as JSON gives it.

    Raises FilterError naming the place in the filter (a JSON pointer), the field and the operator.
    """
    return _Parser().read(given, "", 1)


class _Parser:
    """Reads one filter and counts what is in it, so that one over the limits is read no further."""

    def __init__(self) -> None:
        self._conditions = 0
        self._values = 0

    def read(self, given: object, at: str, depth: int) -> Filter:
        """`at`: the JSON pointer of this part in the filter."""
        if depth > MAX_DEPTH:
            raise FilterError(at, f"nested deeper than {MAX_DEPTH}")
        if not isinstance(given, Mapping):
            raise FilterError(at, f"must be an object, not {_short(given)}")
        keys = tuple(given)
        match keys:
            case ("and" | "or" as group,):
                parts = self._parts(given[group], f"{at}/{group}", depth)
                return All(parts) if group == "and" else Some(parts)
            case ("not",):
                return Not(self.read(given["not"], f"{at}/not", depth + 1))
            case ("tag",):
                self._count(conditions=1)
                return Tagged(self._tags(given["tag"], at))
        if "field" in keys and len(keys) == 2:
            self._count(conditions=1)
            (operator,) = (key for key in keys if key != "field")
            return self._condition(_pointer(given["field"], at), operator, given[operator], at)
        raise FilterError(
            at,
            f"must hold one of {', '.join(_GROUPS)}, tag, or field with one of"
            f" {', '.join(_FIELD_OPERATORS)}; it holds {_short(list(keys))}",
        )

    def _parts(self, given: object, at: str, depth: int) -> tuple[Filter, ...]:
        if not isinstance(given, list) or not given:
            raise FilterError(at, "must be a list of at least one filter")
        return tuple(self.read(one, f"{at}/{n}", depth + 1) for n, one in enumerate(given))

    def _count(self, conditions: int = 0, values: int = 0) -> None:
        self._conditions += conditions
        self._values += values
        if self._conditions > MAX_CONDITIONS:
            raise FilterError(
                "", f"at least {self._conditions} conditions; the limit is {MAX_CONDITIONS}"
            )
        if self._values > MAX_VALUES:
            raise FilterError("", f"at least {self._values:,} values; the limit is {MAX_VALUES:,}")

    def _tags(self, given: object, at: str) -> tuple[str, ...]:
        tags = given if isinstance(given, list) else [given]
        self._count(values=len(tags))
        if not tags or not all(isinstance(tag, str) and _is_unicode(tag) for tag in tags):
            raise FilterError(f"{at}/tag", "must be a text or a list of texts")
        return tuple(dict.fromkeys(tags))

    def _condition(self, pointer: str, operator: Any, value: Any, at: str) -> Filter:
        inside, name = f"{at}/{operator}", f"field {_short(pointer)}, {operator}"
        match operator:
            case "equals":
                self._count(values=1)
                return OneOf(pointer, (_scalar(value, inside, name),))
            case "in":
                if not isinstance(value, list) or not value:
                    raise FilterError(inside, f"{name}: must be a list of at least one value")
                self._count(values=len(value))
                values = (_scalar(one, f"{inside}/{n}", name) for n, one in enumerate(value))
                return OneOf(pointer, tuple(values))
            case "range":
                return Range(pointer, _bounds(value, inside, name))
            case _:
                raise FilterError(
                    at,
                    f"field {_short(pointer)}: no such operator: {_short(operator)};"
                    f" there are {', '.join(_FIELD_OPERATORS)}",
                )


def _pointer(field: object, at: str) -> str:
    if not isinstance(field, str) or not field or not _is_unicode(field):
        raise FilterError(f"{at}/field", f"must be a name or a JSON pointer, not {_short(field)}")
    return field if field.startswith("/") else f"/{escaped(field)}"


def _scalar(value: object, at: str, name: str) -> Scalar:
    match value:
        case None | bool() | int():
            return value
        case float() if math.isfinite(value):
            return value
        case str() if _is_unicode(value):
            if len(value) > MAX_TEXT_CHARACTERS:
                raise FilterError(
                    at,
                    f"{name}: a text of {len(value):,} characters; the limit is"
                    f" {MAX_TEXT_CHARACTERS}",
                )
            return value
        case _:
            raise FilterError(
                at,
                f"{name}: must be a text, a finite number, true, false or null,"
                f" not {_short(value)}",
            )


def _bounds(given: object, at: str, name: str) -> tuple[tuple[Bound, str | int | float], ...]:
    words = f"{name}: must be an object of one or more of {', '.join(BOUNDS)}"
    if not isinstance(given, Mapping) or not given or not set(given) <= set(BOUNDS):
        raise FilterError(at, f"{words}, not {_short(given)}")
    bounds = [
        (bound, _scalar(given[bound], f"{at}/{bound}", f"{name}, {bound}"))
        for bound in BOUNDS
        if bound in given
    ]
    ordered = [(bound, value) for bound, value in bounds if _is_ordered(value)]
    if len(ordered) < len(bounds) or len({isinstance(value, str) for _, value in ordered}) > 1:
        raise FilterError(
            at, f"{name}: the bounds must be all numbers or all texts: {_short(given)}"
        )
    return tuple((bound, value) for bound, value in bounds if _is_ordered(value))


def _is_ordered(value: Scalar) -> TypeGuard[str | int | float]:
    return value is not None and not isinstance(value, bool)


def _is_unicode(text: str) -> bool:
    # A lone surrogate has no UTF-8, and no stored text holds one.
    return text.isascii() or not any("\ud800" <= sign <= "\udfff" for sign in text)


def _short(value: object) -> str:
    match value:
        case Mapping():
            name, inside = "an object", list(value.values())
        case list():
            name, inside = "a list", value
        case _:
            name, inside = "", []
    # Python doesn't write what is nested ever so deep, and nobody reads what is long.
    if len(inside) > MOST_SHOWN or any(isinstance(one, Mapping | list) for one in inside):
        return name
    text = ascii(value[:MOST_SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."
