"""Generalised pooling: an order-based mean whatever the number of nodes."""

import numpy as np
import pytest
import torch

from model.alignment import Alignment
from model.config import ModelConfig
from model.encoders import GeneralisedPooling, PictureEncoder, TextEncoder
from model.pooling import GeneralisedPoolingOperator
from model.toy import SIZES
from tests.model.samples import codes


@pytest.fixture
def operator() -> GeneralisedPoolingOperator:
    torch.manual_seed(0)
    return GeneralisedPoolingOperator().eval()


def masked(counts: list[int], width: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    mask = torch.arange(max(counts))[None, :] < torch.tensor(counts)[:, None]
    return torch.randn(len(counts), max(counts), width), mask


def test_what_stands_in_absent_nodes_changes_nothing(operator: GeneralisedPoolingOperator) -> None:
    vectors, mask = masked([3, 5, 1])
    changed = torch.where(mask[:, :, None], vectors, torch.tensor(99.0))
    torch.testing.assert_close(operator(changed, mask), operator(vectors, mask))


def test_the_order_of_nodes_changes_nothing(operator: GeneralisedPoolingOperator) -> None:
    vectors, mask = masked([5])
    turned = vectors.flip(1)
    torch.testing.assert_close(operator(turned, mask), operator(vectors, mask))


def test_it_lies_between_the_smallest_and_the_largest_of_each_coordinate(
    operator: GeneralisedPoolingOperator,
) -> None:
    vectors, mask = masked([4])
    pooled = operator(vectors, mask)
    assert bool((pooled <= vectors.amax(1) + 1e-6).all())
    assert bool((pooled >= vectors.amin(1) - 1e-6).all())


def test_without_a_preference_it_is_the_mean(operator: GeneralisedPoolingOperator) -> None:
    vectors, mask = masked([2, 4])
    torch.nn.init.zeros_(operator.score.weight)
    expected = (vectors * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
    torch.testing.assert_close(operator(vectors, mask), expected)


def test_encoders_pool_with_it_and_weigh_nodes_equally_when_asked() -> None:
    sizes: ModelConfig = SIZES.model_copy(
        update={"pooling": "generalised", "node_weights": "equal"}
    )
    torch.manual_seed(2)
    picture, text = PictureEncoder(sizes).eval(), TextEncoder(sizes).eval()
    assert isinstance(picture.global_weighting, GeneralisedPooling)
    present = torch.tensor([[True, True, True, True], [True, True, False, False]])
    with torch.inference_mode():
        seen = picture.codes(torch.randn(2, 4, sizes.regions.feature_size), present)
        read = text.codes(torch.randn(2, 4, sizes.text.feature_size), present)
    for found in (seen, read):
        assert found.entity.weights.tolist() == [[0.25] * 4, [0.5, 0.5, 0, 0]]
        np.testing.assert_allclose(found.global_.norm(dim=1), 1, rtol=1e-5)


@pytest.mark.parametrize("assignment", ["soft", "hard"])
def test_both_directions_are_the_mean_of_the_single_ones(assignment) -> None:
    random = np.random.default_rng(3)
    pictures, texts = codes(random, [3, 6]), codes(random, [2, 5, 1])
    with torch.inference_mode():
        single = [
            Alignment(5, assignment, way).entity(pictures.entity, texts.entity)
            for way in ("word-to-region", "region-to-word")
        ]
        both = Alignment(5, assignment, "both").entity(pictures.entity, texts.entity)
    assert not torch.allclose(*single, atol=1e-3)
    torch.testing.assert_close(both, sum(single) / 2)
