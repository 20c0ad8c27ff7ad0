"""A part of a picture: which pixels it is, and its boxes in the whole."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from model.crop import crop, in_whole
from model.explanation import Box
from model.matcher import BOX_STEPS, Encoded

EDGES = st.tuples(st.floats(0, 1), st.floats(0, 1)).filter(lambda pair: pair[0] < pair[1])


@given(st.integers(1, 50), st.integers(1, 50), EDGES, EDGES)
def test_a_crop_is_inside_and_never_empty(
    width: int, height: int, x: tuple[float, float], y: tuple[float, float]
) -> None:
    cut = crop(Image.new("RGB", (width, height)), (x[0], y[0], x[1], y[1]))
    assert 1 <= cut.width <= min(width, (x[1] - x[0]) * width + 2)
    assert 1 <= cut.height <= min(height, (y[1] - y[0]) * height + 2)


def test_a_crop_is_the_part_that_was_named() -> None:
    picture = Image.new("RGB", (10, 8), "white")
    picture.paste("red", (5, 2, 10, 6))
    cut = crop(picture, (0.5, 0.25, 1.0, 0.75))
    assert cut.size == (5, 4)
    assert np.array_equal(np.unique(np.asarray(cut).reshape(-1, 3), axis=0), [[255, 0, 0]])


@pytest.mark.parametrize("region", [(0.0, 0.0, 1.0, 1.0), (0.5, 0.25, 1.0, 0.75)])
def test_boxes_are_those_of_the_whole_picture(region: Box) -> None:
    inner = np.array([[0.0, 0.5, 0.5, 1.0]])
    boxes = np.round(inner * BOX_STEPS).astype(np.uint16)
    vector = np.zeros(3, np.float32)
    moved = in_whole(Encoded(vector, vector, vector, {"boxes": boxes}), region)
    x0, y0, x1, y1 = region
    across, down = x1 - x0, y1 - y0
    expected = [x0, y0 + 0.5 * down, x0 + 0.5 * across, y1]
    assert np.allclose(moved.arrays["boxes"][0] / BOX_STEPS, expected, atol=1e-4)
