"""Shared by the index benchmarks: synthetic vectors shaped like ours, and memory in use."""

from pathlib import Path

import numpy as np

DIMENSION = 513
_BLOCK = 50_000


def clustered(rows: int, seed: int = 0) -> np.ndarray:
    """(rows, 513) float32: unit vectors in scenes within topics, and a hubness coordinate.

    A thousand rows a scene and twenty scenes a topic, on average, so that the 100 nearest, also of
    a tenth of the rows, lie in a scene and its neighbours and not anywhere. Real sentences that
    pictures ask for are harder (docs/scaling.md); `index_choice.py` takes real vectors.
    """
    scenes = _scenes(rows, seed)
    rng = np.random.default_rng(seed + 1)
    vectors = np.empty((rows, DIMENSION), np.float32)
    for start in range(0, rows, _BLOCK):
        part = vectors[start : start + _BLOCK]
        part[:, :-1] = _around(scenes, len(part), rng)
        part[:, -1] = -0.3 - 0.05 * rng.random(len(part), np.float32)
    return vectors


def queries(rows: int, count: int, seed: int = 0) -> np.ndarray:
    """(count, 513) float32: from the scenes of `clustered(rows, seed)`, asking with a 1."""
    found = _around(_scenes(rows, seed), count, np.random.default_rng(seed + 2))
    return np.hstack([found, np.ones((count, 1), np.float32)])


def resident_mib() -> dict[str, float]:
    """MiB of this process in memory: its own, and pages of mapped files."""
    status = Path("/proc/self/status").read_text()
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return {
        name: int(fields[field].split()[0]) / 1024
        for name, field in (("own", "RssAnon"), ("mapped", "RssFile"))
    }


def _scenes(rows: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    topics = rng.standard_normal((max(1, rows // 20_000), DIMENSION - 1), np.float32)
    return _around(topics, max(1, rows // 1000), rng)


def _around(centres: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """(count, 512) unit rows, each near one of the centres."""
    points = centres[rng.integers(len(centres), size=count)]
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    noise = rng.standard_normal(points.shape, np.float32)
    points += np.float32(1.6 / np.sqrt(points.shape[1])) * noise
    return points / np.linalg.norm(points, axis=1, keepdims=True)
