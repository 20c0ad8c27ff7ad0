"""Training views of a picture: what the feature cache keeps besides the picture as it is."""

import hashlib

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

SMALLEST_SIDE = 0.7
COLOUR_RANGE = (0.75, 1.25)


def view(picture: Image.Image, number: int, key: str) -> Image.Image:
    """View `number` of a picture: 0 as it is, 1 mirrored, from 2 on a random crop.

    A crop keeps 0.7 to 1 of each side, is mirrored half of the time, and has its brightness,
    contrast and saturation moved by up to a quarter. The same `key` and `number` always give the
    same view, so that a cache filled in two sittings equals one filled in one.
    """
    if number == 0:
        return picture
    if number == 1:
        return ImageOps.mirror(picture)
    digest = hashlib.sha256(f"{key}\n{number}".encode()).digest()
    random = np.random.default_rng(int.from_bytes(digest[:8], "little"))
    width, height = (max(1, round(s * random.uniform(SMALLEST_SIDE, 1))) for s in picture.size)
    left = int(random.integers(0, picture.width - width + 1))
    top = int(random.integers(0, picture.height - height + 1))
    cropped = picture.crop((left, top, left + width, top + height))
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        cropped = enhancer(cropped).enhance(float(random.uniform(*COLOUR_RANGE)))
    return ImageOps.mirror(cropped) if random.random() < 0.5 else cropped
