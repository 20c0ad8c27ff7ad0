"""The catalog: the one source of truth. What is written is here, what is asked in `reads.py`.

One row an item, its blobs beside it in tables of their own. All writes go through one connection
inside `transaction`, whose caller holds the writer's lock.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from index.attributes import Attribute
from index.connections import connect_writer, translated
from index.errors import CodecError, FingerprintError
from index.migrations import migrate
from index.reads import FILE_NAME, CatalogReads, Stamp, parts_of
from index.records import KINDS, Kind
from index.rows import Row, now, tags_text

# The part of the file that has to be free to make writing it anew worth the while.
_FREE_TO_VACUUM = 1 / 20


class Catalog(CatalogReads):
    """Opens (and on first use makes) the catalog of a folder, and brings its schema up to date.

    codec: the label of the codec of its arrays; None for whatever it is.
    Raises FormatError, FingerprintError when rows were made by another model, CodecError when they
    are of another codec, DamagedError, and StorageError when the disk refuses.
    """

    def __init__(
        self, folder: Path, fingerprint: str, dimension: int, codec: str | None = None
    ) -> None:
        file = folder / FILE_NAME
        super().__init__(file, dimension)
        with translated(file):
            self._writer = connect_writer(file)
            try:
                migrate(self._writer, str(file))
                self._model = self._bind(fingerprint, dimension, codec)
            except BaseException:
                self._writer.close()
                raise

    def close(self) -> None:
        """Closes every connection; SQLite moves the log into the file when the last one closes."""
        super().close()
        self._writer.close()

    # Writing: the caller holds the writer's lock.

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """A write: on leaving it is committed and durable, or undone whole."""
        with translated(self._file):
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._writer.execute("COMMIT")
            finally:
                # SQLite has ended the transaction itself after some errors.
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open; some errors end it before `transaction` is left."""
        return self._writer.in_transaction

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """A part of the transaction that is undone alone when it fails."""
        with translated(self._file):
            self._writer.execute("SAVEPOINT part")
            try:
                yield
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK TO part")
                raise
            finally:
                if self._writer.in_transaction:
                    self._writer.execute("RELEASE part")

    def advance(self) -> Stamp:
        """The stamp of the state that the transaction makes: the next generation."""
        row = self._writer.execute(
            "UPDATE state SET generation = generation + 1, token = randomblob(16)"
            " RETURNING generation, token"
        ).fetchone()
        return Stamp(*row)

    def put(self, rows: Sequence[Row]) -> tuple[list[int], dict[tuple[Kind, str], int]]:
        """Writes rows with distinct (kind, id).

        Returns their numbers, and the old numbers of those that replaced one.
        """
        created: dict[tuple[Kind, str], int] = {}
        replaced: dict[tuple[Kind, str], int] = {}
        for kind in KINDS:
            for part, marks in parts_of([row.id for row in rows if row.kind == kind]):
                found = self._writer.execute(
                    f"DELETE FROM item WHERE kind = ? AND id IN ({marks})"
                    " RETURNING id, number, created",
                    (kind, *part),
                ).fetchall()
                for item_id, number, time in found:
                    replaced[kind, item_id] = number
                    created[kind, item_id] = time
        moment = now()
        (last,) = self._writer.execute(
            "UPDATE state SET last_number = last_number + ? RETURNING last_number", (len(rows),)
        ).fetchone()
        numbers = list(range(last - len(rows) + 1, last + 1))
        numbered = list(zip(numbers, rows, strict=True))
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
            self._put_attributes(number, row.kind, row.attributes)
        return numbers, replaced

    def delete(self, kind: Kind, ids: Sequence[str]) -> list[int]:
        """Deletes those of the items that exist, with everything of theirs; returns their numbers.

        No id may come twice.
        """
        numbers: list[int] = []
        for part, marks in parts_of(ids):
            found = self._writer.execute(
                f"DELETE FROM item WHERE kind = ? AND id IN ({marks}) RETURNING number",
                (kind, *part),
            )
            numbers.extend(number for (number,) in found.fetchall())
        return numbers

    def update_metadata(
        self,
        kind: Kind,
        item_id: str,
        metadata: str,
        attributes: Sequence[Attribute],
        tags: tuple[str, ...] | None,
    ) -> bool:
        """Replaces the metadata, and the tags unless None; False when there is no such item."""
        found = self._writer.execute(
            "UPDATE item SET metadata = ?, updated = ? WHERE kind = ? AND id = ? RETURNING number",
            (metadata, now(), kind, item_id),
        ).fetchone()
        if found is None:
            return False
        (number,) = found
        self._writer.execute("DELETE FROM attribute WHERE number = ?", (number,))
        self._put_attributes(number, kind, attributes)
        if tags is not None:
            self._writer.execute(
                "UPDATE item SET tags = ? WHERE number = ?", (tags_text(tags), number)
            )
            self._writer.execute("DELETE FROM tag WHERE number = ?", (number,))
            self._put_tags(number, kind, tags)
        return True

    def set_arrays(self, arrays: Sequence[tuple[int, bytes]]) -> None:
        """Replaces the packed arrays of items, named by number; vectors stay as they are."""
        self._writer.executemany(
            "UPDATE arrays SET arrays = ? WHERE number = ?",
            ((blob, number) for number, blob in arrays),
        )

    def set_codec(self, codec: str, recoded: int | None) -> None:
        """Remembers by which codec arrays are stored, up to this number; None: all of them."""
        self._writer.execute("UPDATE model SET codec = ?, recoded = ?", (codec, recoded))

    def set_segment(self, kind: Kind, token: str | None) -> None:
        """Names the main segment in use, or that there is none."""
        self._writer.execute("DELETE FROM segment WHERE kind = ?", (kind,))
        if token is not None:
            self._writer.execute("INSERT INTO segment VALUES (?, ?)", (kind, token))

    def vacuum(self) -> None:
        """Writes the file anew where a twentieth of it is free, and empties the log.

        Raises StorageError; nothing is lost then.
        """
        with translated(self._file):
            (free,) = self._writer.execute("PRAGMA freelist_count").fetchone()
            (pages,) = self._writer.execute("PRAGMA page_count").fetchone()
            if free > pages * _FREE_TO_VACUUM:
                self._writer.execute("VACUUM")
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _bind(self, fingerprint: str, dimension: int, codec: str | None) -> int:
        """The number of this model, after making sure that no row is of another one."""
        found = self._writer.execute(
            "SELECT number, fingerprint, dimension, codec FROM model"
        ).fetchone()
        same = found is not None and found[1:3] == (fingerprint, dimension)
        if same and codec in (None, found[3]):
            return int(found[0])
        if self._writer.execute("SELECT 1 FROM item LIMIT 1").fetchone() is not None:
            if same and found[3] is None:
                # Stored before there were codecs: whoever opens it recodes it.
                return int(found[0])
            if same:
                raise CodecError(
                    f"{self._file} holds items stored by the codec {found[3]}; {codec} was asked"
                    f" for. Ask for {found[3]} or for none, or take the collection to {codec}"
                    " with `sightline migrate`"
                )
            raise FingerprintError(
                f"{self._file} holds items made by model {found[1]} (dimension {found[2]}); the"
                f" model at hand is {fingerprint} (dimension {dimension}). Use the first model, or"
                " let `sightline migrate` embed the items again with the one at hand"
            )
        self._writer.execute("BEGIN IMMEDIATE")
        self._writer.execute("DELETE FROM model")
        self._writer.execute(
            "INSERT INTO model VALUES (1, ?, ?, ?, NULL)", (fingerprint, dimension, codec)
        )
        self._writer.execute("COMMIT")
        return 1

    def _put_tags(self, number: int, kind: Kind, tags: Sequence[str]) -> None:
        self._writer.executemany(
            "INSERT INTO tag VALUES (?, ?, ?)", ((number, tag, kind) for tag in tags)
        )

    def _put_attributes(self, number: int, kind: Kind, attributes: Sequence[Attribute]) -> None:
        self._writer.executemany(
            "INSERT INTO attribute VALUES (?, ?, ?, ?, ?)",
            ((number, one.pointer, one.type, one.value, kind) for one in attributes),
        )
