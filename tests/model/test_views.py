"""Views of a picture."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from model.views import cropped, laid_over, served_views, view
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


def test_a_cropped_map_is_a_window_of_the_whole_one() -> None:
    maps = np.arange(3 * 2 * 6 * 5, dtype=np.float32).reshape(3, 2, 6, 5)
    random = np.random.default_rng(0)
    sizes = set()
    for _ in range(50):
        found = cropped(maps, 0.6, random)
        height, width = found.shape[2:]
        sizes.add((height, width))
        for one, whole in zip(found, maps, strict=True):
            row, column = np.argwhere(whole[0] == one[0, 0, 0])[0]
            np.testing.assert_array_equal(
                one, whole[:, row : row + height, column : column + width]
            )
    assert sizes == {(height, width) for height in (4, 5, 6) for width in (3, 4, 5)}


def test_served_views_are_the_picture_its_mirror_image_its_middle_and_its_corners() -> None:
    picture = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (50, 100, 3), dtype=np.uint8)
    )
    whole, mirrored, middle, both = (np.asarray(view.of(picture)) for view in served_views(4))
    np.testing.assert_array_equal(whole, np.asarray(picture))
    np.testing.assert_array_equal(mirrored, whole[:, ::-1])
    np.testing.assert_array_equal(middle, whole[3:47, 6:94])
    np.testing.assert_array_equal(both, middle[:, ::-1])
    six = [np.asarray(view.of(picture)) for view in served_views(6)]
    np.testing.assert_array_equal(six[1], mirrored)
    for corner, rows, columns in zip(
        six[2:],
        (slice(0, 40), slice(0, 40), slice(10, 50), slice(10, 50)),
        (slice(0, 80), slice(20, 100)) * 2,
        strict=True,
    ):
        np.testing.assert_array_equal(corner, whole[rows, columns])


@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
def test_maps_of_all_views_of_a_scene_laid_over_each_other_are_the_scene(count: int) -> None:
    """A linear ramp in place of a network: its value at a place doesn't depend on the view."""
    cells = 9
    centres = (torch.arange(cells) + 0.5) / cells

    def scene(x0: float, y0: float, x1: float, y1: float) -> torch.Tensor:
        rows, columns = y0 + (y1 - y0) * centres, x0 + (x1 - x0) * centres
        return torch.stack(torch.meshgrid(rows, columns, indexing="ij"))

    views = [
        scene(*view.box).flip(2) if view.mirrored else scene(*view.box)
        for view in served_views(count)
    ]
    found = laid_over(torch.stack(views)[None])[0]
    # At a corner's end, a cell reaches beyond it by half of its own, and takes the value there.
    np.testing.assert_allclose(found, scene(0, 0, 1, 1), atol=0.5 / cells if count == 6 else 1e-5)
    np.testing.assert_allclose(found[:, 4, 4], 0.5, atol=1e-5)


def test_the_rim_of_a_map_comes_from_the_views_that_show_it() -> None:
    views = torch.tensor([1.0, 3.0, 8.0]).view(1, 3, 1, 1, 1).expand(1, 3, 1, 9, 9)
    found = laid_over(views)[0, 0]
    assert float(found[4, 4]) == pytest.approx(4)
    assert float(found[0, 4]) == pytest.approx(2)
    assert float(found[4, 8]) == pytest.approx(2)
