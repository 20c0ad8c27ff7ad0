"""Features to codes."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from model.alignment import Codes
from model.config import ModelConfig, RegionConfig, TextConfig
from model.encoders import (
    GlobalPictureEncoder,
    GlobalTextEncoder,
    PictureEncoder,
    TextEncoder,
    windows,
)


def config(keep: int = 3, recurrent: int = 6, phrase: int = 2) -> ModelConfig:
    return ModelConfig(
        regions=RegionConfig(kind="precomputed", feature_size=10),
        text=TextConfig(kind="vocabulary", feature_size=10, recurrent_size=recurrent),
        dimension=8,
        fine_dimension=9,
        head_size=8,
        attention_size=8,
        keep=keep,
        relations=2,
        phrase=phrase,
        tags=5,
    )


Encode = Callable[[torch.Tensor, torch.Tensor], Codes]


def encoder(kind: type[PictureEncoder] | type[TextEncoder], **sizes: int) -> Encode:
    torch.manual_seed(0)
    made = kind(config(**sizes)).eval().requires_grad_(False)
    # As after training: the context gates have left zero.
    if isinstance(made, PictureEncoder):
        made.gates.fill_(0.7)
    return made.codes


def features(count: int, length: int) -> torch.Tensor:
    return torch.randn(count, length, 10, generator=torch.Generator().manual_seed(1))


def assert_codes(codes: Codes, count: int) -> None:
    assert codes.global_.shape == (count, 8)
    np.testing.assert_allclose(codes.global_.norm(dim=1).numpy(), 1, atol=1e-5)
    assert codes.tags.shape == (count, 5)
    for nodes in (codes.entity, codes.relation):
        assert nodes.vectors.shape[2] == 9
        assert bool(nodes.mask.any(1).all())
        np.testing.assert_allclose(nodes.vectors[nodes.mask].norm(dim=1).numpy(), 1, atol=1e-5)
        np.testing.assert_allclose(nodes.weights.sum(1).numpy(), 1, atol=1e-5)
        assert bool((nodes.weights[~nodes.mask] == 0).all())


def assert_same(one: Codes, other: Codes, rows: slice = slice(None)) -> None:
    np.testing.assert_allclose(one.global_, other.global_[rows], atol=1e-5)
    np.testing.assert_allclose(one.tags, other.tags[rows], atol=1e-5)
    for mine, theirs in ((one.entity, other.entity[rows]), (one.relation, other.relation[rows])):
        assert mine.mask.sum(1).tolist() == theirs.mask.sum(1).tolist()
        np.testing.assert_allclose(mine.vectors[mine.mask], theirs.vectors[theirs.mask], atol=1e-5)
        np.testing.assert_allclose(mine.weights[mine.mask], theirs.weights[theirs.mask], atol=1e-5)


def test_a_picture_keeps_its_most_salient_regions() -> None:
    codes = encoder(PictureEncoder, keep=3)(features(2, 7), torch.ones(2, 7, dtype=torch.bool))
    assert_codes(codes, 2)
    assert codes.entity.mask.shape == (2, 3)
    every = encoder(PictureEncoder, keep=7)(features(2, 7), torch.ones(2, 7, dtype=torch.bool))
    for row in range(2):
        strongest = every.saliency[row].topk(3).indices.sort().values
        assert codes.kept[row].tolist() == strongest.tolist()
        np.testing.assert_allclose(codes.saliency[row], every.saliency[row][strongest], atol=1e-6)


def test_saliency_is_the_attention_that_the_regions_share_out() -> None:
    present = torch.tensor([[True] * 6, [True, True, False, True, False, False]])
    codes = encoder(PictureEncoder, keep=6)(features(2, 6), present)
    np.testing.assert_allclose(codes.saliency.sum(1).numpy(), 1, atol=1e-5)
    assert bool((codes.saliency[~present] == 0).all())


def test_absent_regions_change_nothing_whatever_they_hold() -> None:
    made = encoder(PictureEncoder, keep=3)
    some = features(2, 4)
    alone = made(some, torch.ones(2, 4, dtype=torch.bool))
    for garbage in (0.0, 100.0):
        wide = torch.cat([some, torch.full((2, 5, 10), garbage) * features(2, 5)], dim=1)
        present = torch.arange(9)[None, :].expand(2, 9) < 4
        assert_same(alone, made(wide, present))


def test_fewer_regions_than_are_kept_are_all_kept_and_the_rest_masked() -> None:
    present = torch.tensor([[False, True, False, False, True, False]])
    codes = encoder(PictureEncoder, keep=3)(features(1, 6), present)
    assert_codes(codes, 1)
    assert codes.kept[0][codes.entity.mask[0]].tolist() == [1, 4]


def test_order_of_the_regions_does_not_matter_to_the_global_vector() -> None:
    made = encoder(PictureEncoder, keep=6)
    some, present = features(1, 6), torch.ones(1, 6, dtype=torch.bool)
    turned = made(some[:, [3, 1, 5, 0, 4, 2]], present)
    np.testing.assert_allclose(turned.global_, made(some, present).global_, atol=1e-5)


@pytest.mark.parametrize("recurrent", [0, 6])
@pytest.mark.parametrize("phrase", [2, 3])
def test_padding_of_a_text_changes_nothing(recurrent: int, phrase: int) -> None:
    made = encoder(TextEncoder, recurrent=recurrent, phrase=phrase)
    some = features(3, 6)
    present = torch.arange(6)[None, :] < torch.tensor([[6], [1], [3]])
    together = made(some, present)
    assert_codes(together, 3)
    for row, length in enumerate((6, 1, 3)):
        alone = made(some[row : row + 1, :length], present[row : row + 1, :length])
        assert_same(alone, together, slice(row, row + 1))


def test_order_of_the_words_matters_with_a_bi_gru_only() -> None:
    some, present = features(1, 4), torch.ones(1, 4, dtype=torch.bool)
    for recurrent, differs in ((0, False), (6, True)):
        made = encoder(TextEncoder, recurrent=recurrent)
        gap = (made(some.flip(1), present).global_ - made(some, present).global_).abs().max()
        assert (float(gap) > 1e-4) is differs


def test_windows_are_means_of_neighbouring_words() -> None:
    words = torch.tensor([[[1.0], [3.0], [5.0], [100.0]]])
    found, whole = windows(words, torch.tensor([[True, True, True, False]]), 2)
    assert whole.tolist() == [[True, True, False, False]]
    assert found[0, :2, 0].tolist() == [2.0, 4.0]


@pytest.mark.parametrize(("length", "expected"), [(1, 1.0), (2, 2.0)])
def test_a_text_shorter_than_a_window_has_one_of_all_its_words(
    length: int, expected: float
) -> None:
    words = torch.tensor([[[1.0], [3.0], [9.0], [9.0]]])
    found, whole = windows(words, torch.arange(4)[None, :] < length, 3)
    assert whole.tolist() == [[True, False, False, False]]
    assert float(found[0, 0, 0]) == expected


@pytest.mark.parametrize(
    ("whole", "alone"), [(PictureEncoder, GlobalPictureEncoder), (TextEncoder, GlobalTextEncoder)]
)
def test_the_global_vector_needs_none_of_the_other_layers(whole, alone) -> None:
    torch.manual_seed(0)
    made, part = whole(config(keep=3)).eval(), alone(config(keep=3)).eval()
    shared = {
        name: value if name != "gates" else value[:1]
        for name, value in made.state_dict().items()
        if name in part.state_dict()
    }
    part.load_state_dict(shared)
    present = torch.arange(5)[None, :] < torch.tensor([[5], [2]])
    with torch.inference_mode():
        expected = made.codes(features(2, 5), present).global_
        np.testing.assert_allclose(part(features(2, 5), present), expected, atol=1e-6)
