"""SQLite connections: how they are opened, a pool of readers, and what their errors mean."""

import errno
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from index.errors import ClosedError, DamagedError, StorageError, StorageFullError, StoreError

# Three vectors of 513 lie on a page, and a packed matrix on one or two: larger pages waste more.
PAGE_BYTES = 8192
# The write-ahead log is cut back to this size at checkpoints.
LOG_BYTES = 64 * 1024 * 1024
BUSY_TIMEOUT_S = 10.0
# Pages that each connection keeps: the inner nodes of large tables, and all of a small collection.
CACHE_KIB = 8192


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raises what SQLite and the file system raise as errors of this room, naming the path."""
    try:
        yield
    except sqlite3.Error as error:
        meaning = _meaning(error, path)
        if meaning is None:
            raise
        raise meaning from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        kind = StorageFullError if full else StorageError
        raise kind(f"{error.filename or path}: {error.strerror}") from error


def connect_writer(file: Path) -> sqlite3.Connection:
    """The one connection that writes: a commit returns after fsync of the log."""
    connection = _connect(file, "rwc")
    try:
        # The page size counts only before the first table, and before WAL is switched on.
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StorageError(f"{file}: this file system can't hold a write-ahead log ({mode})")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    except BaseException:
        connection.close()
        raise
    return connection


class Readers:
    """Connections that only read, lent to one thread at a time and used again.

    There are as many as there were reads at once, so no read ever waits for another or for the
    writer. `close` closes the idle ones; those in use are closed when they come back.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    @contextmanager
    def lent(self) -> Iterator[sqlite3.Connection]:
        """A connection for the block. Raises ClosedError, and what `translated` raises."""
        with translated(self._file):
            connection = self._take()
            try:
                yield connection
            finally:
                self._give_back(connection)

    def close(self) -> None:
        """Closes what is idle; nothing is lent afterwards."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _take(self) -> sqlite3.Connection:
        with self._lock:
            if self._closed:
                raise ClosedError("the index is closed")
            if self._idle:
                return self._idle.pop()
        connection = _connect(self._file, "rw")
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()


def _connect(file: Path, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{file.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
    )
    connection.execute(f"PRAGMA cache_size = {-CACHE_KIB}")
    return connection


def _meaning(error: sqlite3.Error, path: Path) -> StoreError | None:
    # The low byte is the primary code; the rest tells where it happened.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return StorageFullError(f"{path}: no space is left on the disk")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return DamagedError(f"{path} is damaged ({error}); restore it from a backup")
    if code in (
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
    ):
        return StorageError(f"{path}: {error}")
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        return ClosedError("the index is closed")
    # Anything else is a mistake of ours, and stays what it is.
    return None
