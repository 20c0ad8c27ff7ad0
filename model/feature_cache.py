"""Trunk arrays of a data set's pictures, computed once, kept on disk, resumable after a kill.

A row is written before it is marked done, so a kill leaves at worst a row that is made again.
Several processes may fill one cache: each takes the rows of its share.
"""

import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from model.dataset import Example
from model.errors import DataError, PictureError
from model.picture import decode
from model.progress import Progress
from model.region_extractor import RegionExtractor
from model.reserved_array import reserved_array
from model.views import view


class FeatureCache:
    """float16 arrays (pictures, views, *shape); `model/views.py` says what the views are.

    Raises DataError naming a picture that can't be read, or the file that the disk has no room for.
    """

    def __init__(
        self, folder: Path, extractor: RegionExtractor, examples: Sequence[Example], views: int
    ) -> None:
        self._extractor = extractor
        self._examples = examples
        self._views = views
        self._folder = folder / f"{extractor.name}-{_key(examples, views)}"
        self._folder.mkdir(parents=True, exist_ok=True)
        shape = (len(examples), views, *extractor.shape)
        features, done = self._folder / "features.npy", self._folder / "done.npy"
        self.features = _open_array(features, shape, np.dtype(np.float16), marks=done)
        self.done = _open_array(done, (len(examples),), np.dtype(np.uint8))

    def fill(
        self, progress: Progress, share: int = 0, shares: int = 1, batch: int = 8
    ) -> np.ndarray:
        """Computes what is missing in one share of the rows and returns the features.

        Raises DataError naming the picture that can't be read.
        """
        rows = [i for i in range(share, len(self._examples), shares) if not self.done[i]]
        for start in range(0, len(rows), batch):
            part = rows[start : start + batch]
            pictures = [_read(self._examples[i]) for i in part]
            for number in range(self._views):
                seen = [
                    view(picture, number, self._examples[i].id)
                    for i, picture in zip(part, pictures, strict=True)
                ]
                self.features[part, number] = self._extractor.trunk(seen)
            self.features.flush()
            self.done[part] = 1
            self.done.flush()
            progress(min(start + batch, len(rows)), len(rows))
        return self.features


def _key(examples: Sequence[Example], views: int) -> str:
    """Names the pictures by their content: other photos under the same names are other features."""
    digest = hashlib.sha256(f"{views}\n".encode())
    for example in examples:
        digest.update(hashlib.sha256(_bytes(example)).digest() + example.id.encode() + b"\n")
    return digest.hexdigest()[:16]


def _bytes(example: Example) -> bytes:
    if example.image is None:
        raise DataError(f"{example.id}: no picture to extract regions from")
    try:
        return example.image.read_bytes()
    except OSError as error:
        raise DataError(f"{example.image}: {error.strerror}") from error


def _read(example: Example) -> Image.Image:
    try:
        return decode(_bytes(example))
    except PictureError as error:
        raise DataError(f"{example.image}: {error}") from error


def _open_array(
    file: Path, shape: tuple[int, ...], dtype: np.dtype, marks: Path | None = None
) -> np.memmap:
    if file.is_file():
        array = np.lib.format.open_memmap(file, mode="r+")
        if array.shape == shape and array.dtype == dtype:
            return array
        file.unlink()
    if marks is not None:
        # Of rows that are gone none is done.
        marks.unlink(missing_ok=True)
    # Made beside and linked: processes that start at once agree on the first one's file, and a kill
    # in between leaves nothing that the next start would trip over.
    fresh = file.with_suffix(f".{os.getpid()}.npy")
    reserved_array(fresh, shape, dtype).flush()
    with contextlib.suppress(FileExistsError):
        os.link(fresh, file)
    fresh.unlink()
    return np.lib.format.open_memmap(file, mode="r+")
