"""The total order of hits: score descending, then id ascending."""

from collections.abc import Iterable

import numpy as np

from index.vectors import View

# A float32 score and an id.
Hit = tuple[float, str]


def scored(view: View, query: np.ndarray, rows: np.ndarray) -> list[Hit]:
    """These rows of a view with their exact scores, in order.

    query: (d,) float32. rows: (n,) whole numbers. Summed in float64, so that the score of an item
    doesn't depend on the batch, the device or the segment that it was found in.
    """
    exact = np.einsum("ij,j->i", view.matrix[rows], query, dtype=np.float64).astype(np.float32)
    return in_order(zip(exact.tolist(), (view.ids[row] for row in rows.tolist()), strict=True))


def in_order(hits: Iterable[Hit]) -> list[Hit]:
    """Hits, best first; ties in order of id."""
    return sorted(hits, key=lambda hit: (-hit[0], hit[1]))
