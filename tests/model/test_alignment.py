"""The vectorised layers against the papers' equations, spelled out."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.alignment import (
    LEAK,
    Alignment,
    Nodes,
    attention,
    hardest_alignment,
    node_alignment,
    semantic_alignment,
)
from tests.model.samples import codes, nodes

WORD_TEMPERATURE, REGION_TEMPERATURE = torch.tensor(9.0), torch.tensor(4.0)


def published(own: np.ndarray, other: np.ndarray, temperature: float) -> np.ndarray:
    """SCAN, eq. 1-5: relevance (own,) of each own node, attended vectors really built."""
    similarity = np.zeros((len(own), len(other)))
    for i, mine in enumerate(own):
        for j, theirs in enumerate(other):
            cosine = float(mine @ theirs) / np.linalg.norm(mine) / np.linalg.norm(theirs)
            similarity[i, j] = cosine if cosine > 0 else LEAK * cosine
    lengths = np.sqrt((similarity**2).sum(axis=0))
    relevance = np.zeros(len(own))
    for i, mine in enumerate(own):
        exponents = np.exp(temperature * similarity[i] / lengths)
        attended = np.zeros(own.shape[1])
        for weight, theirs in zip(exponents / exponents.sum(), other, strict=True):
            attended += weight * theirs
        relevance[i] = mine @ attended / np.linalg.norm(mine) / np.linalg.norm(attended)
    return relevance


def slowly(regions: Nodes, words: Nodes) -> tuple[np.ndarray, np.ndarray]:
    """Both directions of every pair, one pair after the other, absent nodes cut away."""
    shape = (len(regions.mask), len(words.mask))
    word_to_region, region_to_word = np.zeros(shape), np.zeros(shape)
    for i, j in np.ndindex(shape):
        v = regions.vectors[i][regions.mask[i]].double().numpy()
        e = words.vectors[j][words.mask[j]].double().numpy()
        v_weights = regions.weights[i][regions.mask[i]].double().numpy()
        e_weights = words.weights[j][words.mask[j]].double().numpy()
        word_to_region[i, j] = e_weights @ published(e, v, float(WORD_TEMPERATURE))
        region_to_word[i, j] = v_weights @ published(v, e, float(REGION_TEMPERATURE))
    return word_to_region, region_to_word


def aligned(regions: Nodes, words: Nodes) -> tuple[np.ndarray, np.ndarray]:
    found = node_alignment(regions, words, WORD_TEMPERATURE, REGION_TEMPERATURE)
    return found[0].numpy(), found[1].numpy()


def assert_as_published(regions: Nodes, words: Nodes) -> None:
    for fast, slow in zip(aligned(regions, words), slowly(regions, words), strict=True):
        np.testing.assert_allclose(fast, slow, atol=2e-5)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    regions=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    words=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    size=st.integers(2, 9),
)
def test_node_alignment_is_scan_as_published(
    seed: int, regions: list[int], words: list[int], size: int
) -> None:
    random = np.random.default_rng(seed)
    assert_as_published(nodes(random, regions, size), nodes(random, words, size))


@pytest.mark.parametrize(("regions", "words"), [([1], [1]), ([36, 5], [1, 12]), ([9], [64])])
def test_node_alignment_is_as_published_at_the_ends_of_the_lengths(
    regions: list[int], words: list[int]
) -> None:
    random = np.random.default_rng(3)
    assert_as_published(nodes(random, regions, 16), nodes(random, words, 16))


def test_node_alignment_is_as_published_where_all_similarities_are_negative() -> None:
    random = np.random.default_rng(4)
    regions, words = nodes(random, [3, 5], 8), nodes(random, [4, 2], 8)
    regions.vectors[..., 1:] *= 0.2
    words.vectors[..., 1:] *= 0.2
    regions.vectors[..., 0] = 1
    words.vectors[..., 0] = -1
    regions.vectors.div_(regions.vectors.norm(dim=-1, keepdim=True))
    words.vectors.div_(words.vectors.norm(dim=-1, keepdim=True))
    similarity = torch.einsum("tld,ikd->itlk", words.vectors, regions.vectors)
    assert bool((similarity < 0).all())
    assert_as_published(regions, words)
    assert bool((torch.from_numpy(aligned(regions, words)[0]) < 0).all())


def test_identical_nodes_align_perfectly() -> None:
    vectors = torch.eye(4)[None]
    whole = Nodes(vectors[:, :1], torch.ones(1, 1, dtype=torch.bool), torch.ones(1, 1))
    for score in aligned(whole, whole):
        np.testing.assert_allclose(score, [[1.0]], atol=1e-6)


@pytest.mark.parametrize(
    "align", [aligned, lambda r, w: [x.numpy() for x in hardest_alignment(r, w)]]
)
def test_padding_and_what_masked_nodes_hold_change_nothing(align) -> None:
    random = np.random.default_rng(5)
    regions, words = nodes(random, [4, 2], 6), nodes(random, [1, 5, 3], 6)
    expected = align(regions, words)
    for garbage in (0.0, 1.0, -50.0, 1e4):
        wide = []
        for some in (regions, words):
            extra = torch.full((*some.mask.shape[:1], 7, 6), garbage)
            vectors = torch.cat([some.vectors, extra], dim=1)
            mask = torch.cat([some.mask, torch.zeros(len(some.mask), 7, dtype=torch.bool)], dim=1)
            weights = torch.cat([some.weights, torch.zeros(len(some.mask), 7)], dim=1)
            vectors[~mask] = garbage
            wide.append(Nodes(vectors, mask, weights))
        for found, wanted in zip(align(*wide), expected, strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_pairs_are_scored_independently_of_their_batch() -> None:
    random = np.random.default_rng(6)
    regions, words = nodes(random, [3, 6, 2], 8), nodes(random, [5, 1, 4], 8)
    together = aligned(regions, words)
    for i in range(3):
        for j in range(3):
            alone = aligned(regions[i : i + 1], words[j : j + 1])
            for found, wanted in zip(alone, together, strict=True):
                assert found[0, 0] == pytest.approx(wanted[i, j], abs=1e-5)


def test_gradients_are_finite_where_attention_is_extreme() -> None:
    random = np.random.default_rng(7)
    regions, words = nodes(random, [4, 1], 6), nodes(random, [3, 1], 6)
    vectors = words.vectors.clone().requires_grad_()
    # Opposite nodes make attended vectors that nearly vanish.
    opposite = Nodes(
        torch.cat([vectors, -vectors], dim=1),
        torch.cat([words.mask, words.mask], dim=1),
        torch.cat([words.weights, words.weights], dim=1) / 2,
    )
    temperature = torch.tensor(1e-3)
    sum(x.sum() for x in node_alignment(regions, opposite, temperature, temperature)).backward()
    assert vectors.grad is not None
    assert bool(torch.isfinite(vectors.grad).all())


def test_attention_over_two_nodes_by_hand() -> None:
    similarity = torch.tensor([[0.6, -0.8]])
    # One own node: l2 normalisation over the own side leaves the signs, 1 and -1.
    weights = attention(similarity, torch.tensor([[True, True]]), torch.tensor(2.0))
    np.testing.assert_allclose(
        weights.numpy(), [[np.exp(2), np.exp(-2)] / (np.exp(2) + np.exp(-2))], rtol=1e-4
    )


def test_attention_gives_absent_nodes_nothing() -> None:
    weights = attention(
        torch.tensor([[0.1, 0.9, 0.3]]), torch.tensor([[True, False, True]]), torch.tensor(9.0)
    )
    assert weights[0, 1] == 0
    assert float(weights.sum()) == pytest.approx(1)


def test_hardest_alignment_by_hand() -> None:
    regions = Nodes(
        torch.tensor([[[1.0, 0.0], [0.0, 1.0]]]),
        torch.tensor([[True, True]]),
        torch.tensor([[0.25, 0.75]]),
    )
    words = Nodes(
        torch.tensor([[[0.6, 0.8], [-1.0, 0.0]]]),
        torch.tensor([[True, True]]),
        torch.tensor([[0.5, 0.5]]),
    )
    word_to_region, region_to_word = hardest_alignment(regions, words)
    assert float(word_to_region) == pytest.approx(0.5 * 0.8 + 0.5 * 0.0)
    assert float(region_to_word) == pytest.approx(0.25 * 0.6 + 0.75 * 0.8)


def test_hardest_alignment_lets_no_absent_node_beat_negative_cosines() -> None:
    regions = Nodes(
        torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]),
        torch.tensor([[True, False]]),
        torch.tensor([[1.0, 0.0]]),
    )
    words = Nodes(torch.tensor([[[-1.0, 0.0]]]), torch.tensor([[True]]), torch.tensor([[1.0]]))
    assert [float(score) for score in hardest_alignment(regions, words)] == [-1.0, -1.0]


def test_semantic_alignment_by_hand() -> None:
    pictures = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    texts = torch.tensor([[0.0, 1.0], [1.0, 1.0]])
    found = semantic_alignment(pictures, texts, torch.tensor([1.0, 2.0]))
    root5 = np.sqrt(5)
    np.testing.assert_allclose(found.numpy(), [[0, 1 / root5], [2 / root5, 1]], atol=1e-6)


def test_the_relevance_of_words_is_what_entity_added_up() -> None:
    random = np.random.default_rng(8)
    alignment = Alignment(tags=3)
    regions, words = nodes(random, [6], 8), nodes(random, [4], 8)
    with torch.inference_mode():
        weights, relevance = alignment.word_regions(regions, words)
        temperatures = alignment.log_temperatures.exp()
        word_to_region, _ = node_alignment(regions, words, temperatures[0], temperatures[1])
    np.testing.assert_allclose(weights.sum(1).numpy(), np.ones(4), atol=1e-6)
    similarity = (words.vectors[0] @ regions.vectors[0].T).numpy()
    np.testing.assert_array_equal(weights.numpy().argsort(1), similarity.argsort(1))
    assert float((relevance * words.weights[0]).sum()) == pytest.approx(
        float(word_to_region), abs=1e-5
    )
    expected = published(words.vectors[0].double().numpy(), regions.vectors[0].double().numpy(), 9)
    np.testing.assert_allclose(relevance.numpy(), expected, atol=1e-5)


def test_all_layers_score_every_pair_within_cosine_range() -> None:
    random = np.random.default_rng(9)
    pictures, texts = codes(random, [3, 5]), codes(random, [2, 4, 1])
    with torch.inference_mode():
        layers = Alignment(tags=5)(pictures, texts)
    for layer in (layers.global_, layers.entity, layers.relation, layers.semantic):
        assert layer.shape == (2, 3)
        assert bool((layer.abs() <= 1 + 1e-5).all())
    np.testing.assert_allclose(
        layers.global_.numpy(), pictures.global_.numpy() @ texts.global_.numpy().T, atol=1e-6
    )


def test_only_keeps_weights_that_sum_to_one() -> None:
    some = nodes(np.random.default_rng(10), [4, 2], 3)
    fewer = some.only(torch.tensor([[True, False, True, False], [False, True, True, True]]))
    assert fewer.mask.tolist() == [[True, False, True, False], [False, True, False, False]]
    np.testing.assert_allclose(fewer.weights.sum(1).numpy(), [1, 1], atol=1e-6)
    assert bool((fewer.weights[~fewer.mask] == 0).all())


@pytest.mark.parametrize("assignment", ["soft", "hard"])
@pytest.mark.parametrize("garbage", [0.0, 1.0, -50.0])
def test_word_regions_does_not_depend_on_padding(assignment, garbage: float) -> None:
    random = np.random.default_rng(11)
    regions, words = nodes(random, [5], 6), nodes(random, [3], 6)
    wide = []
    for some in (regions, words):
        vectors = torch.cat([some.vectors, torch.full((1, 2, 6), garbage)], dim=1)
        mask = torch.cat([some.mask, torch.zeros(1, 2, dtype=torch.bool)], dim=1)
        wide.append(Nodes(vectors, mask, torch.cat([some.weights, torch.zeros(1, 2)], dim=1)))
    alignment = Alignment(tags=3, assignment=assignment)
    with torch.inference_mode():
        weights, relevance = alignment.word_regions(regions, words)
        wide_weights, wide_relevance = alignment.word_regions(*wide)
    np.testing.assert_allclose(wide_weights[:3, :5], weights, atol=1e-5)
    assert bool((wide_weights[:, 5:] == 0).all())
    np.testing.assert_allclose(wide_relevance[:3], relevance, atol=1e-5)


def test_hard_assignment_scores_both_fine_layers_by_the_most_similar_node() -> None:
    random = np.random.default_rng(12)
    pictures, texts = codes(random, [3, 6]), codes(random, [2, 5, 1])
    hard = Alignment(tags=5, assignment="hard")
    with torch.inference_mode():
        layers = hard(pictures, texts)
        expected = {
            name: sum(hardest_alignment(getattr(pictures, name), getattr(texts, name))) / 2
            for name in ("entity", "relation")
        }
        soft = Alignment(tags=5)(pictures, texts)
    for name, score in expected.items():
        np.testing.assert_allclose(getattr(layers, name), score, atol=1e-6)
        assert not np.allclose(getattr(layers, name), getattr(soft, name), atol=1e-2)
    np.testing.assert_array_equal(hard.entity(pictures.entity, texts.entity), layers.entity)
    np.testing.assert_array_equal(layers.global_, soft.global_)
    np.testing.assert_array_equal(layers.semantic, soft.semantic)


def test_the_relevance_of_a_word_under_hard_assignment_is_its_best_cosine() -> None:
    random = np.random.default_rng(13)
    regions, words = nodes(random, [6], 8), nodes(random, [4], 8)
    similarity = words.vectors[0] @ regions.vectors[0].T
    with torch.inference_mode():
        weights, relevance = Alignment(3, "hard").word_regions(regions, words)
        word_to_region, _ = hardest_alignment(regions, words)
    np.testing.assert_array_equal(weights.argmax(1), similarity.argmax(1))
    np.testing.assert_allclose(relevance, similarity.amax(1), atol=1e-6)
    assert float((relevance * words.weights[0]).sum()) == pytest.approx(
        float(word_to_region), abs=1e-6
    )
