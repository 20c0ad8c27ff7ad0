"""Array files whose whole size the disk has promised before the first row is written."""

import os
from pathlib import Path

import numpy as np

from model.errors import DataError


def reserved_array(file: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.memmap:
    """A new file of zeros, memory-mapped.

    A sparse one would look as well, but a disk that is full later ends the process by SIGBUS where
    a row is written. Raises DataError naming the file and its bytes, and leaves no file then.
    """
    try:
        array = np.lib.format.open_memmap(file, mode="w+", dtype=dtype, shape=shape)
        with file.open("r+b") as stream:
            os.posix_fallocate(stream.fileno(), 0, file.stat().st_size)
    except OSError as error:
        file.unlink(missing_ok=True)
        needed = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        raise DataError(f"{file}: {needed:,} bytes for it: {error.strerror}") from error
    return array
