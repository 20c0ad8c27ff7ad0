"""What every kind of region extractor does: a picture in, candidate regions out, in two steps.

The frozen *trunk* turns pictures into arrays that are worth caching; the *tail* is the part of the
network that turns those into region features and may be tuned. Boxes belong to the extractor.
"""

from typing import Protocol

import numpy as np
from PIL import Image


class RegionExtractor(Protocol):
    """One of the kinds: grid, tower, precomputed."""

    @property
    def name(self) -> str:
        """What the cached arrays depend on; part of the cache's folder name."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what `trunk` gives for one picture."""

    def trunk(self, pictures: list[Image.Image]) -> np.ndarray:
        """Pictures to float16 arrays (B, *shape)."""

    def boxes(self) -> np.ndarray | None:
        """Boxes (R, 4) as fractions of the picture; None when each picture has its own."""


def grid_boxes(side: int) -> np.ndarray:
    """Boxes [x0, y0, x1, y1] of a side x side grid, row by row, (side * side, 4) float32.

    >>> grid_boxes(2)[1].tolist()
    [0.5, 0.0, 1.0, 0.5]
    """
    rows, columns = np.divmod(np.arange(side * side), side)
    return np.stack([columns, rows, columns + 1, rows + 1], axis=1).astype(np.float32) / side
