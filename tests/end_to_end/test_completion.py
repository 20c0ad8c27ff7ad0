"""Tab in a real bash completes commands, options, choices and files."""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

SECONDS = 30.0
TO_THE_LINE_START = "\x01"
# Until it is there, the terminal itself takes what is typed, and knows no completion.
PROMPT = r"\r\n\$ "


class Shell:
    """A bash in a terminal, with completion of `sightline` as docs/commands.md sets it up."""

    def __init__(self, folder: Path) -> None:
        program = folder / "bin" / "sightline"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m service "$@"\n')
        program.chmod(0o755)
        paths = os.pathsep.join(entry for entry in sys.path if entry)
        environment = {
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "PYTHONPATH": paths,
            "HOME": str(folder),
            "TERM": "dumb",
            "PS1": "$ ",
            "COLUMNS": "300",
        }
        self._terminal, other = pty.openpty()
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile", "-i"],
            stdin=other,
            stdout=other,
            stderr=other,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        os.close(other)
        self._send("bind 'set show-all-if-ambiguous on'; bind 'set completion-query-items 0'\n")
        self._send("bind 'set page-completions off'; bind 'set enable-bracketed-paste off'\n")
        self._send('eval "$(_SIGHTLINE_COMPLETE=source_bash sightline)"; echo re""ady\n')
        self._read_until(r"\nready" + PROMPT)

    def completed(self, typed: str) -> str:
        """What the line is after a tab."""
        self._send(f"{typed}\t{TO_THE_LINE_START}echo '<''\x05''>'\n")
        return self._read_until(r"\n<(.*?)>" + PROMPT)[1].strip()

    def offered(self, typed: str) -> set[str]:
        """What a tab offers where several things are possible."""
        self._send(f"{typed}\t\x15echo e''nd\n")
        before = self._read_until(r"\nend" + PROMPT)
        return set(before.string[: before.start()].split())

    def close(self) -> None:
        os.close(self._terminal)
        self._process.kill()
        self._process.wait(10)

    def _send(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def _read_until(self, pattern: str) -> re.Match[str]:
        seen = ""
        deadline = time.monotonic() + SECONDS
        while True:
            found = re.search(pattern, seen)
            if found is not None:
                return found
            ready, _, _ = select.select([self._terminal], [], [], deadline - time.monotonic())
            assert ready, f"the shell shows {seen!r}, not {pattern}"
            seen += os.read(self._terminal, 65536).decode()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    (tmp_path / "backups" / "monday").mkdir(parents=True)
    (tmp_path / "holiday.jpg").write_bytes(b"")
    started = Shell(tmp_path)
    yield started
    started.close()


def test_tab_completes_what_can_be_typed(shell: Shell) -> None:
    assert shell.completed("sightline comp") == "sightline compact"
    assert shell.completed("sightline search --expl") == "sightline search --explain"
    assert shell.completed("sightline serve --device cu") == "sightline serve --device cuda"
    assert shell.completed("sightline search holi") == "sightline search holiday.jpg"
    assert shell.completed("sightline restore ba") == "sightline restore backups/"
    assert shell.completed("sightline verify --data-dir backups/m") == (
        "sightline verify --data-dir backups/monday/"
    )


def test_tab_offers_what_there_is(shell: Shell) -> None:
    assert {"serve", "search", "migrate", "backup"} <= shell.offered("sightline ")
    assert {"--data-dir", "--device", "--port"} <= shell.offered("sightline serve --")
    assert {"dev", "test", "testall"} <= shell.offered("sightline convert-regions --split ")
    assert {"float16", "int8", "compact"} <= shell.offered("sightline index --codec ")
