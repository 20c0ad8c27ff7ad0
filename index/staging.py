"""The vectors of the next model, gathered beside those in use; one transaction is the switch.

What belongs to a model is staged under the item's number: vector, arrays and tags. Everything else
of an item stays where it is and is never copied. A number means one version of one item for good,
so what an earlier run has staged is right for whatever items are still there, and an item that is
deleted or replaced takes what was staged for it along. docs/decisions/0010 has the reasons.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from index.backup import backup, is_copy_of
from index.catalog import Catalog
from index.connections import connect_writer, translated
from index.errors import StagingError, StorageError
from index.lock import FolderLock
from index.migrations import migrate
from index.reads import FILE_NAME, ITEM_COLUMNS, STAGED_TABLES
from index.records import KINDS, Kind, Record, check_record
from index.rows import read_record, tags_text, to_row

# `vector` and `arrays` as in `migrations.py`, since they take the place of those.
_TABLES = (
    "CREATE TABLE staged_model (fingerprint TEXT NOT NULL, dimension INTEGER NOT NULL, codec TEXT)",
    """CREATE TABLE staged_vector (
        number INTEGER PRIMARY KEY REFERENCES item (number) ON DELETE CASCADE,
        vector BLOB NOT NULL
    )""",
    """CREATE TABLE staged_arrays (
        number INTEGER PRIMARY KEY REFERENCES item (number) ON DELETE CASCADE,
        arrays BLOB NOT NULL
    )""",
    """CREATE TABLE staged_tags (
        number INTEGER PRIMARY KEY REFERENCES item (number) ON DELETE CASCADE,
        tags TEXT NOT NULL
    )""",
)
_SWITCH = (
    "DROP TABLE vector",
    "ALTER TABLE staged_vector RENAME TO vector",
    "DROP TABLE arrays",
    "ALTER TABLE staged_arrays RENAME TO arrays",
    "UPDATE item SET tags = (SELECT s.tags FROM staged_tags s WHERE s.number = item.number)",
    "DELETE FROM tag",
    "INSERT INTO tag SELECT i.number, t.value, i.kind FROM item i, json_each(i.tags) t",
    "UPDATE model SET recoded = NULL, (fingerprint, dimension, codec) ="
    " (SELECT fingerprint, dimension, codec FROM staged_model)",
    # Segments of the other model. Their files go when the collection is next opened.
    "DELETE FROM segment",
    "DROP TABLE staged_tags",
    "DROP TABLE staged_model",
)


@dataclass(frozen=True)
class Model:
    """Whose vectors these are, and by which codec the arrays are stored; None: not said."""

    fingerprint: str
    dimension: int
    codec: str | None


@contextmanager
def staging(
    folder: Path, fingerprint: str, dimension: int, codec: str | None = None
) -> Iterator["Staging"]:
    """Opens a collection, whichever model filled it, to stage the vectors of this model.

    codec: the label of the codec of the staged arrays; None for the one that the collection has.
    The collection is locked for the block, and stays as it is until `Staging.switch`. What was
    staged for a third model is dropped; and everything, when the collection is of this model.
    Raises LockedError, FormatError, DamagedError, and StorageError, also when there is no
    collection.
    """
    file = folder / FILE_NAME
    if not file.exists():
        raise StorageError(f"{folder} holds no collection")
    with _locked(folder):
        model = _model_of(file)
        codec = codec if codec is not None or model is None else model.codec
        target = Model(fingerprint, dimension, codec)
        staged = Staging(folder, model or target, target)
        try:
            yield staged
        finally:
            staged.close()


class Staging(Catalog):
    """A catalog, with the vectors of `target` beside those of the `model` in use."""

    def __init__(self, folder: Path, model: Model, target: Model) -> None:
        super().__init__(folder, model.fingerprint, model.dimension)
        self.model = model
        self.target = target
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    @property
    def is_needed(self) -> bool:
        """Whether the collection is of another model than the target, or of another codec.

        A collection that has not said its codec gets one when it is opened to be searched.
        """
        model, target = self.model, self.target
        other = (model.fingerprint, model.dimension) != (target.fingerprint, target.dimension)
        return other or model.codec not in (None, target.codec)

    def count(self, kind: Kind) -> int:
        """Items of a kind."""
        ((found,),) = self._read("SELECT count(*) FROM item WHERE kind = ?", kind)
        return int(found)

    def count_waiting(self, kind: Kind) -> int:
        """Items of a kind that are not staged yet."""
        ((found,),) = self._read(
            "SELECT count(*) FROM item LEFT JOIN staged_vector s USING (number)"
            " WHERE kind = ? AND s.number IS NULL",
            kind,
        )
        return int(found)

    def waiting(self, kind: Kind, limit: int) -> Iterator[list[Record]]:
        """Items that are not staged yet, each once, in lists of at most `limit`.

        Without vector, arrays and thumbnail. The caller may stage a list before it takes the next.
        """
        after = 0
        while rows := self._read(
            f"SELECT {ITEM_COLUMNS}, i.number FROM item i LEFT JOIN staged_vector s USING (number)"
            " WHERE i.kind = ? AND i.number > ? AND s.number IS NULL ORDER BY i.number LIMIT ?",
            kind,
            after,
            limit,
        ):
            after = rows[-1][-1]
            yield [read_record(row[:-1]) for row in rows]

    def stage(self, records: Sequence[Record]) -> None:
        """Keeps the vector, arrays and tags of some items, all or none; durable on return.

        An id that isn't there is ignored. Raises RecordError, StorageError.
        """
        for record in records:
            check_record(record, self.target.dimension)
        rows = [to_row(record) for record in records]
        with self.transaction():
            for table, values in (
                ("staged_vector", [row.vector for row in rows]),
                ("staged_arrays", [row.arrays for row in rows]),
                ("staged_tags", [tags_text(row.tags) for row in rows]),
            ):
                self._writer.executemany(
                    f"INSERT OR REPLACE INTO {table}"
                    " SELECT number, ? FROM item WHERE kind = ? AND id = ?",
                    ((value, row.kind, row.id) for value, row in zip(values, rows, strict=True)),
                )

    def keep(self, target: Path) -> None:
        """Makes the folder `target`, a backup of the collection with the vectors in use.

        A folder that an earlier run has made of this very state is left as it is. Raises
        StorageError, also when another folder or file is there, FormatError and DamagedError.
        """
        if not is_copy_of(target, self.stamp()):
            backup(self.copy_to, target)

    def switch(self) -> None:
        """Puts everything staged in the place of what is in use, at once, and durably.

        The collection is the target's then, a generation later; the pages of the old vectors are
        free (`vacuum`). Raises StagingError while an item isn't staged, and StorageError; nothing
        has changed then.
        """
        with self.transaction():
            if missing := sum(map(self.count_waiting, KINDS)):
                raise StagingError(f"{missing:,} items of {self._file} are not staged yet")
            for statement in _SWITCH:
                self._writer.execute(statement)
            self.advance()

    def _begin(self) -> None:
        if self.is_needed and self._staged_for() == self.target:
            return
        with self.transaction():
            for table in STAGED_TABLES:
                self._writer.execute(f"DROP TABLE IF EXISTS {table}")
            if self.is_needed:
                for statement in _TABLES:
                    self._writer.execute(statement)
                self._writer.execute(
                    "INSERT INTO staged_model VALUES (?, ?, ?)",
                    (self.target.fingerprint, self.target.dimension, self.target.codec),
                )

    def _staged_for(self) -> Model | None:
        if not self._read("SELECT 1 FROM sqlite_master WHERE name = 'staged_model'"):
            return None
        (found,) = self._read("SELECT fingerprint, dimension, codec FROM staged_model")
        return Model(*found)


def codec_of(folder: Path) -> str | None:
    """The label of the codec of a collection; None where nobody has said it, or nothing is there.

    Raises LockedError, FormatError, DamagedError and StorageError.
    """
    file = folder / FILE_NAME
    if not file.exists():
        return None
    with _locked(folder):
        model = _model_of(file)
    return None if model is None else model.codec


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with translated(folder):
        lock = FolderLock(folder)
    try:
        yield
    finally:
        lock.release()


def _model_of(file: Path) -> Model | None:
    """The model that filled a catalog; None while it has none. Brings its schema up to date."""
    with translated(file):
        connection = connect_writer(file)
        try:
            migrate(connection, str(file))
            found = connection.execute("SELECT fingerprint, dimension, codec FROM model").fetchall()
        finally:
            connection.close()
    return Model(*found[0]) if found else None
