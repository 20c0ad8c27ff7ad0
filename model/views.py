"""Views of a picture: those that training draws from, and those that are averaged outside it."""

import hashlib
import math
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor
from torch.nn import functional

SMALLEST_SIDE = 0.7
COLOUR_RANGE = (0.75, 1.25)
MIDDLE = 0.88
CORNER = 0.8


def view(picture: Image.Image, number: int, key: str) -> Image.Image:
    """Training view `number` of a picture: 0 as it is, 1 mirrored, from 2 on a random crop.

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


def cropped(maps: np.ndarray, smallest: float, random: np.random.Generator) -> np.ndarray:
    """A window out of each trunk map (B, C, h, w), as if the photo had been cropped there.

    All windows have one size, the sides a random share `smallest`..1 of the map's; each lies where
    chance puts it. It costs less than nothing: a smaller map is less to compute.
    """
    height, width = (
        int(random.integers(max(1, math.ceil(side * smallest)), side + 1))
        for side in maps.shape[2:]
    )
    tops = random.integers(maps.shape[2] - height + 1, size=len(maps))
    lefts = random.integers(maps.shape[3] - width + 1, size=len(maps))
    return np.stack(
        [
            some[:, top : top + height, left : left + width]
            for some, top, left in zip(maps, tops, lefts, strict=True)
        ]
    )


@dataclass(frozen=True)
class ServedView:
    """A part of a picture, as it is or mirrored. box: x0, y0, x1, y1 as fractions."""

    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    mirrored: bool = False

    def of(self, picture: Image.Image) -> Image.Image:
        """What is seen of a picture."""
        x0, y0, x1, y1 = self.box
        (left, right), (top, bottom) = (
            (round(low * side), side - round((1 - high) * side))
            for low, high, side in ((x0, x1, picture.width), (y0, y1, picture.height))
        )
        part = picture.crop((left, top, right, bottom))
        return ImageOps.mirror(part) if self.mirrored else part


def served_views(count: int) -> tuple[ServedView, ...]:
    """The views outside training: as it is, mirrored, then for 3 or 4 the middle as it is and
    mirrored, for 6 the four corners.
    """
    rim, rest = (1 - MIDDLE) / 2, 1 - CORNER
    middle = (rim, rim, 1 - rim, 1 - rim)
    whole = (ServedView(), ServedView(mirrored=True))
    if count <= 4:
        return (*whole, ServedView(middle), ServedView(middle, mirrored=True))[:count]
    starts = (0.0, rest)
    corners = [(x, y, x + CORNER, y + CORNER) for y in starts for x in starts]
    return (*whole, *map(ServedView, corners))


def laid_over(maps: Tensor) -> Tensor:
    """The maps of the served views, (B, views, C, h, w), averaged where they show the same place.

    Test-time augmentation (Krizhevsky et al., NeurIPS 2012) with maps instead of predictions: a
    picture still has one vector and one set of regions. A cell counts a view of a part if its
    centre lies in it.
    """
    total = torch.zeros_like(maps[:, 0])
    count = total.new_zeros(maps.shape[3:])
    for number, view in enumerate(served_views(maps.shape[1])):
        seen = maps[:, number].flip(3) if view.mirrored else maps[:, number]
        x0, y0, x1, y1 = view.box
        rows, columns = (
            _places(cells, low, high).to(maps.device)
            for cells, low, high in zip(maps.shape[3:], (y0, x0), (y1, x1), strict=True)
        )
        there = ((rows.abs() <= 1)[:, None] & (columns.abs() <= 1)[None, :]).to(maps.dtype)
        places = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1).to(maps.dtype)
        grid = places.expand(len(maps), *places.shape)
        placed = functional.grid_sample(seen, grid, padding_mode="border", align_corners=False)
        total, count = total + placed * there, count + there
    return total / count


def _places(cells: int, low: float, high: float) -> Tensor:
    """Where the centres of a map's cells lie in a part of the picture, -1..1 from end to end.

    Those of the cells outside are beyond.
    """
    centres = (torch.arange(cells) + 0.5) / cells
    return (centres - low) / (high - low) * 2 - 1
