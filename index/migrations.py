"""The catalog's schema as numbered steps. Append only: a released step is never edited.

The number of steps applied is the format version, kept in SQLite's own `user_version`.
"""

import sqlite3

from index.errors import FormatError

# "SLIX": tells our catalog from any other SQLite file.
APPLICATION_ID = 0x534C4958

_FIRST = (
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

MIGRATIONS: tuple[tuple[str, ...], ...] = (_FIRST,)
FORMAT_VERSION = len(MIGRATIONS)


def migrate(connection: sqlite3.Connection, name: str) -> None:
    """Applies the steps that are missing, each in one transaction with its number.

    Raises FormatError when the file is not a catalog, or is one of a later version.
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
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except sqlite3.Error:
            connection.execute("ROLLBACK")
            raise
