"""The main segment's FAISS index: inverted lists with scalar codes, one byte a coordinate.

Row numbers are ids, in order, and nothing is ever removed: FAISS's `IndexIDMap2` around inverted
lists removes the wrong ids silently. Dead rows are left out by an ID selector. The candidates are
scored again with the exact vectors (`ranking.py`), so the codes cost next to no recall.

Search parameters travel with each call, so any number of searches may run at once.
"""

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from index.errors import ClosedError, DamagedError
from index.plan import lists_for
from index.vectors import View

# What `nprobe` is tuned for; a search for more items probes more lists in proportion.
TUNED_K = 100
# With 1, filters that leave a tenth or less were seen to fall below the recall without a filter.
_THINNED_POWER = 1.5
_ITERATIONS = 6
# FAISS asks for at least 39 training vectors a list.
_TRAINING_ROWS_A_LIST = 40
_ROWS_A_STEP = 16_384
# FAISS decodes scalar codes with vector instructions only where the dimension is a multiple.
_LANES = 16


@dataclass(frozen=True, eq=False)
class Inverted:
    """A trained and filled index, with the lists to probe for the 100 best, and the recall then."""

    faiss_index: Any
    nprobe: int
    recall: float | None

    @property
    def lists(self) -> int:
        """Inverted lists in all."""
        return int(self.faiss_index.nlist)

    def nearest(
        self, view: View, queries: np.ndarray, k: int, take: int, threads: int
    ) -> np.ndarray:
        """(n, take) rows, best first, -1 where fewer were found; only living rows of the view.

        Where part of the rows is dead or filtered away, more lists are probed: in proportion, as
        many rows would be looked at as without a filter, but what is nearest among fewer rows is
        further away, and lies in more lists than that.
        """
        # OpenMP keeps this number for each calling thread, so it is set where the search runs.
        faiss.omp_set_num_threads(threads)
        thinned = (view.rows / view.count) ** _THINNED_POWER
        wanted = self.nprobe * max(1, k / TUNED_K) * thinned
        parameters = faiss.SearchParametersIVF()
        parameters.nprobe = min(self.lists, math.ceil(wanted))
        selector = None
        if view.count < view.rows:
            selector = faiss.IDSelectorBitmap(view.rows, faiss.swig_ptr(view.bits))
            parameters.sel = selector
        _, rows = self.faiss_index.search(_padded(queries), take, params=parameters)
        return np.asarray(rows)


def build(matrix: np.ndarray, held_out: np.ndarray, stop: threading.Event) -> Any:
    """The FAISS index of (n, d) float32 rows; the rows `held_out` teach it nothing.

    Raises ClosedError soon after `stop` is set.
    """
    faiss.omp_set_num_threads(1)
    rows = len(matrix)
    centroids = _padded(_centroids(matrix, held_out, lists_for(rows), stop))
    lists = len(centroids)
    quantizer = faiss.IndexFlatIP(centroids.shape[1])
    quantizer.add(centroids)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer,
        centroids.shape[1],
        lists,
        faiss.ScalarQuantizer.QT_8bit,
        faiss.METRIC_INNER_PRODUCT,
        # The centroids are directions. What is left of a vector without one is no smaller than the
        # vector where vectors have other lengths than 1, and is lost in it where they are short.
        False,
    )
    # FAISS finds the lists given, and learns the range of each coordinate only. From a sample it
    # would learn too small a range, and the codes of rows beyond it would be cut off.
    index.train(_padded(np.stack([matrix.min(axis=0), matrix.max(axis=0)])))
    for start in range(0, rows, _ROWS_A_STEP):
        _check(stop)
        index.add(_padded(matrix[start : start + _ROWS_A_STEP]))
    return index


def write(faiss_index: Any, write_bytes: Callable[[bytes], object]) -> None:
    """Writes through a function, so that whoever gives it sees every byte, and OSError as it is."""
    writer = faiss.PyCallbackIOWriter(write_bytes)  # type: ignore[attr-defined]
    faiss.write_index(faiss_index, writer)


def read(path: Path) -> Any:
    """The index over the mapped file. Raises DamagedError."""
    try:
        return faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError as error:
        raise DamagedError(f"{path}: FAISS can't read it: {error}") from error


def _padded(vectors: np.ndarray) -> np.ndarray:
    """(n, d) float32 with zeros behind, which change no inner product."""
    missing = -vectors.shape[1] % _LANES
    return np.ascontiguousarray(np.pad(vectors, ((0, 0), (0, missing))))


def _sample(matrix: np.ndarray, held_out: np.ndarray, most: int) -> np.ndarray:
    usable = np.ones(len(matrix), bool)
    usable[held_out] = False
    rows = np.flatnonzero(usable)
    if len(rows) > most:
        rows = np.sort(np.random.default_rng(0).choice(rows, most, replace=False))
    return matrix[rows] if len(rows) else matrix[:1]


def _centroids(
    matrix: np.ndarray, held_out: np.ndarray, lists: int, stop: threading.Event
) -> np.ndarray:
    """k-means by direction, one step at a time, since FAISS can't be asked to stop."""
    sample = _sample(matrix, held_out, lists * _TRAINING_ROWS_A_LIST)
    lists = min(lists, len(sample))
    centroids = None
    for _ in range(_ITERATIONS):
        _check(stop)
        step = faiss.Kmeans(
            sample.shape[1],
            lists,
            niter=1,
            spherical=True,
            seed=1,
            min_points_per_centroid=1,
            max_points_per_centroid=len(sample),
        )
        step.train(sample, init_centroids=centroids)
        centroids = step.centroids
    assert centroids is not None
    return np.asarray(centroids)


def _check(stop: threading.Event) -> None:
    if stop.is_set():
        raise ClosedError("the index is closed")
