"""Builds main segments in the background, one at a time."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from index.errors import ClosedError
from index.inverted import Inverted
from index.live import Live
from index.parts import Parts
from index.plan import Plan
from index.recall import RecallMonitor
from index.records import KINDS, Kind
from index.segment_writer import Tune
from index.segments import Segments
from index.tuning import trial_of, tuned
from index.vectors import View

log = logging.getLogger(__name__)


class Builder:
    """A thread that builds what the plan finds due, whenever it is told to look.

    A build that fails (a full disk) is logged and told in `failures`; searches go on with what is
    there, and it is tried again when as much again has been written.
    """

    def __init__(self, live: Live, segments: Segments, plan: Plan) -> None:
        self._live = live
        self._segments = segments
        self._plan = plan
        self._building = threading.Lock()
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._failed_at: dict[Kind, int] = {}
        self.failures: dict[Kind, str] = {}
        self.monitor = RecallMonitor(plan.exact_answer_every_s, self._wake.set)
        # A daemon, so that a program that forgets to close the index can end.
        self._thread = threading.Thread(target=self._run, name="segment builder", daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether a segment is being built."""
        return self._building.locked()

    def look(self) -> None:
        """Has a segment built if one is due; returns at once."""
        try:
            if not self._wake.is_set() and any(self._is_due(kind) for kind in KINDS):
                self._wake.set()
        except ClosedError:
            # Closed by another thread just now: the write that led here is done all the same.
            self._stop.set()

    def merge(self) -> None:
        """Brings all items of every kind that isn't small into a main segment without dead rows.

        Raises StorageError and ClosedError; nothing has changed then.
        """
        with self._building:
            for kind in KINDS:
                parts = self._live.state.parts[kind]
                is_small = parts.main is None and parts.count <= self._plan.flat_rows
                if _written_since(parts) and not is_small:
                    self._build(kind)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No build begins or is under way during the block."""
        with self._building:
            yield

    def close(self) -> None:
        """Stops the build that is under way, and waits for both threads."""
        self.monitor.close()
        self._stop.set()
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            for kind in KINDS:
                while not self._stop.is_set() and self._is_due(kind):
                    self._try(kind, self._build_if_due)
                if not self._stop.is_set() and self.monitor.is_below(
                    kind, self._plan.recall_target
                ):
                    self._try(kind, self._retune)
            if self._stop.is_set():
                return

    def _try(self, kind: Kind, step: Callable[[Kind], None]) -> None:
        try:
            with self._building:
                step(kind)
        except ClosedError:
            log.info("the building of a main segment of kind %s was stopped", kind)
            self._stop.set()
        except Exception as error:
            log.exception("no main segment of kind %s was built", kind)
            self._failed_at[kind] = _written_since(self._live.state.parts[kind])
            self.failures[kind] = f"{type(error).__name__}: {error}"

    def _is_due(self, kind: Kind) -> bool:
        parts = self._live.state.parts[kind]
        view, delta = parts.main_view, parts.delta
        if not self._plan.is_due(
            view.rows, view.rows - view.count, delta.rows, delta.rows - delta.count
        ):
            return False
        failed_at = self._failed_at.get(kind)
        return failed_at is None or _written_since(parts) > 2 * failed_at

    def _build_if_due(self, kind: Kind) -> None:
        # `merge` may have built it while this thread waited for its turn.
        if self._is_due(kind):
            self._build(kind)

    def _build(self, kind: Kind) -> None:
        began = time.monotonic()
        parts = self._live.state.parts[kind]
        try:
            if parts.count <= self._plan.flat_rows:
                self._live.swap(kind, None)
                log.info("kind %s is small and searched without a main segment now", kind)
            else:
                views = [parts.main_view, parts.delta]
                segment = self._segments.write(kind, views, self._tuned_for(kind), self._stop)
                self._live.swap(kind, segment)
                segment.let_go()
                log.info(
                    "built a main segment of kind %s in %.1f s: %s",
                    kind,
                    time.monotonic() - began,
                    segment.inverted,
                )
            if parts.main is not None:
                parts.main.let_go()
        finally:
            self._segments.remove_all_but(_tokens(self._live))
        self._failed_at.pop(kind, None)
        self.failures.pop(kind, None)

    def _retune(self, kind: Kind) -> None:
        """Probes more lists, as live queries need more than held-out vectors told."""
        segment = self._live.state.parts[kind].main
        asked = self.monitor.take(kind)
        if segment is None:
            return
        trial = trial_of(segment.view, np.empty(0, np.int64), self._plan.as_queries, asked)
        inverted = tuned(segment.inverted.faiss_index, trial, self._plan.recall_target, self._stop)
        segment.let_go()
        if inverted.nprobe > segment.inverted.nprobe:
            self._live.retune(kind, self._segments.retune(segment, inverted))
            log.info(
                "live queries of kind %s need %d lists instead of %d",
                kind,
                inverted.nprobe,
                segment.inverted.nprobe,
            )

    def _tuned_for(self, kind: Kind) -> Tune:
        asked = self.monitor.queries(kind)

        def tune(faiss_index: Any, view: View, held_out: np.ndarray) -> Inverted:
            few = np.empty((0, view.matrix.shape[1]), np.float32)
            trial = trial_of(view, held_out, self._plan.as_queries, few if asked is None else asked)
            target = self._plan.recall_target
            inverted = tuned(faiss_index, trial, target, self._stop)
            if inverted.recall is not None and inverted.recall < target:
                log.warning(
                    "kind %s: recall is %.3f and not %.3f, however many lists are probed",
                    kind,
                    inverted.recall,
                    target,
                )
            return inverted

        return tune


def _written_since(parts: Parts) -> int:
    return parts.delta.rows + parts.main_view.rows - parts.main_view.count


def _tokens(live: Live) -> set[str]:
    return {parts.main.token for parts in live.state.parts.values() if parts.main is not None}
