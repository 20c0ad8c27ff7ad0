"""The gallery's two lists, JSON lines beside this file."""

import json
from importlib import resources
from typing import Any


def lines(name: str) -> list[dict[str, Any]]:
    """The objects of one list, in order."""
    text = resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]
