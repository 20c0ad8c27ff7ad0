"""Numbers in four bits each, in groups that share a scale: half a byte and a sixteenth a number.

>>> values = np.linspace(-1, 1, 64, dtype=np.float32).reshape(2, 32)
>>> bool(np.abs(decode(*encode(values), values.shape) - values).max() < 1 / 14 + 0.01)
True
"""

import numpy as np

GROUP = 32
HIGHEST = 7
SMALLEST = 1e-7


def encode(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Floats of any shape to codes (n / 2,) uint8 and scales (n / 32,) float16, n rounded up to
    whole groups. A number is off by at most half its group's scale, the largest of it by none.
    """
    flat = np.asarray(values, dtype=np.float32).reshape(-1)
    groups = np.zeros((-(-len(flat) // GROUP), GROUP), dtype=np.float32)
    groups.reshape(-1)[: len(flat)] = flat
    scales = (np.abs(groups).max(axis=1) / HIGHEST).astype(np.float16)
    steps = np.maximum(scales.astype(np.float32), SMALLEST)[:, None]
    # fp16 may round a scale down, and the largest number would then be out of range.
    codes = np.clip(np.round(groups / steps), -HIGHEST, HIGHEST).astype(np.int8) + 8
    pairs = codes.astype(np.uint8).reshape(-1, 2)
    return pairs[:, 0] | (pairs[:, 1] << 4), scales


def decode(codes: np.ndarray, scales: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """What `encode` made of an array of that shape, float32.

    Raises ValueError when they don't fit.
    """
    count = int(np.prod(shape, dtype=np.int64))
    groups = -(-count // GROUP)
    if scales.shape != (groups,) or codes.shape != (groups * GROUP // 2,):
        raise ValueError(f"{len(codes)} bytes and {len(scales)} scales for {shape}")
    pairs = np.stack([codes & 15, codes >> 4], axis=1).astype(np.int8) - 8
    values = pairs.reshape(groups, GROUP) * scales.astype(np.float32)[:, None]
    flat: np.ndarray = values.reshape(-1)[:count]
    return flat.reshape(shape).astype(np.float32)
