"""Caption data sets: a folder with `captions.jsonl`, or the field's precomputed features.

Errors name the file and the line, and nothing is skipped silently.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from model.errors import DataError


@dataclass(frozen=True)
class Example:
    """One picture and its captions; `features` stands in for pixels in the precomputed format."""

    id: str
    captions: tuple[str, ...]
    image: Path | None = None
    features: np.ndarray | None = None
    boxes: np.ndarray | None = None
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Split:
    """The examples of one split, in file order."""

    name: str
    examples: tuple[Example, ...]

    @property
    def captions(self) -> list[str]:
        """All captions, picture by picture."""
        return [caption for example in self.examples for caption in example.captions]

    @property
    def owners(self) -> np.ndarray:
        """For each caption the index of its picture, (captions,) int64."""
        counts = [len(example.captions) for example in self.examples]
        return np.repeat(np.arange(len(counts)), counts)


def read_split(folder: Path, split: str) -> Split:
    """One split of a data set, in either format. Raises DataError naming file and line."""
    if (folder / "captions.jsonl").is_file():
        examples = tuple(_read_jsonl(folder / "captions.jsonl", split))
    elif (folder / f"{split}_ims.npy").is_file():
        examples = tuple(_read_precomputed(folder, split))
    else:
        raise DataError(f"{folder}: holds neither captions.jsonl nor {split}_ims.npy")
    if not examples:
        raise DataError(f"{folder}: no picture in the split {split!r}")
    return Split(split, examples)


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
            if image in seen:
                raise DataError(f"{where}: {image} is already in line {seen[image]}")
            seen[image] = number
            if row.get("split", split) != split:
                continue
            path = file.parent / image
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
    return image, tuple(captions)


def _read_precomputed(folder: Path, split: str) -> Iterator[Example]:
    features = _read_array(folder / f"{split}_ims.npy")
    if features.ndim != 3:
        raise DataError(
            f"{folder / f'{split}_ims.npy'}: expected N x regions x size, found {features.shape}"
        )
    if features.dtype.kind != "f" or 0 in features.shape:
        raise DataError(
            f"{folder / f'{split}_ims.npy'}: expected floats of at least one region, found "
            f"{features.dtype} of {features.shape}"
        )
    file = folder / f"{split}_caps.txt"
    try:
        # Not splitlines(), which also breaks at characters that may stand within a caption.
        lines = [line.rstrip("\r") for line in file.read_text(encoding="utf-8").split("\n")]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: {error}") from error
    while lines and not lines[-1].strip():
        lines.pop()
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise DataError(f"{file}:{number}: the caption is empty")
    if not lines or len(lines) % 5:
        raise DataError(f"{file}:{len(lines)}: {len(lines)} captions are not five a picture")
    pictures = len(lines) // 5
    # Some published files repeat each picture's features for its five captions (VSE++ precomp).
    step = 5 if len(features) == len(lines) else 1
    if len(features) not in (pictures, len(lines)):
        raise DataError(f"{file}:{len(lines)}: {len(lines)} captions, but {len(features)} pictures")
    box_file = folder / f"{split}_boxes.npy"
    boxes = _read_array(box_file) if box_file.is_file() else None
    if boxes is not None and boxes.shape != (*features.shape[:2], 4):
        raise DataError(f"{box_file}: shape {boxes.shape}, expected {(*features.shape[:2], 4)}")
    if boxes is not None and boxes.dtype.kind != "f":
        raise DataError(f"{box_file}: expected floats, found {boxes.dtype}")
    if boxes is not None and not (np.min(boxes) >= 0 and np.max(boxes) <= 1):
        raise DataError(f"{box_file}: boxes have to be fractions of the picture, 0 to 1")
    for index in range(pictures):
        yield Example(
            f"{split}-{index}",
            tuple(lines[5 * index : 5 * index + 5]),
            features=features[index * step],
            boxes=None if boxes is None else boxes[index * step],
        )


def _read_array(file: Path) -> np.ndarray:
    try:
        array: np.ndarray = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{file}: not a NumPy array file: {error}") from error
    return array
