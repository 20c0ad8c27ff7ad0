"""A part of a picture as a picture of its own, and its boxes back in the whole."""

import math

import numpy as np
from PIL import Image

from model.explanation import Box
from model.matcher import BOX_STEPS, Encoded


def crop(picture: Image.Image, region: Box) -> Image.Image:
    """The region, fractions of the picture with x0 < x1 and y0 < y1; at least one pixel of it."""
    x0, y0, x1, y1 = region
    left = min(math.floor(x0 * picture.width), picture.width - 1)
    top = min(math.floor(y0 * picture.height), picture.height - 1)
    right = max(math.ceil(x1 * picture.width), left + 1)
    bottom = max(math.ceil(y1 * picture.height), top + 1)
    return picture.crop((left, top, right, bottom))


def in_whole(encoded: Encoded, region: Box) -> Encoded:
    """The same code of a cropped picture with its boxes as fractions of the whole picture."""
    if "boxes" not in encoded.arrays:
        return encoded
    x0, y0, x1, y1 = region
    start = np.array([x0, y0, x0, y0])
    size = np.array([x1 - x0, y1 - y0, x1 - x0, y1 - y0])
    boxes = start + encoded.arrays["boxes"].astype(np.float64) / BOX_STEPS * size
    moved = np.round(boxes.clip(0, 1) * BOX_STEPS).astype(np.uint16)
    arrays = {**encoded.arrays, "boxes": moved}
    return Encoded(encoded.vector, encoded.query, encoded.query_same_kind, arrays)
