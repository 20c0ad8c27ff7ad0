"""The field's precomputed folders (`f30k_precomp`, `coco_precomp`), read as they are published.

NAME_ims.npy        (rows, regions, size) floats, a row for each picture or for each caption
NAME_caps.txt       captions, five a picture
NAME_ids.txt        optional, names of the pictures, a line for each picture or for each caption
NAME_boxes.npy      optional, (rows, regions, 4): fractions of the picture, or pixels with
NAME_img_sizes.npy  (rows, 2), width and height in pixels

Features stay on disk, memory-mapped; whoever reads a batch of them checks it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.errors import DataError

CAPTIONS_PER_PICTURE = 5
CHECKED_TOGETHER = 4096


@dataclass(frozen=True)
class Regions:
    """Region features and boxes of a split, memory-mapped; nothing is copied before it is read.

    features: (rows, R, F) floats; rows: (pictures,) int64, where each picture stands in the files;
    corners: (rows, R, 4) floats [x0, y0, x1, y1]; sizes: (rows, 2), width and height, where the
    corners are pixels.
    """

    file: Path
    features: np.ndarray
    rows: np.ndarray
    corners: np.ndarray | None = None
    sizes: np.ndarray | None = None

    def boxes(self, picture: int) -> np.ndarray | None:
        """Boxes of a picture as fractions of it, (R, 4) float32; None where the data has none."""
        if self.corners is None:
            return None
        row = self.rows[picture]
        boxes = _fractions(self.corners[row], None if self.sizes is None else self.sizes[row])
        # Detectors count pixels from 0 or from 1, so that a box may end one beyond the picture.
        return boxes.clip(0, 1).astype(np.float32)

    def only(self, pictures: np.ndarray) -> "Regions":
        """Those of some of the pictures (n,); nothing is read."""
        rows = self.rows[pictures]
        return Regions(self.file, self.features, rows, self.corners, self.sizes)


@dataclass(frozen=True)
class Precomputed:
    """A split of a precomputed folder: one name and five captions for each picture."""

    names: tuple[str, ...]
    captions: tuple[tuple[str, ...], ...]
    regions: Regions


def features_file(folder: Path, split: str) -> Path:
    """Where a precomputed folder keeps the region features of a split."""
    return folder / f"{split}_ims.npy"


def read_precomputed(folder: Path, split: str) -> Precomputed:
    """One split of a precomputed folder. Raises DataError naming the file, and line or row."""
    file = features_file(folder, split)
    features = _read_array(file)
    if features.ndim != 3:
        raise DataError(f"{file}: expected N x regions x size, found {features.shape}")
    if features.dtype.kind != "f" or 0 in features.shape:
        raise DataError(
            f"{file}: expected floats of at least one region, found "
            f"{features.dtype} of {features.shape}"
        )
    lines = _read_captions(folder / f"{split}_caps.txt")
    pictures = len(lines) // CAPTIONS_PER_PICTURE
    if len(features) not in (pictures, len(lines)):
        raise DataError(
            f"{folder / f'{split}_caps.txt'}:{len(lines)}: {len(lines)} captions, "
            f"but {len(features)} pictures"
        )
    # The oldest files repeat a picture's features for each of its captions.
    step = len(features) // pictures
    corners, sizes = _read_boxes(folder, split, features.shape)
    return Precomputed(
        _read_names(folder / f"{split}_ids.txt", split, pictures),
        tuple(
            tuple(lines[first : first + CAPTIONS_PER_PICTURE])
            for first in range(0, len(lines), CAPTIONS_PER_PICTURE)
        ),
        Regions(file, features, np.arange(pictures) * step, corners, sizes),
    )


def _read_captions(file: Path) -> list[str]:
    lines = _read_lines(file)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            raise DataError(f"{file}:{number}: the caption is empty")
    if not lines or len(lines) % CAPTIONS_PER_PICTURE:
        raise DataError(f"{file}:{len(lines)}: {len(lines)} captions are not five a picture")
    return lines


def _read_names(file: Path, split: str, pictures: int) -> tuple[str, ...]:
    if not file.is_file():
        return tuple(f"{split}-{number}" for number in range(pictures))
    lines = [line.strip() for line in _read_lines(file)]
    step = len(lines) // pictures
    if len(lines) != pictures * step or step not in (1, CAPTIONS_PER_PICTURE):
        raise DataError(f"{file}:{len(lines)}: {len(lines)} ids, but {pictures} pictures")
    seen: dict[str, int] = {}
    for number, name in enumerate(lines):
        if not name:
            raise DataError(f"{file}:{number + 1}: the id is empty")
        if seen.setdefault(name, number // step) != number // step:
            raise DataError(f"{file}:{number + 1}: {name} is the id of an earlier picture")
        if name != lines[number - number % step]:
            raise DataError(f"{file}:{number + 1}: another id than the other captions' of it")
    return tuple(lines[::step])


def _read_boxes(
    folder: Path, split: str, shape: tuple[int, ...]
) -> tuple[np.ndarray | None, np.ndarray | None]:
    file, size_file = folder / f"{split}_boxes.npy", folder / f"{split}_img_sizes.npy"
    if not file.is_file():
        return None, None
    corners = _read_array(file)
    if corners.shape != (*shape[:2], 4):
        raise DataError(f"{file}: shape {corners.shape}, expected {(*shape[:2], 4)}")
    if corners.dtype.kind != "f":
        raise DataError(f"{file}: expected floats, found {corners.dtype}")
    pixels = any((part > 1).any() for _, part in _parts(corners))
    if not pixels:
        _refuse_outside(file, corners, None)
        return corners, None
    if not size_file.is_file():
        raise DataError(
            f"{file}: boxes have to be fractions of the picture, 0 to 1; boxes in pixels need "
            f"{size_file.name} with the width and height of each picture"
        )
    sizes = _read_array(size_file)
    if sizes.shape != (shape[0], 2) or sizes.dtype.kind not in "iuf":
        raise DataError(
            f"{size_file}: expected numbers of {(shape[0], 2)}, found {sizes.dtype} of "
            f"{sizes.shape}"
        )
    wrong = np.flatnonzero(~((sizes >= 1) & np.isfinite(sizes)).all(1))
    if len(wrong):
        raise DataError(f"{size_file}: row {wrong[0]} is no width and height in pixels")
    _refuse_outside(file, corners, sizes)
    return corners, sizes


def _refuse_outside(file: Path, corners: np.ndarray, sizes: np.ndarray | None) -> None:
    for start, part in _parts(corners):
        some = None if sizes is None else sizes[start : start + len(part)]
        slack = np.zeros((len(part), 1, 1)) if some is None else 1 / some.min(1)[:, None, None]
        boxes = _fractions(part, some)
        wrong = np.flatnonzero(~((boxes >= -slack) & (boxes <= 1 + slack)).all(axis=(1, 2)))
        if len(wrong):
            raise DataError(
                f"{file}: boxes have to be fractions of the picture, 0 to 1, or pixels within it; "
                f"row {start + wrong[0]} holds others"
            )


def _fractions(corners: np.ndarray, sizes: np.ndarray | None) -> np.ndarray:
    """(..., R, 4) corners by (..., 2) sizes."""
    if sizes is None:
        return np.asarray(corners)
    return np.asarray(corners / np.concatenate([sizes, sizes], axis=-1)[..., None, :])


def _parts(array: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    for start in range(0, len(array), CHECKED_TOGETHER):
        yield start, np.asarray(array[start : start + CHECKED_TOGETHER])


def _read_lines(file: Path) -> list[str]:
    try:
        text = file.read_bytes().decode("utf-8")
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: {error}") from error
    # Not splitlines(), nor a file in text mode: both also break at characters that may stand within
    # a caption.
    lines = [line.rstrip("\r") for line in text.split("\n")]
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _read_array(file: Path) -> np.ndarray:
    try:
        # Not load(), which also opens archives of arrays.
        return np.lib.format.open_memmap(file, mode="r")
    except OSError as error:
        raise DataError(f"{file}: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{file}: not a NumPy array file: {error}") from error
