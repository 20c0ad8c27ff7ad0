"""JSON files that somebody else wrote."""

import json
from pathlib import Path
from typing import Any

from model.errors import DataError


def read_json(file: Path) -> Any:
    """What a JSON file holds. Raises DataError naming the file."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{file}: not JSON: {error}") from error
