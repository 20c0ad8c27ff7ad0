"""The catalog's schema as numbered steps. Append only: a released step is never edited.

The number of steps applied is the format version, kept in SQLite's own `user_version`.
"""

import json
import sqlite3
from collections.abc import Callable

from index.attributes import attributes
from index.errors import DamagedError, FormatError

Step = str | Callable[[sqlite3.Connection], None]

# "SLIX": tells our catalog from any other SQLite file.
APPLICATION_ID = 0x534C4958

_FIRST: tuple[Step, ...] = (
    # At most one row: every item of a catalog is made by the same model.
    """CREATE TABLE model (
        number INTEGER PRIMARY KEY,
        fingerprint TEXT NOT NULL,
        dimension INTEGER NOT NULL
    )""",
    # The generation rises with each write. The token is random, so that a snapshot of the same
    # generation but of another history (a restored backup) is told apart.
    """CREATE TABLE state (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        generation INTEGER NOT NULL,
        token BLOB NOT NULL
    )""",
    "INSERT INTO state VALUES (1, 0, randomblob(16))",
    """CREATE TABLE item (
        number INTEGER PRIMARY KEY,
        kind TEXT NOT NULL CHECK (kind IN ('image', 'text')),
        id TEXT NOT NULL,
        model INTEGER NOT NULL REFERENCES model (number),
        metadata TEXT NOT NULL,
        tags TEXT NOT NULL,
        text TEXT,
        content_hash TEXT NOT NULL,
        created INTEGER NOT NULL,
        updated INTEGER NOT NULL,
        UNIQUE (kind, id)
    )""",
    # Apart from `item`, so that changing metadata doesn't rewrite matrices, and opening reads
    # vectors only. The blobs are sealed with a CRC (`packing.py`).
    """CREATE TABLE vector (
        number INTEGER PRIMARY KEY REFERENCES item (number) ON DELETE CASCADE,
        vector BLOB NOT NULL
    )""",
    """CREATE TABLE arrays (
        number INTEGER PRIMARY KEY REFERENCES item (number) ON DELETE CASCADE,
        arrays BLOB NOT NULL
    )""",
    """CREATE TABLE thumbnail (
        number INTEGER PRIMARY KEY REFERENCES item (number) ON DELETE CASCADE,
        jpeg BLOB NOT NULL
    )""",
    """CREATE TABLE tag (
        number INTEGER NOT NULL REFERENCES item (number) ON DELETE CASCADE,
        tag TEXT NOT NULL,
        kind TEXT NOT NULL,
        PRIMARY KEY (number, tag)
    ) WITHOUT ROWID""",
    "CREATE INDEX tag_by_kind ON tag (kind, tag)",
    f"PRAGMA application_id = {APPLICATION_ID}",
)


def _index_metadata(connection: sqlite3.Connection) -> None:
    """Fills `attribute` for the items that are there."""
    for number, kind, item_id, text in connection.execute(
        "SELECT number, kind, id, metadata FROM item"
    ):
        try:
            found = attributes(json.loads(text))
        except ValueError as error:
            raise DamagedError(
                f"{kind} {item_id!r}: its metadata can't be read: {error}"
            ) from error
        connection.executemany(
            "INSERT INTO attribute VALUES (?, ?, ?, ?, ?)",
            ((number, one.pointer, one.type, one.value, kind) for one in found),
        )


_SECOND: tuple[Step, ...] = (
    # Numbers are never used twice, so that a number means one version of one item for good.
    "ALTER TABLE state ADD COLUMN last_number INTEGER NOT NULL DEFAULT 0",
    "UPDATE state SET last_number = (SELECT coalesce(max(number), 0) FROM item)",
    # The values of the metadata, for filters (`attributes.py`). `value` has no affinity: numbers
    # compare with numbers, texts with texts. The key's columns come first, because SQLite 3.40's
    # integrity_check looks for NULL in the wrong columns otherwise.
    """CREATE TABLE attribute (
        number INTEGER NOT NULL REFERENCES item (number) ON DELETE CASCADE,
        pointer TEXT NOT NULL,
        type TEXT NOT NULL,
        value NOT NULL,
        kind TEXT NOT NULL,
        PRIMARY KEY (number, pointer, type, value)
    ) WITHOUT ROWID""",
    "CREATE INDEX attribute_by_value ON attribute (kind, pointer, type, value)",
    # The main segment in use (`segment.py`).
    "CREATE TABLE segment (kind TEXT PRIMARY KEY, token TEXT NOT NULL) WITHOUT ROWID",
    "CREATE INDEX item_by_kind ON item (kind)",
    _index_metadata,
)

_THIRD: tuple[Step, ...] = (
    # What the service calls the way in which the arrays of all items are coded. NULL: items that
    # were stored before there were codecs, or none yet.
    "ALTER TABLE model ADD COLUMN codec TEXT",
    # Up to which number that is already so, while older arrays are being recoded. NULL: all are.
    "ALTER TABLE model ADD COLUMN recoded INTEGER",
)

MIGRATIONS: tuple[tuple[Step, ...], ...] = (_FIRST, _SECOND, _THIRD)
FORMAT_VERSION = len(MIGRATIONS)


def migrate(connection: sqlite3.Connection, name: str) -> None:
    """Applies the steps that are missing, each in one transaction with its number.

    Raises FormatError when the file is not a catalog, or is one of a later version; DamagedError
    when a row that a step has to read is damaged.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if application != APPLICATION_ID and tables:
        raise FormatError(f"{name} is an SQLite file, but not a catalog of ours")
    if version > FORMAT_VERSION:
        raise FormatError(
            f"{name} has format {version}; this version knows formats up to {FORMAT_VERSION}:"
            " open it with the version that wrote it, or a later one"
        )
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in statements:
                if isinstance(statement, str):
                    connection.execute(statement)
                else:
                    statement(connection)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
