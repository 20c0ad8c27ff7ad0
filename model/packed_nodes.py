"""One item's nodes of one layer as bytes that the scorer reads in place.

    layout u8 | Gram stored u8 | N u16 | d u16 | 0 u16 | Gram step f32
    scales f32 (N) | weights f32 (N) | sums i32 (N) | Gram i16 (N (N + 1) / 2) | rows i8 (N, d)

All little-endian. A vector is scale * row; scale is its largest absolute value / 127, so the error
is at most half a scale. Rows are padded with zeros to a multiple of 4 bytes, the Gram matrix to a
multiple of 4 bytes. `sums` are those of the rows, which some instructions need.

The Gram matrix is that of the vectors as stored, lower triangle, in steps of its largest value /
32,767: as small as float16, and more exact wherever nodes are alike. It may be left out and is then
computed for each score, which saves an eighth of the bytes and makes 36 nodes cost three to five
times as much.
"""

import struct
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from model.errors import PackedNodesError

LAYOUT = 1
LARGEST_VALUE = 127
LARGEST_GRAM = 32767
MOST = 65535
_HEADER = struct.Struct("<BBHHHf")


@dataclass(frozen=True)
class PackedNodes:
    """Packed nodes over their bytes; every array is a read-only view of them.

    block: (bytes,) uint8, contiguous, at any address. Raises PackedNodesError when its length isn't
    what its header says.
    """

    block: np.ndarray

    def __post_init__(self) -> None:
        block = self.block
        if block.dtype != np.uint8 or block.ndim != 1 or not block.flags.c_contiguous:
            raise PackedNodesError(
                f"expected contiguous bytes, not {block.dtype} of shape {block.shape}"
            )
        if len(block) < _HEADER.size or block[0] != LAYOUT or block[1] > 1:
            raise PackedNodesError(f"no packed nodes of layout {LAYOUT}")
        if self.count < 1 or len(block) != self._rows_start + self.count * _padded(self.dimension):
            raise PackedNodesError("their length isn't what their header says")

    @property
    def count(self) -> int:
        """N, at least 1."""
        return int(self._header[2])

    @property
    def dimension(self) -> int:
        """d."""
        return int(self._header[3])

    @property
    def scales(self) -> np.ndarray:
        """(N,) float32."""
        return self._array("<f4", self.count, _HEADER.size)

    @property
    def weights(self) -> np.ndarray:
        """(N,) float32, the importance of each node."""
        return self._array("<f4", self.count, _HEADER.size + 4 * self.count)

    @property
    def sums(self) -> np.ndarray:
        """(N,) int32, the sum of each row."""
        return self._array("<i4", self.count, _HEADER.size + 8 * self.count)

    @property
    def gram(self) -> np.ndarray | None:
        """The lower triangle row by row, (N (N + 1) / 2,) float32; None if it isn't stored."""
        if not self.block[1]:
            return None
        start = _HEADER.size + 12 * self.count
        stored = self._array("<i2", self.count * (self.count + 1) // 2, start)
        gram: np.ndarray = np.multiply(stored, np.float32(self._header[5]), dtype=np.float32)
        return gram

    @property
    def rows(self) -> np.ndarray:
        """(N, d) int8."""
        stride = _padded(self.dimension)
        padded = self._array("i1", self.count * stride, self._rows_start)
        return padded.reshape(self.count, stride)[:, : self.dimension]

    @property
    def vectors(self) -> np.ndarray:
        """(N, d) float32, a copy."""
        vectors: np.ndarray = np.multiply(self.rows, self.scales[:, None], dtype=np.float32)
        return vectors

    @cached_property
    def _header(self) -> tuple[int, int, int, int, int, float]:
        return _HEADER.unpack_from(self.block.data)

    @property
    def _rows_start(self) -> int:
        return _HEADER.size + 12 * self.count + (_gram_bytes(self.count) if self.block[1] else 0)

    def _array(self, dtype: str, values: int, start: int) -> np.ndarray:
        array: np.ndarray = np.frombuffer(self.block, dtype, values, start)
        array.flags.writeable = False
        return array


def pack_nodes(vectors: np.ndarray, weights: np.ndarray, gram: bool = True) -> PackedNodes:
    """vectors: (N, d) floats, 1 to 65,535 each way; weights: (N,); gram: whether it is stored.

    Raises PackedNodesError for other shapes or types, and for values that are not finite.
    """
    if vectors.ndim != 2 or not (1 <= vectors.shape[0] <= MOST and 1 <= vectors.shape[1] <= MOST):
        raise PackedNodesError(f"vectors: expected (N, d), 1 to {MOST:,}, not {vectors.shape}")
    count, dimension = vectors.shape
    if weights.shape != (count,):
        raise PackedNodesError(f"weights: expected ({count},), not {weights.shape}")
    for name, array in (("vectors", vectors), ("weights", weights)):
        if array.dtype.kind != "f":
            raise PackedNodesError(f"{name}: expected floats, not {array.dtype}")
        if not np.isfinite(array).all():
            raise PackedNodesError(f"{name}: not all values are finite")
    scales, rows = _quantise(vectors.astype(np.float32))
    stored, step = _gram(rows * scales[:, None]) if gram else (b"", 0.0)
    padded = np.zeros((count, _padded(dimension)), np.int8)
    padded[:, :dimension] = rows
    parts = [
        _HEADER.pack(LAYOUT, gram, count, dimension, 0, step),
        scales.astype("<f4").tobytes(),
        weights.astype("<f4").tobytes(),
        rows.sum(axis=1, dtype="<i4").tobytes(),
        stored,
        padded.tobytes(),
    ]
    return PackedNodes(np.frombuffer(b"".join(parts), np.uint8))


def _quantise(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scales (N,) float32 and rows (N, d) int8 of vectors (N, d) float32."""
    scales = np.abs(vectors).max(axis=1) / np.float32(LARGEST_VALUE)
    # A row of zeros stays zeros, and so does one whose scale would have lost its precision.
    scales[scales < np.finfo(np.float32).tiny] = 0
    divisors = np.where(scales > 0, scales, np.float32(np.inf))
    rows = np.rint(vectors / divisors[:, None]).clip(-LARGEST_VALUE, LARGEST_VALUE)
    return scales, rows.astype(np.int8)


def _gram(vectors: np.ndarray) -> tuple[bytes, float]:
    """The stored triangle of vectors (N, d) float32, and its step."""
    triangle = (vectors @ vectors.T)[np.tril_indices(len(vectors))]
    step = float(np.abs(triangle).max()) / LARGEST_GRAM
    steps = np.rint(triangle / step) if step > 0 else np.zeros_like(triangle)
    return steps.astype("<i2").tobytes().ljust(_gram_bytes(len(vectors)), b"\0"), step


def _gram_bytes(count: int) -> int:
    return (count * (count + 1) + 3) // 4 * 4


def _padded(dimension: int) -> int:
    return (dimension + 3) // 4 * 4
