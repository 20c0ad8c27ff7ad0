"""Training views."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from model.views import view
from tests.model.samples import drawing


def same(left: Image.Image, right: Image.Image) -> bool:
    return left.size == right.size and ImageChops.difference(left, right).getbbox() is None


def test_view_zero_is_the_picture_and_view_one_its_mirror() -> None:
    picture = drawing(3)
    assert same(view(picture, 0, "a"), picture)
    np.testing.assert_array_equal(np.asarray(view(picture, 1, "a")), np.asarray(picture)[:, ::-1])


def test_key_and_number_decide_a_view() -> None:
    picture = drawing(4)
    assert same(view(picture, 2, "a"), view(picture, 2, "a"))
    assert not same(view(picture, 2, "a"), view(picture, 3, "a"))
    assert not same(view(picture, 2, "a"), view(picture, 2, "b"))


@pytest.mark.parametrize("number", range(2, 8))
def test_a_crop_keeps_most_of_each_side_and_the_mode(number: int) -> None:
    found = view(drawing(5), number, "key")
    assert found.mode == "RGB"
    assert 56 <= found.width <= 80 and 42 <= found.height <= 60


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 15))
def test_tiny_pictures_have_views_too(width: int, height: int, number: int) -> None:
    found = view(Image.new("RGB", (width, height)), number, "key")
    assert found.width >= 1 and found.height >= 1
