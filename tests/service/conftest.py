"""Commands as tests run them."""

import sys
from pathlib import Path
from typing import Any

import pytest

from service import cli


@pytest.fixture
def run(
    toy_bundle: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Runs a command in this process: its exit status, standard output, standard error."""
    monkeypatch.setenv("SIGHTLINE_BUNDLE", str(toy_bundle))
    monkeypatch.setenv("COLUMNS", "200")

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["sightline", *(str(a) for a in arguments)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        status = end.value.code or 0
        assert isinstance(status, int)
        return status, *capsys.readouterr()

    return call
