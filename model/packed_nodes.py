"""One item's nodes of one layer as bytes that the scorer reads in place.

    layout u8 | Gram stored u8 | N u16 | d u16 | 0 u16 | Gram step f32, and then by layout
    1, int8:     scales f32 (N) | weights f32 (N) | sums i32 (N) | Gram i16 (N (N + 1) / 2)
                 | rows i8 (N, d)
    2, float16:  weights f32 (N) | rows f16 (N, d)
    3, 4 bits:   scales f16 (N) | weights f16 (N) | rows u4 (N, d)

All little-endian; the layout says how a block is read, whatever stands beside it.

int8: a vector is scale * row; scale is its largest absolute value / 127, so the error is at most
half a scale. Rows are padded with zeros to a multiple of 4 bytes, the Gram matrix to a multiple of
4 bytes. `sums` are those of the rows, which some instructions need. The Gram matrix is that of the
vectors as stored, lower triangle, in steps of its largest value / 32,767: as small as float16, and
more exact wherever nodes are alike. It may be left out and is then computed for each score, which
saves an eighth of the bytes and makes 36 nodes cost three to five times as much.

float16: a vector is its row, to 2^-11. No Gram matrix.

4 bits: a vector is scale * (row - 8), row 1 to 15, the first of two values in the lower half of a
byte. Scale is the one with the smallest error out of a few; a row is padded to a whole byte. No
Gram matrix.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch

from model.alignment import Nodes
from model.errors import PackedNodesError

INT8, FLOAT16, FOUR_BITS = 1, 2, 3
LARGEST_VALUE = 127
LARGEST_GRAM = 32767
LARGEST_OF_FOUR_BITS = 7
ZERO_OF_FOUR_BITS = 8
MOST = 65535
# Shares of a row's largest value that may become the largest of four bits. A smaller one cuts the
# few largest values off and is finer for all others.
CUTS = np.linspace(0.5, 1.0, 11, dtype=np.float32)
_HEADER = struct.Struct("<BBHHHf")
_LARGEST_FLOAT16 = 65504.0


@dataclass(frozen=True)
class PackedNodes:
    """Packed nodes over their bytes; arrays that are stored come back as read-only views of them.

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
        known = len(block) >= _HEADER.size and INT8 <= block[0] <= FOUR_BITS
        if not known or block[1] > (block[0] == INT8):
            raise PackedNodesError("no packed nodes of a known layout")
        if self.count < 1 or len(block) != self._record.itemsize:
            raise PackedNodesError("their length isn't what their header says")

    @property
    def layout(self) -> int:
        """INT8, FLOAT16 or FOUR_BITS."""
        return int(self._header[0])

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
        """(N,) floats; those of float16 rows are 1."""
        if self.layout == FLOAT16:
            return np.ones(self.count, np.float32)
        return self._array("scales")

    @property
    def weights(self) -> np.ndarray:
        """(N,) floats, the importance of each node."""
        return self._array("weights")

    @property
    def sums(self) -> np.ndarray:
        """(N,) int32, the sum of each row. int8 alone has them."""
        return self._array("sums")

    @property
    def gram(self) -> np.ndarray | None:
        """The lower triangle row by row, (N (N + 1) / 2,) float32; None if it isn't stored."""
        if not self.block[1]:
            return None
        stored = self._array("gram")[: self.count * (self.count + 1) // 2]
        gram: np.ndarray = np.multiply(stored, np.float32(self._header[5]), dtype=np.float32)
        return gram

    @property
    def rows(self) -> np.ndarray:
        """(N, d): int8, or float16; a view of the bytes, but of four bits a copy as int8."""
        stored = self._array("rows")
        if self.layout == FOUR_BITS:
            halves = np.stack([stored & 15, stored >> 4], axis=-1).astype(np.int8)
            stored = halves.reshape(self.count, -1) - ZERO_OF_FOUR_BITS
        return stored[:, : self.dimension]

    @property
    def vectors(self) -> np.ndarray:
        """(N, d) float32, a copy."""
        vectors: np.ndarray = np.multiply(self.rows, self.scales[:, None], dtype=np.float32)
        return vectors

    @cached_property
    def _header(self) -> tuple[int, int, int, int, int, float]:
        return _HEADER.unpack_from(self.block.data)

    @cached_property
    def _record(self) -> np.dtype[Any]:
        layout, gram, count, dimension = self._header[:4]
        return _record(layout, bool(gram), count, dimension)

    @cached_property
    def _stored(self) -> np.void:
        stored: np.void = self.block.view(self._record)[0]
        return stored

    def _array(self, name: str) -> np.ndarray:
        array: np.ndarray = self._stored[name]
        array.flags.writeable = False
        return array


def read_nodes(block: np.ndarray, name: str) -> PackedNodes:
    """The nodes of a block. Raises PackedNodesError, naming the block, for other bytes."""
    try:
        return PackedNodes(block)
    except PackedNodesError as error:
        raise PackedNodesError(f"{name}: {error}") from error


def batch_of(items: Sequence[PackedNodes], device: str | torch.device = "cpu") -> Nodes:
    """At least one item, all of one dimension, as nodes that the alignment takes.

    Rows go to the device as they are stored, and become vectors there all at once.
    """
    counts = np.array([item.count for item in items])
    shape = (len(items), int(counts.max()))
    stored = [item.rows for item in items]
    types = {rows.dtype for rows in stored}
    rows = np.zeros((*shape, items[0].dimension), types.pop() if len(types) == 1 else np.float32)
    scales, weights = np.zeros((2, *shape), np.float32)
    for i, item in enumerate(items):
        rows[i, : counts[i]] = stored[i]
        scales[i, : counts[i]] = item.scales
        weights[i, : counts[i]] = item.weights
    vectors = torch.from_numpy(rows).to(device).float()
    vectors *= torch.from_numpy(scales).to(device)[:, :, None]
    mask = torch.from_numpy(np.arange(shape[1])[None, :] < counts[:, None]).to(device)
    return Nodes(vectors, mask, torch.from_numpy(weights).to(device))


def pack_nodes(vectors: np.ndarray, weights: np.ndarray, gram: bool = True) -> PackedNodes:
    """In int8. vectors: (N, d) floats, 1 to 65,535 each way; weights: (N,).

    gram: whether the Gram matrix is stored.
    Raises PackedNodesError for other shapes or types, and for values that are not finite.
    """
    _check(vectors, weights)
    count, dimension = vectors.shape
    scales, rows = _quantise(vectors.astype(np.float32))
    parts: dict[str, Any] = {"scales": scales, "weights": weights, "sums": rows.sum(axis=1)}
    step = 0.0
    if gram:
        triangle, step = _gram(rows * scales[:, None])
        parts["gram"] = np.zeros(_record(INT8, True, count, dimension)["gram"].shape, np.int16)
        parts["gram"][: len(triangle)] = triangle
    parts["rows"] = np.zeros((count, _padded(dimension)), np.int8)
    parts["rows"][:, :dimension] = rows
    return _packed(INT8, vectors.shape, parts, gram, step)


def pack_in_float16(vectors: np.ndarray, weights: np.ndarray) -> PackedNodes:
    """In float16. Arguments and errors as of `pack_nodes`; no value may be beyond float16."""
    _check(vectors, weights)
    if np.abs(vectors).max() > _LARGEST_FLOAT16:
        raise PackedNodesError("vectors: a value is beyond the range of float16")
    return _packed(FLOAT16, vectors.shape, {"weights": weights, "rows": vectors})


def pack_in_four_bits(vectors: np.ndarray, weights: np.ndarray) -> PackedNodes:
    """In four bits a value. Arguments and errors as of `pack_nodes`, values up to 2^14."""
    _check(vectors, weights)
    if max(np.abs(vectors).max(), np.abs(weights).max()) > 2**14:
        raise PackedNodesError("vectors and weights in four bits: a value is beyond 16,384")
    count, dimension = vectors.shape
    scales, rows = _quantise_to_four_bits(vectors.astype(np.float32))
    halves = np.full((count, dimension + dimension % 2), ZERO_OF_FOUR_BITS, np.uint8)
    halves[:, :dimension] = rows + ZERO_OF_FOUR_BITS
    bytes_ = halves[:, ::2] | halves[:, 1::2] << 4
    parts = {"scales": scales, "weights": weights, "rows": bytes_}
    return _packed(FOUR_BITS, vectors.shape, parts)


@lru_cache(maxsize=4096)
def _record(layout: int, gram: bool, count: int, dimension: int) -> np.dtype[Any]:
    """The whole block as one NumPy record."""
    fields: list[Any] = [("header", "u1", (_HEADER.size,))]
    if layout == INT8:
        fields += [("scales", "<f4", (count,)), ("weights", "<f4", (count,))]
        fields += [("sums", "<i4", (count,))]
        if gram:
            fields += [("gram", "<i2", ((count * (count + 1) // 2 + 1) // 2 * 2,))]
        fields += [("rows", "i1", (count, _padded(dimension)))]
    elif layout == FLOAT16:
        fields += [("weights", "<f4", (count,)), ("rows", "<f2", (count, dimension))]
    else:
        fields += [("scales", "<f2", (count,)), ("weights", "<f2", (count,))]
        fields += [("rows", "u1", (count, (dimension + 1) // 2))]
    return np.dtype(fields)


def _packed(
    layout: int,
    shape: tuple[int, ...],
    parts: dict[str, np.ndarray],
    gram: bool = False,
    step: float = 0.0,
) -> PackedNodes:
    count, dimension = shape
    block = np.zeros(1, _record(layout, gram, count, dimension))
    header = _HEADER.pack(layout, gram, count, dimension, 0, step)
    block["header"][0] = np.frombuffer(header, np.uint8)
    for name, array in parts.items():
        block[name][0] = array
    block.flags.writeable = False
    return PackedNodes(block.view(np.uint8))


def _check(vectors: np.ndarray, weights: np.ndarray) -> None:
    if vectors.ndim != 2 or not (1 <= vectors.shape[0] <= MOST and 1 <= vectors.shape[1] <= MOST):
        raise PackedNodesError(f"vectors: expected (N, d), 1 to {MOST:,}, not {vectors.shape}")
    if weights.shape != vectors.shape[:1]:
        raise PackedNodesError(f"weights: expected {vectors.shape[:1]}, not {weights.shape}")
    for name, array in (("vectors", vectors), ("weights", weights)):
        if array.dtype.kind != "f":
            raise PackedNodesError(f"{name}: expected floats, not {array.dtype}")
        if not np.isfinite(array).all():
            raise PackedNodesError(f"{name}: not all values are finite")


def _quantise(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scales (N,) float32 and rows (N, d) int8 of vectors (N, d) float32."""
    scales = np.abs(vectors).max(axis=1) / np.float32(LARGEST_VALUE)
    # A row of zeros stays zeros, and so does one whose scale would have lost its precision.
    scales[scales < np.finfo(np.float32).tiny] = 0
    divisors = np.where(scales > 0, scales, np.float32(np.inf))
    rows = np.rint(vectors / divisors[:, None]).clip(-LARGEST_VALUE, LARGEST_VALUE)
    return scales, rows.astype(np.int8)


def _quantise_to_four_bits(vectors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scales (N,) float16 and rows (N, d) int8, -7 to 7, of vectors (N, d) float32."""
    largest = np.abs(vectors).max(axis=1)[:, None] * CUTS / LARGEST_OF_FOUR_BITS
    scales = largest.astype(np.float16).astype(np.float32)  # (N, cuts)
    divisors = np.where(scales > 0, scales, np.float32(np.inf))[:, :, None]
    rows = np.rint(vectors[:, None, :] / divisors)
    rows = rows.clip(-LARGEST_OF_FOUR_BITS, LARGEST_OF_FOUR_BITS)  # (N, cuts, d)
    errors = np.square(rows * scales[:, :, None] - vectors[:, None, :]).sum(axis=2)
    best = errors.argmin(axis=1)
    own = np.arange(len(vectors))
    return scales[own, best].astype(np.float16), rows[own, best].astype(np.int8)


def _gram(vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """The stored triangle of vectors (N, d) float32, as int16, and its step."""
    triangle = (vectors @ vectors.T)[np.tril_indices(len(vectors))]
    step = float(np.abs(triangle).max()) / LARGEST_GRAM
    steps = np.rint(triangle / step) if step > 0 else np.zeros_like(triangle)
    return steps.astype(np.int16), step


def _padded(dimension: int) -> int:
    return (dimension + 3) // 4 * 4
