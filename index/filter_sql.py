"""A filter as an SQL condition on the number of an item. Every value is a parameter."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from index.attributes import typed
from index.filter import All, Bound, Filter, Not, OneOf, Range, Some, Tagged
from index.records import Kind

_COMPARISON: dict[Bound, str] = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


@dataclass(frozen=True)
class Condition:
    """SQL over a column `number`, and its parameters in order."""

    sql: str
    parameters: tuple[Any, ...]


def compiled(kind: Kind, tree: Filter) -> Condition:
    """The condition that holds for the numbers of the items of one kind that match."""
    match tree:
        case OneOf(pointer, values):
            of_type: dict[str, list[str | int | float]] = {}
            for type_, value in map(typed, values):
                of_type.setdefault(type_, []).append(value)
            return _joined(
                " OR ",
                [
                    _attribute(
                        kind, pointer, f"type = ? AND value IN ({marks(some)})", [type_, *some]
                    )
                    for type_, some in of_type.items()
                ],
            )
        case Range(pointer, bounds):
            pairs = [typed(value) for _, value in bounds]
            comparisons = " AND ".join(f"value {_COMPARISON[bound]} ?" for bound, _ in bounds)
            return _attribute(
                kind,
                pointer,
                f"type = ? AND {comparisons}",
                [pairs[0][0], *(value for _, value in pairs)],
            )
        case Tagged(tags):
            return Condition(
                f"number IN (SELECT number FROM tag WHERE kind = ? AND tag IN ({marks(tags)}))",
                (kind, *tags),
            )
        case All(parts):
            return _joined(" AND ", [compiled(kind, part) for part in parts])
        case Some(parts):
            return _joined(" OR ", [compiled(kind, part) for part in parts])
        case Not(part):
            inner = compiled(kind, part)
            return Condition(f"NOT {inner.sql}", inner.parameters)


def _attribute(kind: Kind, pointer: str, sql: str, parameters: Sequence[Any]) -> Condition:
    return Condition(
        f"number IN (SELECT number FROM attribute WHERE kind = ? AND pointer = ? AND {sql})",
        (kind, pointer, *parameters),
    )


def marks(values: Sequence[Any]) -> str:
    """A parameter's mark for every value."""
    return ", ".join("?" * len(values))


def _joined(word: str, parts: Sequence[Condition]) -> Condition:
    return Condition(
        f"({word.join(part.sql for part in parts)})",
        tuple(value for part in parts for value in part.parameters),
    )
