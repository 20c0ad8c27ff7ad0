"""A log that holds nobody up: lines wait in a queue, and one thread writes them.

A pipe that nobody reads takes 64 KiB, and then whoever writes to it waits; if that is the event
loop, the service answers no more. Here a line that doesn't fit in the queue is lost, and counted.

Who holds what: the handler's own lock, which `logging` takes around `enqueue`, protects `lost` and
`_told`. Nothing waits while it is held.
"""

import logging
import os
import sys
import threading
from copy import copy
from logging.handlers import QueueHandler, QueueListener
from queue import SimpleQueue

# Some seconds of a busy service, and with ordinary lines a few MiB.
QUEUED_LINES = 4096
FLUSH_S = 2.0

log = logging.getLogger(__name__)


def standard_error() -> int:
    """The descriptor of standard error, or if that was closed at the start, of what is never read.

    A file that was opened since, of the catalog say, may have got the number 2 then.
    """
    if sys.__stderr__ is None:
        return os.open(os.devnull, os.O_WRONLY)
    return 2


class LogQueue(QueueHandler):
    """Takes records from any thread, without waiting; they are written in that order.

    When the queue is full, lines are lost until half of it is written. So they are missing in one
    piece, and one warning in its place tells how many. lost: lines that didn't fit, or that
    couldn't be written.
    """

    def __init__(
        self,
        formatter: logging.Formatter,
        descriptor: int,
        queued_lines: int = QUEUED_LINES,
    ) -> None:
        # The only door to the queue is `enqueue`, which bounds it; a bounded one would have no
        # room for the sign that ends the thread.
        lines: SimpleQueue[logging.LogRecord] = SimpleQueue()
        super().__init__(lines)
        self._lines = lines
        self._limit = queued_lines
        self.lost = 0
        self._told = 0
        self._writer = _Writer(self, formatter, descriptor)
        self._writer.start()

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """The record with its message and traceback as text.

        What they are made of may be large, or change before it is written.
        """
        kept = copy(record)
        kept.msg, kept.args = record.getMessage(), None
        if record.exc_info:
            kept.exc_text = record.exc_text or logging.Formatter().formatException(record.exc_info)
            kept.exc_info = None
        return kept

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queues a record, or counts it as lost."""
        room = self._limit if self.lost == self._told else self._limit // 2
        if self._lines.qsize() >= room:
            self.lost += 1
            return
        self._tell_of_lost()
        self._lines.put(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Tells of a record that is no line: in the log, not in what nobody may be reading."""
        self.handle(_about_unwritable(record))

    def note_unwritten(self) -> None:
        """Counts a line that the file or the pipe refused."""
        with self._held():
            self.lost += 1

    def finish(self, seconds: float = FLUSH_S) -> None:
        """Has everything written that is queued; gives up after so long. Nothing may follow."""
        with self._held():
            self._tell_of_lost()
        # `stop` itself would wait without end for a pipe that nobody reads.
        stopping = threading.Thread(target=self._writer.stop, daemon=True)
        stopping.start()
        stopping.join(seconds)

    def _tell_of_lost(self) -> None:
        untold = self.lost - self._told
        if untold:
            self._told = self.lost
            words = "log lines missing here: %d; they weren't taken in time, or couldn't be written"
            about = (untold,)
            self._lines.put(log.makeRecord(log.name, logging.WARNING, "", 0, words, about, None))

    def _held(self) -> threading.RLock:
        assert self.lock is not None
        return self.lock


class _Writer(QueueListener):
    """The thread that writes. It is a daemon, so a pipe that nobody reads doesn't keep the process.

    It writes to the descriptor itself. Around `sys.stderr`, and a handler of `logging`, there are
    locks that Python takes once more when it ends, and that this thread may never give back.
    """

    def __init__(self, lines: LogQueue, formatter: logging.Formatter, descriptor: int) -> None:
        super().__init__(lines.queue)
        self._log_queue = lines
        self._formatter = formatter
        self._descriptor = descriptor

    def handle(self, record: logging.LogRecord) -> None:
        """Writes a record's line."""
        try:
            line = self._formatter.format(record)
        except Exception:  # noqa: BLE001 - any would end the thread, and with it the log.
            line = self._formatter.format(_about_unwritable(record))
        left = f"{line}\n".encode(errors="backslashreplace")
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError:
            # There is no other place to say so; `/metrics` tells how many there were.
            self._log_queue.note_unwritten()


def _about_unwritable(record: logging.LogRecord) -> logging.LogRecord:
    """What is written instead of a record that the error at hand keeps from being a line."""
    words, about = "a line of %s can't be written", (record.name,)
    return log.makeRecord(log.name, logging.ERROR, "", 0, words, about, sys.exc_info())
