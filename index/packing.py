"""Named arrays to one sealed blob and back. The only place that knows the blob's layout.

    version u8 | 0 u8 | header length u16 | header, JSON | parts, each 8-byte aligned | CRC-32

All little-endian; the CRC is over everything before it. The header lists
`[name, encoding, shape]`; encodings:

    q8      2-D floats of at least 16 columns: a float32 scale a row, then int8 values.
            value = scale * int8, scale = largest absolute value of the row / 127,
            so the error is at most half a scale.
    <f2     other floats, if they fit its range: error at most 2^-11 of the value
    <f4     single floats (nothing to save) and floats beyond the range of float16
    <i4 ... integers and booleans in their own type

Floats of any width come back as float32. Rows under 16 columns (boxes) are as small in float16 as
in int8 with a scale, and more exact.
"""

import json
import math
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from index.errors import DamagedError, RecordError

VERSION = 1
MIN_QUANTISED_COLUMNS = 16
_ALIGNMENT = 8
_START = 4
_CRC_BYTES = 4
_FLOAT16_MAX = 65504.0
_NAME = re.compile(r"[A-Za-z0-9_.]{1,64}")


@dataclass(frozen=True)
class _Part:
    """Where one array lies in a body, and how it is read.

    start, end: of its bytes. dtype, shape: as stored; of q8 those of the int8 values, which begin
    at `values`, after their scales. encoding: as in the header.
    """

    name: str
    encoding: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int
    values: int
    end: int


@dataclass(frozen=True)
class _Layout:
    """How blobs with one header are read, and how long they are."""

    parts: tuple[_Part, ...]
    size: int


def seal(body: bytes) -> bytes:
    """The bytes followed by their CRC-32."""
    return body + zlib.crc32(body).to_bytes(_CRC_BYTES, "little")


def unseal(blob: bytes, name: str) -> memoryview:
    """The bytes without their CRC-32. Raises DamagedError naming `name` when it doesn't match."""
    body = memoryview(blob)[:-_CRC_BYTES]
    if len(blob) < _CRC_BYTES or zlib.crc32(body) != int.from_bytes(blob[-_CRC_BYTES:], "little"):
        raise DamagedError(f"{name}: the checksum of {len(blob):,} stored bytes doesn't match")
    return body


def pack(arrays: Mapping[str, np.ndarray]) -> bytes:
    """One blob. Raises RecordError for an array that isn't numeric or isn't finite."""
    entries: list[tuple[str, str, tuple[int, ...]]] = []
    bodies: list[bytes] = []
    for name, array in arrays.items():
        if not _NAME.fullmatch(name):
            raise RecordError(f"arrays: a name has 1 to 64 letters, digits, '_' or '.': {name!r}")
        encoding, body = _encode(name, np.asarray(array))
        entries.append((name, encoding, np.shape(array)))
        bodies.append(body)
    header = json.dumps(entries, separators=(",", ":")).encode()
    if len(header) > 0xFFFF:
        raise RecordError(
            f"arrays: their names and shapes take {len(header):,} bytes; limit 65,535"
        )
    pieces = [bytes([VERSION, 0]), len(header).to_bytes(2, "little"), header]
    size = _START + len(header)
    for body in bodies:
        gap = -size % _ALIGNMENT
        pieces += [bytes(gap), body]
        size += gap + len(body)
    return seal(b"".join(pieces))


def unpack(blob: bytes, name: str) -> dict[str, np.ndarray]:
    """The arrays of one blob. Raises DamagedError naming `name` unless it is one `pack` made."""
    return unpack_all([blob], [name])[0]


def unpack_all(blobs: Sequence[bytes], names: Sequence[str]) -> list[dict[str, np.ndarray]]:
    """The arrays of many blobs. Integers are read-only views into their blob, never copied; floats
    of one layout are decoded together.

    Raises DamagedError with the name of the blob that `pack` didn't make.
    """
    alike: dict[bytes, list[int]] = {}
    bodies = [unseal(blob, name) for blob, name in zip(blobs, names, strict=True)]
    for number, body in enumerate(bodies):
        if len(body) < _START or body[0] != VERSION:
            raise DamagedError(f"{names[number]}: not arrays of layout {VERSION}")
        end = _START + int.from_bytes(body[2:4], "little")
        alike.setdefault(bytes(body[_START:end]), []).append(number)
    unpacked: list[dict[str, np.ndarray]] = [{} for _ in blobs]
    for header, numbers in alike.items():
        try:
            layout = _layout(header)
        except (ValueError, TypeError, KeyError, IndexError) as error:
            raise DamagedError(f"{names[numbers[0]]}: bad header: {error}") from error
        for number in numbers:
            if len(bodies[number]) != layout.size:
                raise DamagedError(f"{names[number]}: its header tells of another length")
        for part in layout.parts:
            together = _decode(part, [bodies[number] for number in numbers])
            for number, array in zip(numbers, together, strict=True):
                unpacked[number][part.name] = array
    return unpacked


def _encode(name: str, array: np.ndarray) -> tuple[str, bytes]:
    if array.dtype.kind in "biu":
        dtype = array.dtype.newbyteorder("<")
        return dtype.str, array.astype(dtype).tobytes()
    if array.dtype.kind != "f" or array.dtype.itemsize > 8:
        raise RecordError(f"arrays: {name!r} must be numeric, not {array.dtype}")
    with np.errstate(over="ignore"):
        values = array.astype("<f4")
    if not np.isfinite(values).all():
        raise RecordError(f"arrays: {name!r} has values that are not finite in float32")
    if values.ndim == 2 and values.shape[1] >= MIN_QUANTISED_COLUMNS:
        return "q8", _quantise(values)
    if values.ndim == 0 or np.abs(values).max(initial=0.0) > _FLOAT16_MAX:
        return "<f4", values.tobytes()
    return "<f2", values.astype("<f2").tobytes()


def _quantise(values: np.ndarray) -> bytes:
    """values: (rows, columns) float32."""
    scales = (np.abs(values).max(axis=1, initial=0.0) / 127).astype("<f4")
    # A row of zeros stays zeros, and so does one whose scale would have lost its precision.
    scales[scales < np.finfo(np.float32).tiny] = 0.0
    divisors = np.where(scales > 0, scales, np.float32(np.inf))
    quantised = np.clip(np.rint(values / divisors[:, None]), -127, 127).astype(np.int8)
    return bytes(scales.tobytes() + quantised.tobytes())


def _decode(part: _Part, bodies: Sequence[memoryview]) -> Iterable[np.ndarray]:
    """One array of each of the bodies, which are of one layout."""
    if part.encoding == "q8":
        scales = _joined(bodies, "<f4", part.start, part.values, part.shape[:1])
        rows = _joined(bodies, "i1", part.values, part.end, part.shape)
        values: np.ndarray = np.multiply(rows, scales[..., None], dtype=np.float32)
    elif part.dtype.kind == "f":
        stored = _joined(bodies, part.dtype, part.start, part.end, part.shape)
        values = stored.astype(np.float32)
    else:
        return [np.ndarray(part.shape, part.dtype, body, part.start) for body in bodies]
    # The dots keep a single value an array.
    return [values[row, ...] for row in range(len(bodies))]


def _joined(
    bodies: Sequence[memoryview], dtype: Any, start: int, end: int, shape: tuple[int, ...]
) -> np.ndarray:
    """The same bytes of each body as (n, *shape)."""
    together = np.frombuffer(b"".join([body[start:end] for body in bodies]), dtype)
    return together.reshape(len(bodies), *shape)


# Items of one model share a handful of layouts, so that a header is parsed once, not once an item.
@lru_cache(maxsize=4096)
def _layout(header: bytes) -> _Layout:
    entries: list[tuple[str, str, list[int]]] = json.loads(header)
    parts = []
    end = _START + len(header)
    for name, encoding, shape in entries:
        start = end + -end % _ALIGNMENT
        dtype = np.dtype("i1" if encoding == "q8" else encoding)
        if dtype.kind not in "biuf" or any(side < 0 for side in shape):
            raise ValueError(f"{encoding} of shape {shape}")
        values = start + (4 * shape[0] if encoding == "q8" else 0)
        end = values + dtype.itemsize * math.prod(shape)
        parts.append(_Part(name, encoding, dtype, tuple(shape), start, values, end))
    return _Layout(tuple(parts), end)
