"""What is searched of one kind: a main segment and a delta, and the merged ranking of both."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from index.flat import SPARE, Nearest
from index.flat import search as search_flat
from index.ranking import Hit, in_order, scored
from index.segment import Segment
from index.vectors import View


@dataclass(frozen=True, eq=False)
class Parts:
    """One state, never changed. An item is alive in one of the two views.

    main: None while the collection is small. main_view: its rows, those that were deleted or
    replaced since it was built dead. delta: everything written since.
    flat_main, flat_delta: exact search of the two, on the device in use.
    """

    main: Segment | None
    main_view: View
    flat_main: Nearest
    delta: View
    flat_delta: Nearest

    @property
    def count(self) -> int:
        """Items."""
        return self.main_view.count + self.delta.count

    @property
    def facts(self) -> dict[str, Any]:
        """How the kind is searched, for people."""
        facts: dict[str, Any] = {"faiss_index": "Flat", "main_rows": 0, "main_dead": 0}
        if self.main is not None:
            inverted = self.main.inverted
            facts = {
                "faiss_index": f"IVF{inverted.lists},SQ8",
                "nprobe": inverted.nprobe,
                "recall_when_built": inverted.recall,
                "main_rows": self.main_view.rows,
                "main_dead": self.main_view.rows - self.main_view.count,
            }
        return {**facts, "delta_rows": self.delta.rows}

    def only(self, numbers: np.ndarray) -> "Parts":
        """The same, of which only the items with these numbers (ascending) are alive."""
        return replace(self, main_view=self.main_view.only(numbers), delta=self.delta.only(numbers))


def search_exactly(parts: Parts, queries: np.ndarray, k: int) -> list[list[Hit]]:
    """The k best items for each of (n, d) float32 queries, in the total order."""
    return _merged(
        search_flat(parts.main_view, queries, k, parts.flat_main),
        search_flat(parts.delta, queries, k, parts.flat_delta),
        k,
    )


def search(
    parts: Parts, queries: np.ndarray, k: int, *, exact_rows: int, threads: int
) -> list[list[Hit]]:
    """The k best items for each of (n, d) float32 queries, as the main segment's index finds them.

    In the total order among those found, and k of them if there are k. Exact in the delta, and
    where at most `exact_rows` rows of the main segment are alive.
    """
    main, view = parts.main, parts.main_view
    k = min(k, parts.count)
    if main is None or k == 0:
        return search_exactly(parts, queries, k)
    if view.count <= exact_rows:
        found = search_exactly(parts, queries, k)
        main.was_read(view.count)
        return found
    wanted = min(k, view.count)
    take = min(wanted + wanted // 4 + SPARE, view.count)
    rows = main.inverted.nearest(view, queries, wanted, take, threads)
    read = rows.size
    in_main = []
    for query, own in zip(queries, rows, strict=True):
        if (own[:wanted] < 0).any():
            # A filter may leave only items of other lists than those near the query.
            in_main += search_flat(view, query[None], wanted, parts.flat_main)
            read += view.count
        else:
            in_main.append(scored(view, query, own[own >= 0])[:wanted])
    main.was_read(read)
    return _merged(in_main, search_flat(parts.delta, queries, k, parts.flat_delta), k)


def _merged(main: list[list[Hit]], delta: list[list[Hit]], k: int) -> list[list[Hit]]:
    return [in_order([*some, *more])[:k] for some, more in zip(main, delta, strict=True)]
