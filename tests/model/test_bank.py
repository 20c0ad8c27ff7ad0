"""The query bank and the offsets against it."""

import numpy as np
import torch

from model.bank import (
    Bank,
    bank_offsets,
    draw,
    draw_rows,
    from_arrays,
    picture_bank_scores,
    text_bank_scores,
    to_arrays,
)
from model.coding import score_all, take
from model.config import HubnessConfig
from model.fusion import Fusion
from model.hubness import offsets
from model.network import Network
from tests.model.samples import PRECOMPUTED_RUN, codes

SIZES = HubnessConfig(fine_captions=3, fine_pictures=2)


def bank() -> Bank:
    random = np.random.default_rng(0)
    return draw(codes(random, [3, 2, 4], tags=8), codes(random, [5, 1, 2, 3], tags=8), SIZES)


def network() -> Network:
    torch.manual_seed(0)
    return Network(PRECOMPUTED_RUN.model, ()).eval().requires_grad_(False)


def test_drawn_rows_are_always_the_same_and_none_comes_twice() -> None:
    rows = draw_rows(100, 30)
    assert len(set(rows.tolist())) == 30
    assert rows.tolist() == draw_rows(100, 30).tolist()
    assert sorted(draw_rows(5, 30).tolist()) == [0, 1, 2, 3, 4]


def test_all_global_vectors_and_the_first_whole_codes_are_kept() -> None:
    made = bank()
    assert (len(made.global_pictures), len(made.global_captions)) == (3, 4)
    assert (len(made.pictures.tags), len(made.captions.tags)) == (2, 3)


def test_a_bank_survives_its_file_up_to_rounding() -> None:
    made = bank()
    back = from_arrays(to_arrays(made))
    np.testing.assert_allclose(back.global_captions, made.global_captions, atol=5e-3)
    for mine, theirs in ((back.captions, made.captions), (back.pictures, made.pictures)):
        assert mine.entity.mask.tolist() == theirs.entity.mask.tolist()
        mask = mine.entity.mask
        np.testing.assert_allclose(
            mine.entity.vectors[mask], theirs.entity.vectors[mask], atol=5e-3
        )
        np.testing.assert_allclose(mine.relation.weights, theirs.relation.weights, atol=1e-3)
        np.testing.assert_allclose(mine.relation.weights.sum(1), 1, atol=1e-5)
        np.testing.assert_allclose(mine.tags, theirs.tags, atol=2e-3)


def test_writing_a_bank_twice_changes_nothing() -> None:
    once = to_arrays(from_arrays(to_arrays(bank())))
    twice = to_arrays(from_arrays(once))
    for name, array in once.items():
        np.testing.assert_allclose(twice[name], array, rtol=1e-3, atol=1e-6)


def test_offsets_are_those_of_the_fused_scores() -> None:
    made, net, random = bank(), network(), np.random.default_rng(5)
    fusion = Fusion.model_validate({"global": 1, "entity": 0.2, "relation": 0.5, "semantic": 0.3})
    items = codes(random, [2, 6], tags=8)
    of_pictures = bank_offsets(picture_bank_scores(net, made, items), fusion, 20.0)
    expected = fusion.fine(score_all(net.alignment, items, made.captions))
    np.testing.assert_allclose(of_pictures.fine, offsets(expected, 20.0), atol=1e-5)
    similarity = (items.global_ @ made.global_captions.T).numpy()
    np.testing.assert_allclose(of_pictures.global_, offsets(similarity, 20.0), atol=1e-5)
    of_texts = bank_offsets(text_bank_scores(net, made, items), fusion, 20.0)
    expected = fusion.fine(score_all(net.alignment, made.pictures, items)).T
    np.testing.assert_allclose(of_texts.fine, offsets(expected, 20.0), atol=1e-5)


def test_an_items_offset_does_not_depend_on_its_batch() -> None:
    made, net = bank(), network()
    items = codes(np.random.default_rng(6), [2, 6, 1], tags=8)
    together = bank_offsets(text_bank_scores(net, made, items), Fusion(), 20.0)
    for row in range(3):
        one = take(items, slice(row, row + 1))
        alone = bank_offsets(text_bank_scores(net, made, one), Fusion(), 20.0)
        np.testing.assert_allclose(alone.fine, together.fine[row : row + 1], atol=1e-5)
