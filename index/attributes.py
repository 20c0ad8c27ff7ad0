"""Metadata taken apart into the typed values that filters ask for.

A value is found under the JSON pointer (RFC 6901) of its place. The elements of a list are found
under the list's own pointer, so that a condition on a list holds when it holds for an element.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Scalar = str | int | float | bool | None
Type = Literal["text", "number", "boolean", "null"]

# The longest text that a filter may compare with. One character more of each stored text decides
# every comparison with such a text, so the rest isn't indexed.
MAX_TEXT_CHARACTERS = 256
_INT64 = range(-(2**63), 2**63)


@dataclass(frozen=True)
class Attribute:
    """One value of an item's metadata: what it is compared as, and the value as SQLite keeps it."""

    pointer: str
    type: Type
    value: str | int | float


def attributes(metadata: Mapping[str, Any]) -> list[Attribute]:
    """Every distinct value of a JSON object.

    >>> [(a.pointer, a.value) for a in attributes({"year": 2020, "by": [{"name": "Ann"}, "Bo"]})]
    [('/year', 2020), ('/by/name', 'Ann'), ('/by', 'Bo')]
    """
    found: dict[Attribute, None] = {}
    # A stack of our own: metadata may be nested deeper than Python likes to recurse.
    waiting: list[tuple[str, Any]] = [("", metadata)]
    while waiting:
        pointer, value = waiting.pop()
        match value:
            case Mapping():
                inner = [(f"{pointer}/{escaped(str(key))}", one) for key, one in value.items()]
            case list() | tuple():
                inner = [(pointer, one) for one in value]
            case _:
                found[Attribute(pointer, *typed(value))] = None
                continue
        waiting.extend(reversed(inner))
    return list(found)


def typed(value: Scalar) -> tuple[Type, str | int | float]:
    """The type by which a value compares, and the value as it is stored. 1 equals 1.0, not true."""
    match value:
        case None:
            return "null", 0
        case bool():
            return "boolean", int(value)
        case str():
            return "text", value[: MAX_TEXT_CHARACTERS + 1]
        case int() if value not in _INT64:
            return "number", _as_float(value)
        case _:
            return "number", value


def escaped(key: str) -> str:
    """A key as one part of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
