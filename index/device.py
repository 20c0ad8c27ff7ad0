"""Where FAISS searches: on the CPU, or on a GPU that holds a copy of the matrix."""

import logging
import threading
from collections.abc import Callable
from typing import Any, Literal

import faiss
import numpy as np

from index.errors import DeviceError, QueryError
from index.flat import SPARE, Nearest, nearest_on_cpu
from index.vectors import View

Device = Literal["auto", "cpu", "cuda"]
UsedDevice = Literal["cpu", "cuda"]
DEVICES: tuple[Device, ...] = ("auto", "cpu", "cuda")
# The most that FAISS's GPU kernels select.
MAX_GPU_K = 2048

log = logging.getLogger(__name__)


def choose_device(device: Device) -> UsedDevice:
    """The device that will really be used.

    `auto` takes a GPU when FAISS was built for one and one answers. Raises DeviceError when `cuda`
    was asked for and can't be had, QueryError for a name that is none of the three.
    """
    if device not in DEVICES:
        raise QueryError(f"device must be one of {', '.join(DEVICES)}, not {device!r}")
    if device == "cpu":
        return "cpu"
    problem = _gpu_problem()
    if problem is None:
        return "cuda"
    if device == "cuda":
        raise DeviceError(f"device cuda was asked for, but {problem}")
    log.info("device auto: searching on the CPU, because %s", problem)
    return "cpu"


def nearest_on(device: UsedDevice, threads: int) -> Nearest:
    """The first-stage search for the vectors of one kind."""
    on_cpu = nearest_on_cpu(threads)
    return on_cpu if device == "cpu" else GpuCopy(_gpu(), on_cpu)


class GpuCopy:
    """A `Nearest` that keeps the rows of the latest view on the GPU and searches there.

    FAISS's GPU indexes serve one call at a time, hence the lock: a search first uploads the rows
    that were written since the last one. They know no dead rows, so more are fetched and the dead
    left out. The few searches that the copy can't answer (more than 2,048 rows to fetch, most of
    them filtered away, or a view older than the copy) run on the CPU, over the same matrix.
    """

    def __init__(self, to_gpu: Callable[[Any], Any], on_cpu: Nearest) -> None:
        """`to_gpu` moves an empty FAISS index to the device."""
        self._to_gpu = to_gpu
        self._on_cpu = on_cpu
        self._lock = threading.Lock()
        self._index: Any = None
        self._epoch = -1

    def __call__(self, view: View, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Scores (n, k) and row numbers (n, k), best first. Raises DeviceError."""
        take = min(k + min(view.rows - view.count, k + SPARE), view.rows)
        if take <= MAX_GPU_K:
            try:
                with self._lock:
                    if self._follow(view):
                        scores, rows = self._index.search(queries, take)
                        found = _living(view, scores, rows, k)
                        if found is not None:
                            return found
            except RuntimeError as error:
                raise DeviceError(f"the GPU can't search {view.rows:,} vectors: {error}") from error
        return self._on_cpu(view, queries, k)

    def _follow(self, view: View) -> bool:
        if view.epoch > self._epoch:
            # Let go of the old copy first: both might not fit.
            self._index, self._epoch = None, -1
            self._index = self._to_gpu(faiss.IndexFlatIP(view.matrix.shape[1]))
            self._epoch = view.epoch
        if view.epoch < self._epoch or view.rows < self._index.ntotal:
            return False
        if view.rows > self._index.ntotal:
            self._index.add(view.matrix[self._index.ntotal :])
        return True


def _living(
    view: View, scores: np.ndarray, rows: np.ndarray, k: int
) -> tuple[np.ndarray, np.ndarray] | None:
    alive = view.alive[rows]
    if (alive.sum(axis=1) < k).any():
        return None
    # A stable sort brings the living to the front and leaves them in their order.
    places = np.argsort(~alive, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(scores, places, axis=1), np.take_along_axis(rows, places, axis=1)


def _gpu() -> Callable[[Any], Any]:
    """Moves an index to the first GPU, each time with the same scratch memory and streams, for
    which FAISS takes a gigabyte and a half on a large one.
    """
    resources = faiss.StandardGpuResources()
    return lambda index: faiss.index_cpu_to_gpu(resources, 0, index)


def _gpu_problem() -> str | None:
    if not hasattr(faiss, "StandardGpuResources"):
        return "the FAISS that is installed has no GPU support (install the extra `gpu`)"
    if faiss.get_num_gpus() == 0:
        return "FAISS finds no GPU (is the driver installed?)"
    try:
        probe = _gpu()(faiss.IndexFlatIP(1))
        probe.add(np.ones((1, 1), np.float32))
        probe.search(np.ones((1, 1), np.float32), 1)
    except RuntimeError as error:
        return f"the GPU doesn't work: {error}"
    return None
