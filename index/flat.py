"""Exact search of a view: FAISS's flat kernel, held to the total order of hits.

FAISS is used through its brute-force function rather than through `IndexFlatIP`: the same kernel
over the same layout, but over a matrix that we own, so that a search holds what it reads.
"""

from collections.abc import Callable

import faiss
import numpy as np

from index.ranking import Hit, scored
from index.vectors import View

# Fetched beyond k, so that ties and roundings at the border hardly ever need a second search.
SPARE = 16
# So few living rows are copied out and searched alone, which is quicker than asking for each row.
MAX_COPIED_ROWS = 4096
_UNIT_ROUNDOFF = 2.0**-24

# (view, queries (n, d), k) -> scores (n, k) and row numbers (n, k), best first. Only living rows,
# of which there are at least k; scores may be off by the rounding of float32.
Nearest = Callable[[View, np.ndarray, int], tuple[np.ndarray, np.ndarray]]


def nearest_on_cpu(threads: int) -> Nearest:
    """FAISS's flat search on so many threads; more than one pays for batches only."""

    def nearest(view: View, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        # OpenMP keeps this number for each calling thread, so it is set where the search runs.
        faiss.omp_set_num_threads(threads)
        if view.count < view.rows and view.count <= MAX_COPIED_ROWS:
            living = np.flatnonzero(view.alive)
            scores, places = _flat(view.matrix[living], queries, k, None)
            return scores, living[places]
        return _flat(view.matrix, queries, k, None if view.count == view.rows else view.bits)

    return nearest


def _flat(
    matrix: np.ndarray, queries: np.ndarray, k: int, bits: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    scores = np.empty((len(queries), k), np.float32)
    rows = np.empty((len(queries), k), np.int64)
    selector = None
    if bits is not None:
        selector = faiss.IDSelectorBitmap(len(matrix), faiss.swig_ptr(bits))
    faiss.knn_inner_product(
        faiss.swig_ptr(queries),
        faiss.swig_ptr(matrix),
        queries.shape[1],
        len(queries),
        len(matrix),
        k,
        faiss.swig_ptr(scores),
        faiss.swig_ptr(rows),
        selector,
    )
    return scores, rows


def search(view: View, queries: np.ndarray, k: int, nearest: Nearest) -> list[list[Hit]]:
    """The k best items of a view for each of (n, d) float32 queries, with float32 scores.

    Order is total: score descending, then id ascending, also across the k-th place. The last bits
    of FAISS's scores depend on the batch and the device, so its candidates are scored again in
    float64, and more are fetched until none that was left out could belong to the k best.
    """
    k = min(k, view.count)
    found: list[list[Hit]] = [[] for _ in queries]
    if k == 0:
        return found
    queries = np.ascontiguousarray(queries)
    margins = _rounding_margin(view, queries)
    open_queries = np.arange(len(queries))
    take = min(k + SPARE, view.count)
    while len(open_queries):
        approximate, rows = nearest(view, queries[open_queries], take)
        still_open: list[int] = []
        for place, number in enumerate(open_queries.tolist()):
            best = scored(view, queries[number], rows[place])[:k]
            border = best[-1][0] - margins[number]
            if take == view.count or approximate[place, -1] < border:
                found[number] = best
            else:
                still_open.append(number)
        open_queries = np.array(still_open, dtype=np.intp)
        take = min(4 * take, view.count)
    return found


def _rounding_margin(view: View, queries: np.ndarray) -> np.ndarray:
    """(n,) how far a float32 inner product, summed in any order, may be from the exact one.

    n u |x| |y| with u the unit roundoff (Higham, Accuracy and Stability, 3.1), and once more for
    the score that it is compared with.
    """
    norms = np.linalg.norm(queries.astype(np.float64), axis=1)
    return np.asarray(norms * (2.0 * queries.shape[1] * _UNIT_ROUNDOFF * view.longest))
