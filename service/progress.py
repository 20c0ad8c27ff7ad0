"""Progress on standard error: a bar in a terminal, a plain line every few seconds elsewhere."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 2.0

Advance = Callable[[int, int], None]


@contextmanager
def progress(what: str) -> Iterator[Advance]:
    """Gives a function to call with how many are done and how many there are.

    what: a plural noun that stands after the numbers, as in "120 of 900 pictures".
    """
    if not sys.stderr.isatty():
        yield _Lines(what).advance
        return
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """For work that can't tell how far it is: something that turns, or one plain line.

    The line comes only when the work takes longer than two seconds. what: what is being done, as
    in "copying photos".
    """
    if sys.stderr.isatty():
        with Console(stderr=True).status(what):
            yield
        return
    line = threading.Timer(SECONDS_BETWEEN_LINES, print, [f"{what} ..."], {"file": sys.stderr})
    line.daemon = True
    line.start()
    try:
        yield
    finally:
        line.cancel()


class _Lines:
    def __init__(self, what: str) -> None:
        self._what = what
        self._begun = self._last = time.monotonic()

    def advance(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last = now
        rate = done / (now - self._begun)
        print(f"{done:,} of {total:,} {self._what}, {rate:.1f} a second", file=sys.stderr)  # noqa: T201
