"""The log: one line an event, as text or as one JSON object, and which request it belongs to.

A logger gives `extra={"request_id": ..., "fields": {...}}` for what JSON has as members of its own;
text has the fields in its message.
"""

import json
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from service.log_queue import LogQueue, standard_error

LogFormat = Literal["text", "json"]


@contextmanager
def written(level: str, log_format: LogFormat, descriptor: int | None = None) -> Iterator[LogQueue]:
    """Everything that is logged meanwhile, and Python's warnings, are lines of standard error.

    At the end what is queued is written, also after an error. descriptor: of another file.
    """
    to = standard_error() if descriptor is None else descriptor
    lines = LogQueue(JsonLines() if log_format == "json" else TextLines(), to)
    logging.basicConfig(level=level.upper(), handlers=[lines], force=True)
    logging.captureWarnings(True)
    try:
        yield lines
    finally:
        logging.captureWarnings(False)
        logging.getLogger().removeHandler(lines)
        lines.finish()


class TextLines(logging.Formatter):
    """For people: time, level, logger, message, and the request in brackets."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802
        """UTC as in RFC 3339."""
        return rfc_3339(record.created)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line without a traceback."""
        request_id = getattr(record, "request_id", None)
        line = super().formatMessage(record)
        return line if request_id is None else f"{line} [{request_id}]"


class JsonLines(logging.Formatter):
    """For programs: one object a line; a traceback is a member."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of JSON."""
        told: dict[str, Any] = {
            "time": rfc_3339(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        request_id = getattr(record, "request_id", None)
        if request_id is not None:
            told["request_id"] = request_id
        told |= getattr(record, "fields", {})
        if record.exc_info:
            told["traceback"] = self.formatException(record.exc_info)
        elif record.exc_text:
            # From the queue, which keeps text instead of what was raised.
            told["traceback"] = record.exc_text
        # Only ASCII, so that no line separator of any reader is left in a line.
        return json.dumps(told, default=str)


def rfc_3339(seconds: float) -> str:
    """A time since 1970 in UTC, with milliseconds.

    >>> rfc_3339(1.5)
    '1970-01-01T00:00:01.500Z'
    """
    milliseconds = round(seconds * 1000)
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(milliseconds // 1000))
    return f"{whole}.{milliseconds % 1000:03}Z"
