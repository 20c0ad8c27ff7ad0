"""Records to store, and the plain-Python truth to compare a search with."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from index.plan import Plan
from index.records import Kind, Record
from index.vectors import Vectors, View

DIMENSION = 8
# Segments of a few items, every list probed, so that what is found is exact.
SMALL = Plan(flat_rows=8, delta_rows=8, recall_target=1.0, exact_rows=0, exact_answer_every_s=0.0)
FINGERPRINT = "a" * 64
OTHER_FINGERPRINT = "b" * 64


def record(
    id: str,
    kind: Kind = "image",
    vector: np.ndarray | None = None,
    seed: int = 0,
    metadata: Mapping[str, Any] | None = None,
    tags: tuple[str, ...] = (),
    dimension: int = DIMENSION,
) -> Record:
    """A whole record whose random parts follow from the seed."""
    rng = np.random.default_rng(seed)
    if vector is None:
        vector = rng.standard_normal(dimension).astype(np.float32)
    return Record(
        id=id,
        kind=kind,
        vector=vector,
        arrays={
            "entity": rng.standard_normal((3, 16)).astype(np.float32),
            "boxes": rng.random((3, 4)).astype(np.float32),
            "spans": rng.integers(0, 99, (3, 2)).astype(np.int32),
            "offset": np.float32(rng.random()) * np.ones((), np.float32),
        },
        metadata={"seed": seed} if metadata is None else metadata,
        tags=tags,
        text=f"sentence {seed}" if kind == "text" else None,
        thumbnail=rng.bytes(40) if kind == "image" else None,
        content_hash=f"{seed:064x}",
    )


def eventually(true: Callable[[], bool]) -> None:
    """Waits until it holds; fails after ten seconds."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it never came true"


class Filled:
    """Vectors with ids, numbered as the catalog would."""

    def __init__(self, dimension: int) -> None:
        self.vectors = Vectors(dimension)
        self._dimension = dimension
        self._number_of: dict[str, int] = {}
        self._last = 0

    def add(self, ids: Sequence[str], values: np.ndarray) -> View:
        """Adds or replaces, and returns the new view."""
        numbers = list(range(self._last + 1, self._last + 1 + len(ids)))
        self._last += len(ids)
        gone = [self._number_of[id_] for id_ in ids if id_ in self._number_of]
        self._number_of.update(zip(ids, numbers, strict=True))
        self.vectors.publish(self.vectors.prepare(gone, numbers, ids, values))
        return self.vectors.view

    def remove(self, ids: Sequence[str]) -> View:
        """Removes those that are there, and returns the new view."""
        gone = [self._number_of.pop(id_) for id_ in ids if id_ in self._number_of]
        nothing = np.empty((0, self._dimension), np.float32)
        self.vectors.publish(self.vectors.prepare(gone, (), (), nothing))
        return self.vectors.view


def best(items: Mapping[str, np.ndarray], query: np.ndarray, k: int) -> list[tuple[str, float]]:
    """The k largest inner products, score descending, then id ascending, one item at a time."""
    scored = [
        (id_, float(np.float32(np.dot(vector.astype(np.float64), query.astype(np.float64)))))
        for id_, vector in items.items()
    ]
    return sorted(scored, key=lambda hit: (-hit[1], hit[0]))[:k]


def same(stored: Record | None, given: Record) -> bool:
    """Whether a stored record is the one that was given, up to the rounding of its arrays."""
    if stored is None or stored.arrays.keys() != given.arrays.keys():
        return False
    close = all(
        stored.arrays[name].shape == given.arrays[name].shape
        and np.allclose(stored.arrays[name], given.arrays[name], atol=0.02)
        for name in given.arrays
    )
    fields = ("id", "kind", "metadata", "tags", "text", "thumbnail", "content_hash")
    return (
        close
        and np.array_equal(stored.vector, given.vector)
        and all(getattr(stored, field) == getattr(given, field) for field in fields)
    )
