"""A log that nobody reads, or that can't be written: nobody waits for it, and it tells so."""

import logging
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from service.log_queue import LogQueue
from tests.helpers import wait_until

QUEUED_LINES = 10
# A pipe holds 64 KiB.
FILLING = "x" * 70_000


@dataclass
class Unread:
    """A log to a pipe that nobody reads until `read` is called."""

    log: logging.Logger
    lines: LogQueue
    pipe: int
    finished: bool = False

    def fill(self) -> None:
        """Fills the pipe, so that the writer waits for it; the queue is empty then."""
        self.log.info(FILLING)
        wait_until(lambda: self.lines.queue.qsize() == 0, 10)

    def finish(self, seconds: float) -> None:
        """Ends the log, once."""
        if not self.finished:
            self.lines.finish(seconds)
        self.finished = True

    def read(self, lines: int) -> list[str]:
        """So many lines, those that filled the pipe left out."""
        found = ""
        while found.count("\n") < lines + (FILLING in found):
            found += os.read(self.pipe, 1 << 20).decode()
        return [line for line in found.splitlines() if line != FILLING]


@pytest.fixture
def unread() -> Iterator[Unread]:
    read_end, write_end = os.pipe()
    lines = LogQueue(logging.Formatter("%(message)s"), write_end, QUEUED_LINES)
    log = logging.Logger("nobody", logging.INFO)
    log.addHandler(lines)
    unread = Unread(log, lines, read_end)
    yield unread
    # Whoever still writes is told that nobody will read it.
    os.close(read_end)
    unread.finish(10)
    os.close(write_end)


def test_lines_that_do_not_fit_are_missing_in_one_piece_and_told(unread: Unread) -> None:
    unread.fill()
    for number in range(25):
        unread.log.info("%d", number)
    assert unread.lines.lost == 15
    assert unread.read(QUEUED_LINES) == [str(number) for number in range(10)]
    wait_until(lambda: unread.lines.queue.qsize() == 0, 10)
    for number in range(25, 28):
        unread.log.info("%d", number)
    told, *after = unread.read(4)
    assert told.startswith("log lines missing here: 15;")
    assert after == ["25", "26", "27"]
    assert unread.lines.lost == 15


def test_a_loss_at_the_end_is_told_at_the_end(unread: Unread) -> None:
    unread.fill()
    for number in range(12):
        unread.log.info("%d", number)
    begun = time.monotonic()
    unread.finish(0.1)
    assert time.monotonic() - begun < 5
    *before, told = unread.read(QUEUED_LINES + 1)
    assert before == [str(number) for number in range(10)]
    assert told.startswith("log lines missing here: 2;")


def test_lines_that_can_not_be_written_are_counted() -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    lines = LogQueue(logging.Formatter("%(message)s"), write_end)
    log = logging.Logger("nobody", logging.INFO)
    log.addHandler(lines)
    log.info("not written")
    wait_until(lambda: lines.lost == 1, 10)
    lines.finish()
    os.close(write_end)
