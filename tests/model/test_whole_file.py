"""Files that are whole or not there."""

import os
from pathlib import Path

import pytest

from model.whole_file import whole_file, write_whole


class StoppedError(Exception):
    """Ends the writing in its middle."""


def write_half(file: Path, shared: bool) -> None:
    with whole_file(file, shared) as stream:
        stream.write(b"half")
        raise StoppedError


@pytest.mark.parametrize("shared", [False, True])
def test_a_file_is_replaced_by_what_was_written_to_the_end(tmp_path: Path, shared: bool) -> None:
    file = tmp_path / "file.json"
    for content in (b"before", b"after"):
        with whole_file(file, shared) as stream:
            stream.write(content)
        assert file.read_bytes() == content
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("shared", [False, True])
def test_what_stood_there_stays_where_writing_fails(tmp_path: Path, shared: bool) -> None:
    file = tmp_path / "file.json"
    write_whole(file, "before\n")
    with pytest.raises(StoppedError):
        write_half(file, shared)
    assert file.read_text(encoding="utf-8") == "before\n"
    assert list(tmp_path.iterdir()) == [file]


def test_two_processes_that_write_one_file_do_not_meet(tmp_path: Path) -> None:
    file = tmp_path / "file.npy"
    with whole_file(file, shared=True) as stream:
        stream.write(b"mine, ")
        child = os.fork()
        if not child:
            with whole_file(file, shared=True) as other:
                other.write(b"theirs")
            os._exit(0)
        os.waitpid(child, 0)
        assert file.read_bytes() == b"theirs"
        stream.write(b"all of it")
    assert file.read_bytes() == b"mine, all of it"
    assert list(tmp_path.iterdir()) == [file]
