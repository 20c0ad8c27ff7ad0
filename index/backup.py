"""A copy of a collection that is taken while it is in use, and putting one back.

A backup is a folder with a catalog, and nothing derived: main segments are built again where it is
restored. It appears whole or not at all.
"""

import errno
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from shutil import rmtree

from index.connections import translated
from index.errors import DamagedError, FormatError, StorageError
from index.lock import FolderLock
from index.migrations import APPLICATION_ID, FORMAT_VERSION
from index.reads import FILE_NAME, CatalogReads, Stamp
from index.segment_writer import sync_folder


def backup(copy_to: Callable[[Path], None], target: Path) -> None:
    """Makes the folder `target`, which must not be there yet.

    copy_to: writes a consistent copy of the catalog to a file. Raises StorageError, and
    StorageFullError; there is no folder then.
    """
    with translated(target):
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        beside = target.with_name(target.name + ".new")
        _remove_left_over(beside)
        beside.mkdir(parents=True)
        try:
            copy_to(beside / FILE_NAME)
            _sync(beside / FILE_NAME)
            sync_folder(beside)
            beside.rename(target)
            sync_folder(target.absolute().parent)
        except BaseException:
            # On a full disk the space is needed for better things.
            rmtree(beside)
            raise


def backup_folder(folder: Path, target: Path) -> None:
    """The same of a data directory that another process may have open, and write to.

    No lock is needed: SQLite gives a reader of any process the last commit, whole. Raises
    StorageError, DamagedError, and FormatError for a catalog that this version doesn't write.
    """
    file = folder / FILE_NAME
    with translated(file):
        if not file.exists():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file))
    # Vectors are copied as they are, so their dimension doesn't matter.
    reads = CatalogReads(file, dimension=0)
    try:
        application, version = reads.format()
        _check_format(file, application, version)
        if version < FORMAT_VERSION:
            raise FormatError(
                f"{file} has format {version}, of an earlier version; opening it once brings it to"
                f" format {FORMAT_VERSION}"
            )
        backup(reads.copy_to, target)
    except StorageError as error:
        if _is_read_only(error.__cause__):
            raise StorageError(
                f"{file}: {error.__cause__}; a collection that nothing has open can be read only"
                " with write access to its folder, where SQLite keeps an index of its log"
            ) from error
        raise
    finally:
        reads.close()


def restore(source: Path, folder: Path) -> None:
    """Puts a backup into a data directory, which must hold no catalog yet.

    Every page of it is checked first. Raises DamagedError, FormatError, LockedError, StorageError;
    the data directory is as it was then.
    """
    saved, file = source / FILE_NAME, folder / FILE_NAME
    with translated(folder):
        _check_has_no_log(saved)
        check(saved)
        folder.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(folder)
        try:
            if file.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(file))
            # The log of a catalog that was removed would be played into this one.
            for ending in ("-wal", "-shm"):
                file.with_name(FILE_NAME + ending).unlink(missing_ok=True)
            beside = file.with_name(FILE_NAME + ".new")
            try:
                shutil.copyfile(saved, beside)
                _sync(beside)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
            beside.rename(file)
            sync_folder(folder)
            sync_folder(folder.absolute().parent)
        finally:
            lock.release()


def is_copy_of(folder: Path, stamp: Stamp) -> bool:
    """Whether this folder is there, and is a backup of exactly this state.

    Raises DamagedError, FormatError and StorageError for a folder that is no backup.
    """
    file = folder / FILE_NAME
    with translated(folder):
        if not folder.exists():
            return False
        check(file)
        with closing(_immutable(file)) as connection:
            found = connection.execute("SELECT generation, token FROM state").fetchone()
    return Stamp(*found) == stamp


def check(file: Path) -> None:
    """Raises DamagedError or FormatError unless this is a whole catalog of a format we know."""
    with translated(file), closing(_immutable(file)) as connection:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        _check_format(file, application, version)
        (first,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if first != "ok":
        raise DamagedError(f"{file} is damaged: {first}")


def _check_has_no_log(file: Path) -> None:
    log = file.with_name(f"{FILE_NAME}-wal")
    if log.exists() and log.stat().st_size:
        raise FormatError(
            f"{file.parent} is no backup but a collection that was in use: {log.name} holds what"
            " was written last; back it up first"
        )


def _remove_left_over(beside: Path) -> None:
    """Removes what a backup that was killed has left, and nothing else that has this name."""
    ours = {FILE_NAME, *(f"{FILE_NAME}-{ending}" for ending in ("journal", "wal", "shm"))}
    if beside.is_dir() and {file.name for file in beside.iterdir()} <= ours:
        rmtree(beside)


def _immutable(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)


def _check_format(file: Path, application: int, version: int) -> None:
    if application != APPLICATION_ID:
        raise FormatError(f"{file} is an SQLite file, but not a catalog of ours")
    if version > FORMAT_VERSION:
        raise FormatError(
            f"{file} has format {version}; this version knows formats up to {FORMAT_VERSION}"
        )


def _is_read_only(cause: BaseException | None) -> bool:
    code = getattr(cause, "sqlite_errorcode", sqlite3.SQLITE_OK)
    return code & 0xFF == sqlite3.SQLITE_READONLY


def _sync(file: Path) -> None:
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())
