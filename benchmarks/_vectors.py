"""Shared by the index benchmarks: synthetic vectors shaped like ours, and memory in use."""

from pathlib import Path

import numpy as np

DIMENSION = 513
_BLOCK = 50_000


def clustered(rows: int, seed: int = 0) -> np.ndarray:
    """(rows, 513) float32: unit vectors around random centres, and a hubness coordinate.

    A hundred rows a centre, as near to it as to make neighbours hard to tell apart. Synthetic
    clusters flatter inverted lists; `index_choice.py` takes real vectors as well.
    """
    centres = _centres(max(1, rows // 100), seed)
    rng = np.random.default_rng(seed + 1)
    vectors = np.empty((rows, DIMENSION), np.float32)
    for start in range(0, rows, _BLOCK):
        part = vectors[start : start + _BLOCK]
        part[:, :-1] = centres[rng.integers(len(centres), size=len(part))]
        part[:, :-1] += _spread(rng, len(part))
        part[:, :-1] /= np.linalg.norm(part[:, :-1], axis=1, keepdims=True)
        part[:, -1] = -0.3 - 0.05 * rng.random(len(part), np.float32)
    return vectors


def queries(rows: int, count: int, seed: int = 0) -> np.ndarray:
    """(count, 513) float32: from the clusters of `clustered(rows, seed)`, searched with a 1."""
    centres = _centres(max(1, rows // 100), seed)
    rng = np.random.default_rng(seed + 2)
    found = centres[rng.integers(len(centres), size=count)] + _spread(rng, count)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return np.hstack([found, np.ones((count, 1), np.float32)])


def resident_mib() -> dict[str, float]:
    """MiB of this process in memory: its own, and pages of mapped files."""
    status = Path("/proc/self/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return {
        name: int(fields[field].split()[0]) / 1024
        for name, field in (("own", "RssAnon"), ("mapped", "RssFile"))
    }


def _centres(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, DIMENSION - 1), np.float32)


def _spread(rng: np.random.Generator, count: int) -> np.ndarray:
    return np.float32(0.8) * rng.standard_normal((count, DIMENSION - 1), np.float32)
