"""Region files of bottom-up attention (Anderson et al., CVPR 2018) to a precomputed folder.

A line is a picture: image_id, image_w, image_h, num_boxes, boxes, features, apart by tabs; the last
two are base64 of float32 matrices, (num_boxes, 4) in pixels and (num_boxes, size). Files are read
line by line and written row by row: neither is ever whole in memory.
"""

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.captions_file import CaptionedPicture
from model.errors import DataError
from model.progress import Progress
from model.reserved_array import reserved_array

FIELDS = ("image_id", "image_w", "image_h", "num_boxes", "boxes", "features")
# A hundred boxes of 2,048 floats take 1.1 MB of base64.
LONGEST_LINE = 64 * 2**20


@dataclass(frozen=True)
class DetectedRegions:
    """A line: size (width, height) in pixels, boxes (R, 4) in pixels, features (R, F) float32.

    where: its file and number.
    """

    where: str
    id: str
    size: tuple[int, int]
    boxes: np.ndarray
    features: np.ndarray


def read_regions(file: Path) -> Iterator[DetectedRegions]:
    """The pictures of a region file, one by one. Raises DataError naming file and line."""
    try:
        with file.open("rb") as stream:
            number = 0
            while line := stream.readline(LONGEST_LINE):
                number += 1
                if line.strip():
                    yield _parsed(line, f"{file}:{number}")
    except OSError as error:
        raise DataError(f"{file}: {error.strerror}") from error


def convert_regions(
    files: Sequence[Path],
    folder: Path,
    split: str,
    pictures: Sequence[CaptionedPicture],
    regions: int,
    progress: Progress,
) -> int:
    """Writes a split of a precomputed folder, pictures in the order given; returns how many.

    regions: rows a picture; those that a picture lacks are zeros, which count as absent. Lines of
    other pictures are passed over, and of a picture that is there twice the first counts. Raises
    DataError when a line is damaged or holds more regions, when a picture is missing, when the disk
    has no room, or when the folder already has the split. Nothing stays in the folder then.
    """
    # The features come last: a reader looks for them first.
    kinds = ("boxes.npy", "img_sizes.npy", "caps.txt", "ids.txt", "ims.npy")
    places = [folder / f"{split}_{kind}" for kind in kinds]
    for place in places:
        if place.exists():
            raise DataError(f"{place} is already there")
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = [place.with_name(f"{place.name}.unfinished") for place in places]
    boxes, sizes, captions, ids, features = unfinished
    try:
        _write_arrays(files, (features, boxes, sizes), pictures, regions, progress)
        lines = "".join(f"{caption}\n" for one in pictures for caption in one.captions)
        captions.write_text(lines, encoding="utf-8")
        ids.write_text("".join(f"{one.id}\n" for one in pictures), encoding="utf-8")
        for file, place in zip(unfinished, places, strict=True):
            file.rename(place)
    finally:
        for file in unfinished:
            file.unlink(missing_ok=True)
    return len(pictures)


def _write_arrays(
    files: Sequence[Path],
    places: Sequence[Path],
    pictures: Sequence[CaptionedPicture],
    regions: int,
    progress: Progress,
) -> None:
    missing = {picture.id: row for row, picture in enumerate(pictures)}
    arrays: list[np.memmap] = []
    for file in files:
        for found in read_regions(file):
            row = missing.pop(found.id, None)
            if row is None:
                continue
            count, size = found.features.shape
            if count > regions:
                raise DataError(
                    f"{found.where}: {count} regions, more than the {regions} rows a picture "
                    "that are asked for"
                )
            if not arrays:
                shapes = ((regions, size), (regions, 4), (2,))
                arrays = [
                    reserved_array(place, (len(pictures), *shape), np.dtype(np.float32))
                    for place, shape in zip(places, shapes, strict=True)
                ]
            if size != arrays[0].shape[2]:
                raise DataError(
                    f"{found.where}: features of {size}, those before it of {arrays[0].shape[2]}"
                )
            arrays[0][row, :count], arrays[1][row, :count] = found.features, found.boxes
            arrays[2][row] = found.size
            progress(len(pictures) - len(missing), len(pictures))
    if missing:
        raise DataError(
            f"{', '.join(map(str, files))}: {len(missing)} of {len(pictures)} pictures are "
            f"missing, {next(iter(missing))} among them"
        )
    for array in arrays:
        array.flush()


def _parsed(line: bytes, where: str) -> DetectedRegions:
    if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
        raise DataError(f"{where}: longer than {LONGEST_LINE:,} bytes")
    fields = line.rstrip(b"\r\n").split(b"\t")
    if len(fields) != len(FIELDS):
        raise DataError(f"{where}: {len(fields)} fields, expected {len(FIELDS)}: {FIELDS}")
    width, height, count = (
        _positive(field, name, where) for field, name in zip(fields[1:4], FIELDS[1:4], strict=True)
    )
    boxes, features = _floats(fields[4], "boxes", where), _floats(fields[5], "features", where)
    if len(boxes) != 4 * count:
        raise DataError(f"{where}: boxes: {len(boxes)} numbers, expected 4 x {count}")
    if not len(features) or len(features) % count:
        raise DataError(f"{where}: features: {len(features)} numbers for {count} boxes")
    name = fields[0].decode("ascii", "replace").strip()
    return DetectedRegions(
        where, name, (width, height), boxes.reshape(count, 4), features.reshape(count, -1)
    )


def _positive(field: bytes, name: str, where: str) -> int:
    if not field.strip().isdigit() or len(field) > 9 or int(field) < 1:
        raise DataError(f"{where}: {name}: expected a number above 0, found {field[:20]!r}")
    return int(field)


def _floats(field: bytes, name: str, where: str) -> np.ndarray:
    # Files written by Python 3 spell bytes as b'...'.
    if field.startswith(b"b'") and field.endswith(b"'"):
        field = field[2:-1]
    try:
        raw = base64.b64decode(field, validate=True)
    except binascii.Error as error:
        raise DataError(f"{where}: {name}: not base64: {error}") from error
    if len(raw) % 4:
        raise DataError(f"{where}: {name}: {len(raw)} bytes are no float32 numbers")
    numbers = np.frombuffer(raw, dtype="<f4")
    if not np.isfinite(numbers).all():
        raise DataError(f"{where}: {name}: holds values that are no number")
    return numbers
