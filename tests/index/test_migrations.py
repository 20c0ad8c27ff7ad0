import sqlite3
from pathlib import Path

import pytest

from index.migrations import APPLICATION_ID, FORMAT_VERSION, MIGRATIONS, migrate


def connected(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(file, isolation_level=None)


def version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def test_the_format_is_the_number_of_steps(tmp_path: Path) -> None:
    connection = connected(tmp_path / "c.sqlite")
    migrate(connection, "c")
    assert version(connection) == FORMAT_VERSION == len(MIGRATIONS)
    assert connection.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    connection.close()


def test_a_file_that_is_up_to_date_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "c.sqlite"
    connection = connected(file)
    migrate(connection, "c")
    connection.close()
    before = file.read_bytes()
    connection = connected(file)
    migrate(connection, "c")
    connection.close()
    assert file.read_bytes() == before


def test_a_step_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    connection = connected(tmp_path / "c.sqlite")
    # The table of an unfinished experiment stands in the way of the second statement.
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute("CREATE TABLE state (x)")
    with pytest.raises(sqlite3.OperationalError, match="state already exists"):
        migrate(connection, "c")
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    assert tables == [("state",)]
    assert version(connection) == 0
    connection.close()
