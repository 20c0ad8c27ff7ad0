"""The catalog: the one source of truth, and the only file with SQL (but for the schema).

One row an item, its blobs beside it in tables of their own. All writes go through one connection
inside `transaction`, whose caller holds the writer's lock; reads use a pool of other connections
and see the last commit, whole. Each read is one statement, so it never mixes two states.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from index.connections import Readers, connect_writer, translated
from index.errors import DamagedError, FingerprintError
from index.migrations import migrate
from index.records import KINDS, Kind, Record
from index.rows import Row, now, read_arrays, read_record, read_thumbnail, read_vector, tags_text

FILE_NAME = "catalog.sqlite"
# SQLite allows 32,766 parameters a statement; a few hundred are as fast and parse quicker.
_IDS_A_STATEMENT = 500
_ROWS_A_READ = 4096

_ITEM_COLUMNS = "i.id, i.kind, i.metadata, i.tags, i.text, i.content_hash, i.created, i.updated"


@dataclass(frozen=True)
class Stamp:
    """Names one committed state: the generation, and a token that no other history shares."""

    generation: int
    token: bytes


class Catalog:
    """Opens (and on first use makes) the catalog of a folder, and brings its schema up to date.

    Raises FormatError, FingerprintError when rows were made by another model, DamagedError, and
    StorageError when the disk refuses.
    """

    def __init__(self, folder: Path, fingerprint: str, dimension: int) -> None:
        self._file = folder / FILE_NAME
        self._dimension = dimension
        with translated(self._file):
            self._writer = connect_writer(self._file)
            try:
                migrate(self._writer, str(self._file))
                self._model = self._bind(fingerprint, dimension)
            except BaseException:
                self._writer.close()
                raise
        self._readers = Readers(self._file)

    def close(self) -> None:
        """Closes every connection; SQLite moves the log into the file when the last one closes."""
        self._readers.close()
        self._writer.close()

    # Writing: the caller holds the writer's lock.

    @contextmanager
    def transaction(self) -> Iterator[Stamp]:
        """A write with its new stamp; on leaving it is committed and durable, or undone whole."""
        with translated(self._file):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                row = self._writer.execute(
                    "UPDATE state SET generation = generation + 1, token = randomblob(16)"
                    " RETURNING generation, token"
                ).fetchone()
                yield Stamp(*row)
                self._writer.execute("COMMIT")
            finally:
                # SQLite has ended the transaction itself after some errors.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")

    def put(self, rows: Sequence[Row]) -> set[tuple[Kind, str]]:
        """Writes rows with distinct (kind, id) and returns those that replaced one."""
        created: dict[tuple[Kind, str], int] = {}
        for kind in KINDS:
            ids = [row.id for row in rows if row.kind == kind]
            for part, marks in _parts(ids):
                found = self._writer.execute(
                    f"DELETE FROM item WHERE kind = ? AND id IN ({marks}) RETURNING id, created",
                    (kind, *part),
                )
                created |= {(kind, id_): time for id_, time in found.fetchall()}
        moment = now()
        first = self._writer.execute("SELECT coalesce(max(number), 0) + 1 FROM item").fetchone()[0]
        numbered = list(enumerate(rows, start=first))
        self._writer.executemany(
            "INSERT INTO item VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    number,
                    row.kind,
                    row.id,
                    self._model,
                    row.metadata,
                    tags_text(row.tags),
                    row.text,
                    row.content_hash,
                    created.get((row.kind, row.id), moment),
                    moment,
                )
                for number, row in numbered
            ),
        )
        self._writer.executemany(
            "INSERT INTO vector VALUES (?, ?)", ((n, row.vector) for n, row in numbered)
        )
        self._writer.executemany(
            "INSERT INTO arrays VALUES (?, ?)", ((n, row.arrays) for n, row in numbered)
        )
        self._writer.executemany(
            "INSERT INTO thumbnail VALUES (?, ?)",
            ((n, row.thumbnail) for n, row in numbered if row.thumbnail is not None),
        )
        for number, row in numbered:
            self._put_tags(number, row.kind, row.tags)
        return set(created)

    def delete(self, kind: Kind, ids: Sequence[str]) -> None:
        """Deletes items; their blobs and tags go with them."""
        for part, marks in _parts(ids):
            self._writer.execute(
                f"DELETE FROM item WHERE kind = ? AND id IN ({marks})", (kind, *part)
            )

    def update_metadata(
        self, kind: Kind, item_id: str, metadata: str, tags: tuple[str, ...] | None
    ) -> None:
        """Replaces the metadata, and the tags unless None, of an item that exists."""
        (number,) = self._writer.execute(
            "UPDATE item SET metadata = ?, updated = ? WHERE kind = ? AND id = ? RETURNING number",
            (metadata, now(), kind, item_id),
        ).fetchone()
        if tags is not None:
            self._writer.execute(
                "UPDATE item SET tags = ? WHERE number = ?", (tags_text(tags), number)
            )
            self._writer.execute("DELETE FROM tag WHERE number = ?", (number,))
            self._put_tags(number, kind, tags)

    # Reading: from any thread.

    def stamp(self) -> Stamp:
        """The last committed state."""
        return Stamp(*self._read("SELECT generation, token FROM state")[0])

    def get(self, kind: Kind, item_id: str) -> Record | None:
        """Everything about an item. Raises DamagedError when a blob is not what was written."""
        rows = self._read(
            f"SELECT {_ITEM_COLUMNS}, v.vector, a.arrays, t.jpeg FROM item i"
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

    def fetch(self, kind: Kind, ids: Sequence[str]) -> dict[str, Record]:
        """Those of the items that exist, with arrays, without vector and thumbnail."""
        found: dict[str, Record] = {}
        for part, marks in _parts(ids):
            rows = self._read(
                f"SELECT {_ITEM_COLUMNS}, a.arrays FROM item i JOIN arrays a USING (number)"
                f" WHERE i.kind = ? AND i.id IN ({marks})",
                kind,
                *part,
            )
            arrays = read_arrays(kind, [row[0] for row in rows], [row[-1] for row in rows])
            for row, own in zip(rows, arrays, strict=True):
                found[row[0]] = read_record(row[:-1], arrays=own)
        return found

    def page(self, kind: Kind, after: str | None, limit: int) -> list[Record]:
        """Items in order of id, without vector, arrays and thumbnail."""
        rows = self._read(
            f"SELECT {_ITEM_COLUMNS} FROM item i WHERE kind = ? AND id > ? ORDER BY id LIMIT ?",
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

    def tag_counts(self, kind: Kind) -> dict[str, int]:
        """How many items carry each tag, most frequent first, then by name."""
        return dict(
            self._read(
                "SELECT tag, count(*) FROM tag WHERE kind = ? GROUP BY tag ORDER BY 2 DESC, 1",
                kind,
            )
        )

    def counts(self) -> dict[Kind, int]:
        """Items of each kind."""
        found = dict(self._read("SELECT kind, count(*) FROM item GROUP BY kind"))
        return {kind: found.get(kind, 0) for kind in KINDS}

    def vectors(self) -> Iterator[tuple[Kind, list[str], np.ndarray]]:
        """All ids and vectors, in parts of one kind with (n, d) float32. Raises DamagedError."""
        number = 0
        # CROSS JOIN keeps SQLite on the order of `vector`, so that no part is sorted.
        while rows := self._read(
            "SELECT v.number, i.kind, i.id, v.vector FROM vector v CROSS JOIN item i"
            " ON i.number = v.number WHERE v.number > ? ORDER BY v.number LIMIT ?",
            number,
            _ROWS_A_READ,
        ):
            number = rows[-1][0]
            for kind in KINDS:
                found = [(item_id, blob) for _, of, item_id, blob in rows if of == kind]
                if found:
                    values = [read_vector(kind, *row, self._dimension) for row in found]
                    yield kind, [item_id for item_id, _ in found], np.stack(values)

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

    def _damage_of(self, kind: Kind, item_id: str) -> Iterator[str]:
        try:
            if self.get(kind, item_id) is None:
                yield f"{kind} {item_id!r}: its vector or its arrays are missing"
        except DamagedError as error:
            yield str(error)

    def _bind(self, fingerprint: str, dimension: int) -> int:
        """The number of this model, after making sure that no row is of another one."""
        found = self._writer.execute("SELECT number, fingerprint, dimension FROM model").fetchone()
        if found is not None and found[1:] == (fingerprint, dimension):
            return int(found[0])
        if self._writer.execute("SELECT 1 FROM item LIMIT 1").fetchone() is not None:
            raise FingerprintError(
                f"{self._file} holds items made by model {found[1]} (dimension {found[2]}); the"
                f" model at hand is {fingerprint} (dimension {dimension}). Use the first model,"
                " or index the pictures again into an empty data directory"
            )
        self._writer.execute("BEGIN IMMEDIATE")
        self._writer.execute("DELETE FROM model")
        self._writer.execute("INSERT INTO model VALUES (1, ?, ?)", (fingerprint, dimension))
        self._writer.execute("COMMIT")
        return 1

    def _put_tags(self, number: int, kind: Kind, tags: Sequence[str]) -> None:
        self._writer.executemany(
            "INSERT INTO tag VALUES (?, ?, ?)", ((number, tag, kind) for tag in tags)
        )

    def _read(self, statement: str, *values: Any) -> list[Any]:
        with self._readers.lent() as connection:
            return connection.execute(statement, values).fetchall()


def _parts(ids: Sequence[str]) -> Iterator[tuple[Sequence[str], str]]:
    for start in range(0, len(ids), _IDS_A_STATEMENT):
        part = ids[start : start + _IDS_A_STATEMENT]
        yield part, ",".join("?" * len(part))
