"""Everything that is asked of the catalog. With `catalog.py` and `staging.py` the files with SQL.

Reads come from any thread, on connections of their own, and see the last commit, whole. Each is
one statement or one read transaction, so it never mixes two states.
"""

import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from index.connections import Readers, translated
from index.errors import DamagedError
from index.filter_sql import Condition
from index.records import KINDS, Kind, Record
from index.rows import read_arrays, read_record, read_thumbnail, read_vector

log = logging.getLogger(__name__)

FILE_NAME = "catalog.sqlite"
# SQLite allows 32,766 parameters a statement; a few hundred are as fast and parse quicker.
_IDS_A_STATEMENT = 500
_ROWS_A_READ = 4096
_ITEMS_MEASURED = 100

# What `staging.py` makes for a model that is not in use yet.
STAGED_TABLES = ("staged_vector", "staged_arrays", "staged_tags", "staged_model")

ITEM_COLUMNS = "i.id, i.kind, i.metadata, i.tags, i.text, i.content_hash, i.created, i.updated"


@dataclass(frozen=True)
class Stamp:
    """Names one committed state: the generation, and a token that no other history shares."""

    generation: int
    token: bytes


@dataclass(frozen=True, eq=False)
class VectorPart:
    """Some items of one kind. numbers: (n,) int64, ascending. vectors: (n, d) float32."""

    numbers: np.ndarray
    ids: list[str]
    vectors: np.ndarray


class CatalogReads:
    """The reading half of `Catalog`."""

    def __init__(self, file: Path, dimension: int) -> None:
        self._file = file
        self._dimension = dimension
        self._readers = Readers(file)

    def close(self) -> None:
        """Closes every connection."""
        self._readers.close()

    def format(self) -> tuple[int, int]:
        """Whose file it is, and its version (`migrations.py`)."""
        ((application,),) = self._read("PRAGMA application_id")
        ((version,),) = self._read("PRAGMA user_version")
        return application, version

    def stamp(self) -> Stamp:
        """The last committed state."""
        return Stamp(*self._read("SELECT generation, token FROM state")[0])

    def get(self, kind: Kind, item_id: str) -> Record | None:
        """Everything about an item. Raises DamagedError when a blob is not what was written."""
        rows = self._read(
            f"SELECT {ITEM_COLUMNS}, v.vector, a.arrays, t.jpeg FROM item i"
            " JOIN vector v USING (number) JOIN arrays a USING (number)"
            " LEFT JOIN thumbnail t USING (number) WHERE i.kind = ? AND i.id = ?",
            kind,
            item_id,
        )
        if not rows:
            return None
        *item, vector, arrays, jpeg = rows[0]
        return read_record(
            item,
            vector=read_vector(kind, item_id, vector, self._dimension),
            arrays=read_arrays(kind, [item_id], [arrays])[0],
            thumbnail=None if jpeg is None else read_thumbnail(kind, item_id, jpeg),
        )

    def fetch(self, kind: Kind, ids: Sequence[str], vectors: bool = False) -> dict[str, Record]:
        """Those of the items that exist, with arrays and, if asked for, vectors; no thumbnail."""
        found: dict[str, Record] = {}
        column, join = ("v.vector", "JOIN vector v USING (number)") if vectors else ("NULL", "")
        for part, marks in parts_of(ids):
            rows = self._read(
                f"SELECT {ITEM_COLUMNS}, {column}, a.arrays FROM item i {join}"
                f" JOIN arrays a USING (number) WHERE i.kind = ? AND i.id IN ({marks})",
                kind,
                *part,
            )
            arrays = read_arrays(kind, [row[0] for row in rows], [row[-1] for row in rows])
            for (*item, vector, _), own in zip(rows, arrays, strict=True):
                record = read_record(item, arrays=own)
                if vectors:
                    read = read_vector(kind, record.id, vector, self._dimension)
                    record = replace(record, vector=read)
                found[record.id] = record
        return found

    def codec(self) -> tuple[str | None, int | None]:
        """By which codec arrays are stored, and up to which number; None: not said, and all."""
        codec, recoded = self._read("SELECT codec, recoded FROM model")[0]
        return codec, recoded

    def arrays(self, after: int) -> Iterator[tuple[int, list[tuple[int, dict[str, np.ndarray]]]]]:
        """Numbers and arrays of the items after this number, in order, some hundred at a time.

        With each part the last number that it covers: damaged items are in none. They are logged.
        """
        while rows := self._read(
            "SELECT i.number, i.kind, i.id, a.arrays FROM item i JOIN arrays a USING (number)"
            " WHERE i.number > ? ORDER BY i.number LIMIT ?",
            after,
            _IDS_A_STATEMENT,
        ):
            after = rows[-1][0]
            found = []
            for number, kind, item_id, blob in rows:
                try:
                    found.append((number, read_arrays(kind, [item_id], [blob])[0]))
                except DamagedError as error:
                    log.warning("left as it is: %s", error)
            yield after, found

    def rows(self, kind: Kind, ids: Sequence[str]) -> dict[str, Record]:
        """Those of the items that exist, without vector, arrays and thumbnail."""
        found: dict[str, Record] = {}
        for part, marks in parts_of(ids):
            rows = self._read(
                f"SELECT {ITEM_COLUMNS} FROM item i WHERE kind = ? AND id IN ({marks})", kind, *part
            )
            found |= {record.id: record for record in map(read_record, rows)}
        return found

    def page(self, kind: Kind, after: str | None, limit: int) -> list[Record]:
        """Items in order of id, without vector, arrays and thumbnail."""
        rows = self._read(
            f"SELECT {ITEM_COLUMNS} FROM item i WHERE kind = ? AND id > ? ORDER BY id LIMIT ?",
            kind,
            after or "",
            limit,
        )
        return [read_record(row) for row in rows]

    def thumbnail(self, item_id: str) -> bytes | None:
        """The JPEG of a picture. Raises DamagedError."""
        rows = self._read(
            "SELECT t.jpeg FROM item i JOIN thumbnail t USING (number)"
            " WHERE i.kind = 'image' AND i.id = ?",
            item_id,
        )
        return read_thumbnail("image", item_id, rows[0][0]) if rows else None

    def tag_counts(self, kind: Kind, condition: Condition | None = None) -> dict[str, int]:
        """How many items carry each tag, most frequent first, then by name.

        condition: only items that match it are counted (`filter_sql.py`).
        """
        matching, values = (
            ("TRUE", ()) if condition is None else (condition.sql, condition.parameters)
        )
        return dict(
            self._read(
                f"SELECT tag, count(*) FROM tag WHERE kind = ? AND {matching}"
                " GROUP BY tag ORDER BY 2 DESC, 1",
                kind,
                *values,
            )
        )

    def segments(self) -> dict[Kind, str]:
        """The token of the main segment in use, of the kinds that have one."""
        return dict(self._read("SELECT kind, token FROM segment"))

    def numbers(self, kind: Kind, last: int) -> np.ndarray:
        """(n,) int64, ascending: the numbers of the items of a kind, up to this one."""
        rows = self._read(
            "SELECT number FROM item WHERE kind = ? AND number <= ? ORDER BY number", kind, last
        )
        return np.fromiter((number for (number,) in rows), np.int64, len(rows))

    def vectors(self, kind: Kind, after: int = 0) -> Iterator[VectorPart]:
        """The vectors of a kind in order of number, after this number. Raises DamagedError."""
        while rows := self._read(
            "SELECT i.number, i.id, v.vector FROM item i JOIN vector v USING (number)"
            " WHERE i.kind = ? AND i.number > ? ORDER BY i.number LIMIT ?",
            kind,
            after,
            _ROWS_A_READ,
        ):
            after = rows[-1][0]
            yield VectorPart(
                np.array([number for number, _, _ in rows], np.int64),
                [item_id for _, item_id, _ in rows],
                np.stack([read_vector(kind, id_, blob, self._dimension) for _, id_, blob in rows]),
            )

    def matching(self, kind: Kind, condition: Condition, stamp: Stamp) -> np.ndarray | None:
        """(n,) int64, ascending: the numbers of the items that match in the state of this stamp.

        condition: of this kind (`filter_sql.py`). None when the last commit is of another state.
        """
        with self._readers.lent() as connection:
            connection.execute("BEGIN")
            try:
                last = connection.execute("SELECT generation, token FROM state").fetchone()
                if Stamp(*last) != stamp:
                    return None
                found = connection.execute(
                    f"SELECT number FROM item WHERE kind = ? AND {condition.sql} ORDER BY number",
                    (kind, *condition.parameters),
                ).fetchall()
            finally:
                connection.execute("ROLLBACK")
        return np.fromiter((number for (number,) in found), np.int64, len(found))

    def copy_to(self, file: Path) -> None:
        """Writes the last commit, whole, to a new file; writes go on meanwhile. Not synced.

        The copy names no main segments, since they are not copied, and has nothing staged. Raises
        StorageError.
        """
        with self._readers.lent() as connection:
            # Of the query-only connections' own doing: the copy is another database.
            connection.execute("PRAGMA query_only = OFF")
            try:
                # As bytes, since a path may hold what isn't UTF-8.
                connection.execute("VACUUM INTO CAST(? AS TEXT)", (os.fsencode(file),))
            finally:
                connection.execute("PRAGMA query_only = ON")
        with translated(file):
            copy = sqlite3.connect(file)
            try:
                with copy:
                    copy.execute("DELETE FROM segment")
                    for table in STAGED_TABLES:
                        copy.execute(f"DROP TABLE IF EXISTS {table}")
                (free,) = copy.execute("PRAGMA freelist_count").fetchone()
                if free:
                    copy.execute("VACUUM")
            finally:
                copy.close()

    def damage(self) -> Iterator[str]:
        """A sentence for each thing that is not as it was written: pages, blobs, missing parts."""
        for (line,) in self._read("PRAGMA integrity_check"):
            if line != "ok":
                yield f"{FILE_NAME}: {line}"
        for row in self._read("PRAGMA foreign_key_check"):
            yield f"{FILE_NAME}: row {row[1]} of {row[0]} belongs to no item"
        for kind in KINDS:
            after: str | None = None
            while page := self.page(kind, after, _IDS_A_STATEMENT):
                after = page[-1].id
                for item in page:
                    yield from self._damage_of(kind, item.id)

    def bytes_on_disk(self) -> int:
        """Bytes of the catalog and of its log."""
        files = (self._file, self._file.with_name(FILE_NAME + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def bytes_per_item(self) -> dict[Kind, int]:
        """Stored bytes of an item's arrays: the mean of the last hundred of a kind, 0 of none."""
        return {
            kind: round(
                self._read(
                    "SELECT coalesce(avg(length(arrays)), 0) FROM arrays WHERE number IN"
                    " (SELECT number FROM item WHERE kind = ? ORDER BY number DESC LIMIT ?)",
                    kind,
                    _ITEMS_MEASURED,
                )[0][0]
            )
            for kind in KINDS
        }

    def _damage_of(self, kind: Kind, item_id: str) -> Iterator[str]:
        try:
            if self.get(kind, item_id) is None:
                yield f"{kind} {item_id!r}: its vector or its arrays are missing"
        except DamagedError as error:
            yield str(error)

    def _read(self, statement: str, *values: Any) -> list[Any]:
        with self._readers.lent() as connection:
            return connection.execute(statement, values).fetchall()


def parts_of(ids: Sequence[str]) -> Iterator[tuple[Sequence[str], str]]:
    """Ids in parts that one statement takes, each with a parameter's mark for every id."""
    for start in range(0, len(ids), _IDS_A_STATEMENT):
        part = ids[start : start + _IDS_A_STATEMENT]
        yield part, ",".join("?" * len(part))
