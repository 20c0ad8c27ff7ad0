"""What a run was begun with, so that it neither goes on nor is exported with other data."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.dataset import Split
from model.errors import DataError
from model.json_file import read_json


def split_record(split: Split) -> dict[str, Any]:
    """Counts of a split, and the SHA-256 of its pictures' ids and captions in their order."""
    digest = hashlib.sha256()
    for example in split.examples:
        digest.update(json.dumps([example.id, *example.captions]).encode() + b"\n")
    return {
        "pictures": len(split.examples),
        "captions": len(split.captions),
        "sha256": digest.hexdigest(),
    }


def refuse_other_data(folder: Path, data: Path, splits: Sequence[Split]) -> None:
    """Raises DataError naming the split that is not the one a run folder was begun with.

    Runs of before kept no record, and a run that was ended before it trained has none.
    """
    file = folder / "run.json"
    begun_with = read_json(file).get("splits") if file.is_file() else None
    if begun_with is None:
        return
    for split in splits:
        now, was = split_record(split), begun_with.get(split.name)
        if was is None:
            raise DataError(
                f"{data}: holds {split.name}, but {folder} was begun with {', '.join(begun_with)}"
            )
        for count in ("pictures", "captions"):
            if now[count] != was[count]:
                raise DataError(
                    f"{data}: {now[count]} {count} in {split.name}; {folder} was begun with "
                    f"{was[count]}"
                )
        if now != was:
            raise DataError(
                f"{data}: the ids or captions of {split.name} are not those that {folder} was "
                "begun with"
            )
