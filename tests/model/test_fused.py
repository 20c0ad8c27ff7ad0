"""The fused scorer in all its variants against the alignment that it stands in for."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model import fused
from model.alignment import Alignment, Assignment, Directions, Nodes
from model.errors import ConfigError, PackedNodesError
from model.fused import MOST_NODES, FusedScorer, Layer, variants
from model.packed_nodes import PackedNodes, pack_in_float16, pack_in_four_bits, pack_nodes
from tests import needs

ROOT = Path(__file__).resolve().parents[2]
KERNEL_VARIANTS = variants()[:-1]
Kind = Literal["image", "text"]

Layout = Literal["gram", "no gram", "four bits"]
layouts = st.sampled_from(get_args(Layout))
counts = st.sampled_from([1, 2, 3, 12, 16, 17, 36, 63, 64]) | st.integers(1, MOST_NODES)


def item(
    random: np.random.Generator,
    count: int,
    dimension: int,
    alike: float = 0.0,
    layout: Layout = "gram",
) -> np.ndarray:
    """A block of unit vectors, the more alike the larger `alike`, with some weights zero."""
    vectors = random.normal(size=(count, dimension)) + alike
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    weights = random.random(count) * (random.random(count) < 0.8)
    weights /= max(weights.sum(), 1e-6)
    if layout == "four bits":
        return pack_in_four_bits(vectors, weights).block
    return pack_nodes(vectors, weights, gram=layout == "gram").block


def alignment_of(
    assignment: Assignment = "soft", directions: Directions = "both", sharper: float = 1.0
) -> Alignment:
    """All four temperatures differ, so that none can be taken for another."""
    alignment = Alignment(1, assignment, directions)
    with torch.no_grad():
        alignment.log_temperatures += torch.tensor([0.0, 0.1, 0.2, 0.3]) + float(np.log(sharper))
    return alignment


def slowly(
    alignment: Alignment, layer: Layer, query: np.ndarray, kind: Kind, blocks: list[np.ndarray]
) -> np.ndarray:
    """The alignment itself, one candidate after the other."""

    def nodes(block: np.ndarray) -> Nodes:
        stored = PackedNodes(block)
        mask = torch.ones(1, stored.count, dtype=torch.bool)
        return Nodes(
            torch.tensor(stored.vectors)[None],
            mask,
            torch.tensor(stored.weights.astype(np.float32))[None],
        )

    align = alignment.entity if layer == "entity" else alignment.relation
    scores = []
    with torch.inference_mode():
        for block in blocks:
            pair = (query, block) if kind == "image" else (block, query)
            scores.append(float(align(*map(nodes, pair))))
    return np.array(scores, np.float32)


@pytest.mark.parametrize("variant", variants())
@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 2**16),
    own=counts,
    others=st.lists(counts, min_size=1, max_size=5),
    dimension=st.sampled_from([64, 65, 100, 192, 256, 1024]),
    alike=st.sampled_from([0.0, 0.3, 3.0]),
    assignment=st.sampled_from(["soft", "soft", "hard"]),
    directions=st.sampled_from(["both", "word-to-region", "region-to-word"]),
    layer=st.sampled_from(["entity", "relation"]),
    kind=st.sampled_from(["image", "text"]),
    sharper=st.sampled_from([0.1, 1.0, 10.0]),
    own_layout=layouts,
    other_layouts=st.lists(layouts, min_size=5, max_size=5),
)
def test_scores_are_those_of_the_alignment(
    variant: str,
    seed: int,
    own: int,
    others: list[int],
    dimension: int,
    alike: float,
    assignment: Assignment,
    directions: Directions,
    layer: Layer,
    kind: Kind,
    sharper: float,
    own_layout: Layout,
    other_layouts: list[Layout],
) -> None:
    random = np.random.default_rng(seed)
    alignment = alignment_of(assignment, directions, sharper)
    query = item(random, own, dimension, alike, own_layout)
    blocks = [
        item(random, count, dimension, alike, layout)
        for count, layout in zip(others, other_layouts, strict=False)
    ]
    scores = FusedScorer(alignment, variant).score(layer, query, kind, blocks)
    expected = slowly(alignment, layer, query, kind, blocks)
    assert scores.dtype == np.float32
    # A stored Gram matrix is in steps of 1/32767.
    stored = "gram" in (own_layout, *other_layouts)
    np.testing.assert_allclose(scores, expected, atol=5e-5 if stored else 1e-5)


@pytest.mark.parametrize("variant", variants())
@pytest.mark.parametrize("kind", ["image", "text"])
@pytest.mark.parametrize("assignment", ["soft", "hard"])
def test_scores_are_those_of_the_vectors_before_they_were_packed(
    variant: str, kind: Kind, assignment: Assignment
) -> None:
    random = np.random.default_rng(1)
    alignment = alignment_of(assignment)

    def some(items: int, count: int) -> Nodes:
        vectors = torch.tensor(random.normal(size=(items, count, 256)), dtype=torch.float32)
        vectors /= vectors.norm(dim=2, keepdim=True)
        mask = torch.ones(items, count, dtype=torch.bool)
        return Nodes(vectors, mask, mask / count)

    def blocks(nodes: Nodes) -> list[np.ndarray]:
        pairs = zip(nodes.vectors.numpy(), nodes.weights.numpy(), strict=True)
        return [pack_nodes(vectors, weights).block for vectors, weights in pairs]

    regions, words = (some(1, 36), some(50, 12)) if kind == "image" else (some(50, 36), some(1, 12))
    with torch.inference_mode():
        expected = alignment.entity(regions, words).flatten().numpy()
    queries, items = (regions, words) if kind == "image" else (words, regions)
    scores = FusedScorer(alignment, variant).score(
        "entity", blocks(queries)[0], kind, blocks(items)
    )
    np.testing.assert_allclose(scores, expected, atol=1e-3)


@pytest.mark.parametrize("variant", variants())
@pytest.mark.parametrize("assignment", ["soft", "hard"])
def test_nodes_that_are_zero_or_opposed_give_what_the_alignment_gives(
    variant: str, assignment: Assignment
) -> None:
    random = np.random.default_rng(2)
    vectors = random.normal(size=(3, 64))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    even = np.full(4, 0.25)
    blocks = [
        pack_nodes(np.concatenate([vectors, vectors[:1] * sign]), even, gram=False).block
        for sign in (0, 1, -1)
    ]
    blocks.append(pack_nodes(np.zeros((4, 64)), even, gram=False).block)
    alignment = alignment_of(assignment)
    for query in blocks:
        scores = FusedScorer(alignment, variant).score("entity", query, "text", blocks)
        expected = slowly(alignment, "entity", query, "text", blocks)
        np.testing.assert_allclose(scores, expected, atol=1e-5)


@pytest.mark.parametrize("variant", variants())
def test_candidates_are_read_at_any_address(variant: str) -> None:
    random = np.random.default_rng(3)
    query, blocks = item(random, 7, 100), [item(random, n, 100) for n in (1, 9, 64)]
    scorer = FusedScorer(alignment_of(), variant)
    expected = scorer.score("entity", query, "text", blocks)
    for offset in range(4):
        together = np.concatenate([np.zeros(offset, np.uint8), *blocks])
        together.flags.writeable = False
        ends = offset + np.cumsum([len(block) for block in blocks])
        views = [together[end - len(block) : end] for end, block in zip(ends, blocks, strict=True)]
        assert np.array_equal(scorer.score("entity", query, "text", views), expected)


@pytest.mark.parametrize("variant", variants())
def test_threads_that_score_at_once_get_the_same_answers(variant: str) -> None:
    random = np.random.default_rng(4)
    scorer = FusedScorer(alignment_of(), variant)
    queries = [item(random, n, 128) for n in (1, 5, 12, 36)]
    blocks = [item(random, int(n), 128) for n in random.integers(1, 65, 40)]
    expected = [scorer.score("entity", query, "text", blocks) for query in queries]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(10):
            found = pool.map(lambda query: scorer.score("entity", query, "text", blocks), queries)
            assert all(map(np.array_equal, found, expected))


@pytest.mark.parametrize("variant", variants())
def test_nodes_in_float16_are_scored_by_torch_alone(variant: str) -> None:
    random = np.random.default_rng(10)
    vectors = random.normal(size=(5, 64)) / 8
    exact = pack_in_float16(vectors, np.full(5, 0.2)).block
    scorer = FusedScorer(alignment_of(), variant)
    if variant == "torch":
        expected = slowly(alignment_of(), "entity", GOOD, "text", [exact, GOOD])
        found = scorer.score("entity", GOOD, "text", [exact, GOOD])
        np.testing.assert_allclose(found, expected, atol=1e-6)
    else:
        with pytest.raises(PackedNodesError, match="candidate 1: nodes in float16 are scored by"):
            scorer.score("entity", GOOD, "text", [GOOD, exact])


@pytest.mark.parametrize("variant", variants())
def test_no_candidates_give_no_scores(variant: str) -> None:
    query = item(np.random.default_rng(5), 3, 64)
    assert FusedScorer(alignment_of(), variant).score("entity", query, "text", []).shape == (0,)


def changed(block: np.ndarray, place: int, value: int) -> np.ndarray:
    block = block.copy()
    block[place] = value
    return block


GOOD = item(np.random.default_rng(6), 5, 64)
HALF = item(np.random.default_rng(6), 5, 64, layout="four bits")
GARBAGE = {
    "another type": (GOOD.view(np.float32), r"expected (an array of |contiguous )bytes"),
    "every other byte": (np.repeat(GOOD, 2)[::2], "expected contiguous bytes"),
    "two dimensions": (GOOD.reshape(2, -1)[:, :20], "expected contiguous bytes"),
    "nothing": (GOOD[:0], "no packed nodes of a known layout"),
    "half a header": (GOOD[:11], "no packed nodes of a known layout"),
    "another layout": (changed(GOOD, 0, 4), "no packed nodes of a known layout"),
    "four bits with a Gram matrix": (changed(GOOD, 0, 3), "no packed nodes of a known layout"),
    "four bits, too short": (HALF[:-1], "their length isn't what their header says"),
    "four bits, too long": (np.append(HALF, HALF[:1]), "their length isn't what their header says"),
    "a flag that isn't one": (changed(GOOD, 1, 2), "no packed nodes of a known layout"),
    "one byte less": (GOOD[:-1], "their length isn't what their header says"),
    "one byte more": (np.append(GOOD, np.uint8(0)), "their length isn't what their header says"),
    "another count": (changed(GOOD, 2, 6), "their length isn't what their header says"),
    "no nodes": (changed(GOOD, 2, 0), "(1 to 64 nodes an item|isn't what their header says)"),
    "another dimension": (
        item(np.random.default_rng(7), 5, 63),
        "its dimension isn't the query's",
    ),
}


@pytest.mark.parametrize("variant", variants())
@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_is_refused_by_number(variant: str, name: str) -> None:
    garbage, message = GARBAGE[name]
    scorer = FusedScorer(alignment_of(), variant)
    with pytest.raises(PackedNodesError, match=f"^candidate 1: .*{message}"):
        scorer.score("entity", GOOD, "text", [GOOD, garbage, GOOD])
    if name != "another dimension":
        with pytest.raises(PackedNodesError, match=f"^query: .*{message}"):
            scorer.score("entity", garbage, "text", [GOOD])


@pytest.mark.parametrize("variant", variants())
def test_more_nodes_than_the_kernel_takes_are_refused_or_scored_by_torch(variant: str) -> None:
    random = np.random.default_rng(8)
    query, many = item(random, 3, 64), item(random, MOST_NODES + 1, 64)
    scorer = FusedScorer(alignment_of(), variant)
    if variant == "torch":
        expected = slowly(alignment_of(), "entity", query, "text", [many])
        np.testing.assert_allclose(scorer.score("entity", query, "text", [many]), expected, 1e-5)
    else:
        with pytest.raises(PackedNodesError, match="candidate 0: the kernel takes 1 to 64 nodes"):
            scorer.score("entity", query, "text", [many])


def test_the_fastest_variant_is_the_default_and_torch_the_last() -> None:
    assert fused.variant() == variants()[0] == FusedScorer(alignment_of()).variant
    assert variants()[-1] == "torch"
    assert set(variants()) <= {"avx512-vnni", "avx2", "neon", "portable", "torch"}


def test_a_built_kernel_has_a_portable_variant() -> None:
    if not KERNEL_VARIANTS:
        needs.lacks("the kernel wasn't built: no C++ compiler or no Python headers")
    assert KERNEL_VARIANTS[-1] == "portable"


def test_a_variant_that_is_not_here_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"variant: 'avx1024' is none of .*torch"):
        FusedScorer(alignment_of(), "avx1024")


def test_without_a_kernel_torch_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(9)
    query, blocks = item(random, 4, 64), [item(random, n, 64) for n in (1, 8)]
    expected = FusedScorer(alignment_of()).score("relation", query, "image", blocks)
    monkeypatch.setattr(fused, "_KERNEL", None)
    assert variants() == ("torch",)
    scores = FusedScorer(alignment_of()).score("relation", query, "image", blocks)
    np.testing.assert_allclose(scores, expected, atol=5e-5)


def test_installing_goes_on_without_a_compiler(tmp_path: Path) -> None:
    needs.module("setuptools")
    nowhere = str(tmp_path / "no-compiler")
    folders = [f"--build-lib={tmp_path / 'lib'}", f"--build-temp={tmp_path / 'temp'}"]
    built = subprocess.run(
        [sys.executable, "setup.py", "build_ext", *folders],
        cwd=ROOT,
        env={**os.environ, "CC": nowhere, "CXX": nowhere},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert 'building extension "model._kernel" failed' in built.stdout + built.stderr
    assert not list((tmp_path / "lib").rglob("_kernel*"))
