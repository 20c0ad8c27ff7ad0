"""Layer weights: what they do, and that they are found."""

import numpy as np
import pytest

from model.alignment import LAYERS
from model.fusion import Fusion, fit, normalised


def layers(noise_layer: str | None = None) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Scores of 40 pictures and 200 texts: each layer sees the truth through noise of its own."""
    random = np.random.default_rng(0)
    owners = np.repeat(np.arange(40), 5)
    truth = (np.arange(40)[:, None] == owners[None, :]).astype(np.float32)
    scores = {}
    for name in LAYERS:
        noise = random.normal(0, 0.25, truth.shape).astype(np.float32)
        scores[name] = noise if name == noise_layer else 0.5 * truth + noise
    return scores, owners


@pytest.mark.parametrize("noise", ["global", "entity", "relation", "semantic"])
def test_a_layer_of_pure_noise_gets_hardly_any_weight(noise: str) -> None:
    scores, owners = layers(noise)
    found = fit(scores, scores, owners).model_dump(by_alias=True)
    useful = min(found[name] for name in LAYERS if name != noise)
    assert found[noise] < 0.2 * useful


def test_layers_of_equal_worth_get_about_equal_weights() -> None:
    scores, owners = layers()
    found = fit(scores, scores, owners)
    weights = [found.global_, found.entity, found.relation, found.semantic]
    assert max(weights) < 1.5 * min(weights)


def test_layers_that_are_not_named_get_none() -> None:
    scores, owners = layers()
    found = fit(scores, scores, owners, ("global", "relation"))
    assert (found.entity, found.relation, found.semantic) == (0, 1, 0)
    assert found.global_ > 0


def test_each_direction_has_its_own_scores() -> None:
    scores, owners = layers()
    blind = {**scores, "entity": np.zeros_like(scores["entity"])}
    both, one = fit(scores, scores, owners), fit(scores, blind, owners)
    assert one.entity < both.entity


def test_fitting_twice_gives_the_same() -> None:
    scores, owners = layers("semantic")
    assert fit(scores, scores, owners) == fit(scores, scores, owners)


def test_fine_is_the_weighted_sum_without_the_global_score() -> None:
    fusion = Fusion.model_validate({"global": 9, "entity": 0.5, "relation": 0.25, "semantic": 0.25})
    scores = {"global": 100.0, "entity": 1.0, "relation": 2.0, "semantic": -4.0}
    found = fusion.fine({name: np.float32([value]) for name, value in scores.items()})
    np.testing.assert_allclose(found, [0.5 + 0.5 - 1.0])
    assert found.dtype == np.float32


def test_normalised_fine_weights_sum_to_one() -> None:
    found = normalised({"global": 3.0, "entity": 4.0, "relation": 1.0, "semantic": 1.0})
    assert (found.global_, found.entity) == pytest.approx((0.5, 4 / 6))
    assert found.entity + found.relation + found.semantic == pytest.approx(1)


def test_without_a_fine_layer_the_global_score_stands_alone() -> None:
    found = normalised({"global": 7.0})
    assert (found.global_, found.entity, found.relation, found.semantic) == (1, 0, 0, 0)
