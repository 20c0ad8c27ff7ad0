"""Whole splits and blocks of scores."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from model import coding
from model.alignment import Alignment
from model.coding import by_length, code_pictures, code_texts, concatenate, score_all, take
from model.network import Network
from model.words import VocabularyTrunk
from tests.model.samples import PRECOMPUTED_RUN, captions_of, codes, nodes, scene_features


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return Network(PRECOMPUTED_RUN.model, ("red", "paper")).eval().requires_grad_(False)


def test_batches_of_any_size_give_the_same_codes(network: Network) -> None:
    arrays = np.stack([scene_features(n) for n in range(7)])
    texts = VocabularyTrunk(PRECOMPUTED_RUN.model.text, ("red", "paper"))(
        ["red", *captions_of(0), "red paper on a ground of red paper here"]
    )
    for one, other in (
        (code_pictures(network, arrays, 3), code_pictures(network, arrays, 100)),
        (code_texts(network, texts, 2), code_texts(network, texts, 100)),
    ):
        assert one.entity.mask.tolist() == other.entity.mask.tolist()
        np.testing.assert_allclose(one.global_, other.global_, atol=1e-5)
        np.testing.assert_allclose(one.entity.weights, other.entity.weights, atol=1e-5)
        np.testing.assert_allclose(one.tags, other.tags, atol=1e-5)


def test_texts_come_back_in_the_order_they_were_given(network: Network) -> None:
    trunk = VocabularyTrunk(PRECOMPUTED_RUN.model.text, ("red", "paper"))
    texts = ["red red red red", "paper", "red paper red", "paper red"]
    together = code_texts(network, trunk(texts), 2)
    assert together.entity.mask.sum(1).tolist() == [4, 1, 3, 2]
    for row, text in enumerate(texts):
        alone = code_texts(network, trunk([text]))
        np.testing.assert_allclose(alone.global_[0], together.global_[row], atol=1e-5)


def test_progress_counts_to_the_end(network: Network) -> None:
    seen: list[tuple[int, int]] = []
    arrays = np.stack([scene_features(n) for n in range(5)])
    code_pictures(network, arrays, 2, lambda *step: seen.append(step))
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_scores_in_blocks_are_the_alignment_of_all_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coding, "BLOCK_TEXTS", 3)
    monkeypatch.setattr(coding, "BLOCK_PICTURES", 2)
    random = np.random.default_rng(0)
    pictures, texts = codes(random, [3, 2, 4, 1, 2]), codes(random, [5, 1, 2, 9, 2, 3, 1])
    alignment = Alignment(tags=5)
    steps: list[tuple[int, int]] = []
    found = score_all(alignment, pictures, texts, lambda *step: steps.append(step))
    with torch.inference_mode():
        whole = alignment(pictures, texts)
    for name, expected in (
        ("global", whole.global_),
        ("entity", whole.entity),
        ("relation", whole.relation),
        ("semantic", whole.semantic),
    ):
        assert found[name].dtype == np.float32
        np.testing.assert_allclose(found[name], expected.numpy(), atol=1e-5)
    assert steps == [(3, 7), (6, 7), (7, 7)]


def test_blocks_of_texts_are_sorted_by_length_and_lose_only_padding() -> None:
    texts = codes(np.random.default_rng(1), [5, 1, 3, 2])
    blocks = list(by_length(texts, 2))
    assert [rows.tolist() for rows, _ in blocks] == [[1, 3], [2, 0]]
    assert [part.entity.mask.shape[1] for _, part in blocks] == [2, 5]
    for rows, part in blocks:
        assert part.entity.mask.sum(1).tolist() == texts.entity.mask[rows].sum(1).tolist()
        assert part.relation.mask.sum(1).tolist() == texts.relation.mask[rows].sum(1).tolist()


def test_codes_of_different_lengths_are_padded_together() -> None:
    random = np.random.default_rng(2)
    left, right = codes(random, [2, 1]), codes(random, [4])
    both = concatenate([left, right])
    assert both.entity.mask.sum(1).tolist() == [2, 1, 4]
    assert both.kept.shape == (3, 4)
    np.testing.assert_array_equal(take(both, slice(2, 3)).global_, right.global_)
    np.testing.assert_array_equal(take(both, slice(2, 3)).entity.vectors, right.entity.vectors)


def test_a_block_keeps_phrases_behind_the_last_word_that_was_kept() -> None:
    # As word dropout may leave it: of three words the first, of three phrases the last.
    random = np.random.default_rng(3)
    pictures, some = codes(random, [3]), codes(random, [3])
    texts = replace(
        some,
        entity=some.entity.only(torch.tensor([[True, False, False]])),
        relation=nodes(random, [3], 6).only(torch.tensor([[False, False, True]])),
    )
    ((_, part),) = by_length(texts, 5)
    assert part.entity.mask.tolist() == [[True, False, False]]
    assert part.relation.mask.tolist() == [[False, False, True]]
    alignment = Alignment(tags=5)
    with torch.inference_mode():
        whole = alignment(pictures, texts)
    found = score_all(alignment, pictures, texts)
    np.testing.assert_allclose(found["entity"], whole.entity, atol=1e-6)
    np.testing.assert_allclose(found["relation"], whole.relation, atol=1e-6)
