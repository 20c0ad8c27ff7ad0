"""Progress: lines where nobody watches, bars in a terminal, nothing for what is done at once."""

import os
import pty
import subprocess
import sys
import time

import pytest

from service import progress

BARS = """
from service.progress import progress
with progress("pictures") as pictures, progress("captions") as captions:
    pictures(7, 9)
    captions(3, 5)
print("done")
"""


def test_what_is_done_at_once_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.waiting("copying photos"):
        pass
    with progress.progress("pictures") as advance:
        advance(1, 2)
    assert capsys.readouterr().err == ""


def test_what_takes_long_says_so_in_a_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    shown = ""
    deadline = time.monotonic() + 10
    with progress.waiting("copying photos"):
        while not shown and time.monotonic() < deadline:
            shown += capsys.readouterr().err
    assert shown == "copying photos ...\n"
    with progress.progress("pictures") as advance:
        advance(1, 2)
    assert capsys.readouterr().err.startswith("1 of 2 pictures, ")


def test_a_terminal_shows_a_bar_for_each_thing() -> None:
    terminal, other = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", BARS],
        stdin=other,
        stdout=subprocess.PIPE,
        stderr=other,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        text=True,
    ) as process:
        os.close(other)
        shown = b""
        try:
            while chunk := os.read(terminal, 65536):
                shown += chunk
        except OSError:  # how Linux tells that the other end is closed
            assert process.wait(30) == 0
        out, _ = process.communicate()
    os.close(terminal)
    assert out == "done\n"
    for words in (b"pictures", b"7/9", b"captions", b"3/5"):
        assert words in shown
