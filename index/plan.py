"""When a main segment is built, and of which kind. The figures come from docs/scaling.md."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from index.errors import QueryError

# (n, d) stored vectors -> (n, d) float32, as they are when they ask.
AsQueries = Callable[[np.ndarray], np.ndarray]


def as_they_are(vectors: np.ndarray) -> np.ndarray:
    """Queries that look like what is stored."""
    return vectors


@dataclass(frozen=True)
class Plan:
    """Sizes in rows of one kind.

    flat_rows: up to so many items everything lies in the delta and is searched exactly.
    delta_rows, delta_part: the delta may hold so many rows beside a main segment, or that part of
    its rows if that is more; then a new main segment is built. Dead rows count as well.
    recall_target: of the first stage at 100, to which `nprobe` is tuned; 1 probes every list.
    as_queries: makes queries of held-out vectors, to tune with. Where a coordinate of a stored
    vector plays another part than that of a query, recall is off without it.
    exact_rows: where a filter leaves so many rows of the main segment or fewer, all are scanned.
    exact_answer_every_s: least seconds between two live queries that are also answered exactly.
    """

    flat_rows: int = 20_000
    delta_rows: int = 10_000
    delta_part: float = 1 / 16
    recall_target: float = 0.99
    as_queries: AsQueries = as_they_are
    exact_rows: int = 4096
    exact_answer_every_s: float = 10.0

    def __post_init__(self) -> None:
        if not 0 < self.recall_target <= 1:
            raise QueryError(
                f"recall_target must be over 0 and at most 1, not {self.recall_target}"
            )

    def is_due(self, main_rows: int, main_dead: int, delta_rows: int, delta_dead: int) -> bool:
        """Whether a new main segment is to be built, or the one that is there to be given up.

        The four are rows, dead ones included, and dead rows, of the main segment and of the delta.
        """
        living = main_rows + delta_rows - main_dead - delta_dead
        if living <= self.flat_rows:
            # Half of it, so that a collection about this size doesn't go back and forth.
            return main_rows > 0 and living <= self.flat_rows // 2
        return main_dead + delta_rows > max(self.delta_rows, int(main_rows * self.delta_part))


DEFAULT_PLAN = Plan()


def lists_for(rows: int) -> int:
    """Inverted lists for so many rows: about four times the root, as FAISS's guidelines have it.

    >>> [lists_for(rows) for rows in (1, 20_000, 100_000, 1_000_000)]
    [4, 512, 1024, 4096]
    """
    return 1 << round(math.log2(4 * math.sqrt(rows)))
