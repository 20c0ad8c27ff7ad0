"""Where candidate regions come from."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from model.config import RegionConfig
from model.errors import ConfigError
from model.grid import GridExtractor, GridTail
from model.region_extractor import grid_boxes
from model.regions import extractor, tail
from tests.model.samples import drawing, sizes


def test_grid_boxes_tile_the_picture_row_by_row() -> None:
    boxes = grid_boxes(3)
    assert (boxes.shape, boxes.dtype) == ((9, 4), np.float32)
    np.testing.assert_allclose(boxes[5], [2 / 3, 1 / 3, 1, 2 / 3], atol=1e-6)
    areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    assert float(areas.sum()) == pytest.approx(1)


@pytest.mark.parametrize("pixels", [32, 64, 96, 160])
def test_the_trunk_gives_what_the_extractor_promises(pixels: int) -> None:
    config = sizes(RegionConfig(pixels=pixels, side=2))
    grid = extractor(config)
    arrays = grid.trunk([drawing(0), drawing(1).resize((33, 77))])
    assert (arrays.shape, arrays.dtype) == ((2, *grid.shape), np.float16)
    assert np.isfinite(arrays).all()
    features = tail(config)(torch.from_numpy(arrays).float())
    assert features.shape == (2, 4, 1280)
    boxes = grid.boxes()
    assert boxes is not None and boxes.shape == (4, 4)


@pytest.mark.parametrize("pixels", [33, 65, 80, 100, 129, 130])
def test_a_grid_of_pixels_that_the_network_cannot_halve_is_refused(pixels: int) -> None:
    with pytest.raises(ValidationError, match=f"pixels: {pixels} is no multiple of 32"):
        RegionConfig(kind="grid", pixels=pixels)


def test_a_picture_alone_or_in_a_batch_gives_the_same_arrays() -> None:
    grid = GridExtractor(RegionConfig(pixels=64, side=2))
    together = grid.trunk([drawing(0), drawing(1), drawing(2)]).astype(np.float32)
    alone = grid.trunk([drawing(1)]).astype(np.float32)
    np.testing.assert_allclose(alone[0], together[1], atol=2e-2)


def test_regions_lie_where_their_boxes_say() -> None:
    # Only the top right quarter of the map is lit, so only that region differs from the others.
    config = RegionConfig(pixels=128, side=2)
    grid_tail = GridTail(config)
    grid_tail.start_from_imagenet()
    dark, lit = torch.zeros(1, 120, 16, 16), torch.zeros(1, 120, 16, 16)
    lit[:, :, :5, 11:] = 3
    with torch.inference_mode():
        change = (grid_tail(lit) - grid_tail(dark)).abs().sum(-1)[0]
    box = grid_boxes(2)[int(change.argmax())]
    assert box.tolist() == [0.5, 0.0, 1.0, 0.5]


def test_precomputed_features_cannot_be_made_from_a_photo() -> None:
    made_elsewhere = extractor(sizes(RegionConfig(kind="precomputed", feature_size=8)))
    assert made_elsewhere.boxes() is None
    with pytest.raises(ConfigError, match="precomputed region features"):
        made_elsewhere.trunk([drawing(0)])


def test_names_tell_extractors_apart() -> None:
    small, large = (GridExtractor(RegionConfig(pixels=p)).name for p in (64, 96))
    assert small != large
