"""Caption data sets: a folder with `captions.jsonl`, or the field's precomputed features.

Errors name the file and the line, and nothing is skipped silently.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from model.dataset_precomputed import Regions, features_file, read_precomputed
from model.errors import DataError

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Example:
    """One picture and its captions; without `image` its split holds region features instead."""

    id: str
    captions: tuple[str, ...]
    image: Path | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Split:
    """The examples of one split, in file order, and their regions in the precomputed format."""

    name: str
    examples: tuple[Example, ...]
    regions: Regions | None = None

    @property
    def captions(self) -> list[str]:
        """All captions, picture by picture."""
        return [caption for example in self.examples for caption in example.captions]

    @property
    def owners(self) -> np.ndarray:
        """For each caption the index of its picture, (captions,) int64."""
        counts = [len(example.captions) for example in self.examples]
        return np.repeat(np.arange(len(counts)), counts)

    def first(self, pictures: int) -> "Split":
        """The first so many pictures with their captions."""
        return self.only(np.arange(min(pictures, len(self.examples))))

    def only(self, pictures: np.ndarray) -> "Split":
        """Some of the pictures (n,) with their captions, in that order."""
        regions = None if self.regions is None else self.regions.only(pictures)
        return Split(self.name, tuple(self.examples[i] for i in pictures), regions)


def read_split(folder: Path, split: str) -> Split:
    """One split of a data set, in either format. Raises DataError naming file and line."""
    if (folder / "captions.jsonl").is_file():
        examples = tuple(_read_jsonl(folder / "captions.jsonl", split))
        if not examples:
            raise DataError(f"{folder}: no picture in the split {split!r}")
        return Split(split, examples)
    file = features_file(folder, split)
    if not file.is_file():
        raise DataError(f"{folder}: holds neither captions.jsonl nor {file.name}")
    found = read_precomputed(folder, split)
    examples = tuple(map(Example, found.names, found.captions))
    return Split(split, examples, found.regions)


def _read_jsonl(file: Path, split: str) -> Iterator[Example]:
    seen: dict[str, int] = {}
    with file.open("rb") as stream:
        for number, raw in enumerate(stream, start=1):
            if not raw.strip():
                continue
            where = f"{file}:{number}"
            try:
                row = json.loads(raw.decode("utf-8"))
            except (ValueError, RecursionError) as error:
                raise DataError(f"{where}: not a line of JSON: {error}") from error
            image, captions = _checked_row(row, where)
            path = file.parent / image
            # ./a.jpg is a.jpg, and must not train in one split what the other one measures.
            place = os.path.normpath(path)
            if place in seen:
                raise DataError(f"{where}: {image} is already in line {seen[place]}")
            seen[place] = number
            if row.get("split", split) != split:
                continue
            if not path.is_file():
                raise DataError(f"{where}: the picture {image} is missing")
            yield Example(image, captions, image=path, metadata=row.get("metadata", {}))


def _checked_row(row: Any, where: str) -> tuple[str, tuple[str, ...]]:
    if not isinstance(row, dict):
        raise DataError(f"{where}: expected an object, found {type(row).__name__}")
    image, captions = row.get("image"), row.get("captions")
    if not isinstance(image, str) or not image:
        raise DataError(f'{where}: "image" has to be a path')
    if not isinstance(captions, list) or not captions:
        raise DataError(f'{where}: "captions" has to be a list with at least one sentence')
    if not all(isinstance(caption, str) and caption.strip() for caption in captions):
        raise DataError(f'{where}: every entry of "captions" has to be a sentence')
    if not isinstance(row.get("metadata", {}), dict):
        raise DataError(f'{where}: "metadata" has to be an object')
    if "split" in row and row["split"] not in SPLITS:
        raise DataError(
            f'{where}: "split" has to be one of {", ".join(SPLITS)}; it is {row["split"]!r}'
        )
    return image, tuple(captions)
