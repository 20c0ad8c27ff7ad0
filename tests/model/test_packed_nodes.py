from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from model.errors import PackedNodesError
from model.packed_nodes import (
    FLOAT16,
    FOUR_BITS,
    PackedNodes,
    pack_in_float16,
    pack_in_four_bits,
    pack_nodes,
)

deterministic = settings(derandomize=True, deadline=None, max_examples=100)
matrices = npst.arrays(
    np.float32,
    npst.array_shapes(min_dims=2, max_dims=2, max_side=20),
    elements={"allow_nan": False, "min_value": -1, "max_value": 1},
)


def weights_of(vectors: np.ndarray) -> np.ndarray:
    return np.linspace(0, 1, len(vectors), dtype=np.float32)


@deterministic
@given(matrices, st.booleans())
def test_round_trip_within_half_a_scale(vectors: np.ndarray, gram: bool) -> None:
    nodes = pack_nodes(vectors, weights_of(vectors), gram)
    assert (nodes.count, nodes.dimension) == vectors.shape
    assert np.array_equal(nodes.weights, weights_of(vectors))
    half_scale = np.abs(vectors).max(axis=1, keepdims=True) / 254
    assert (np.abs(nodes.vectors - vectors) <= half_scale * (1 + 1e-5) + 1e-35).all()
    assert np.array_equal(nodes.sums, nodes.rows.sum(axis=1, dtype=np.int32))
    assert (nodes.gram is not None) == gram


@deterministic
@given(matrices)
def test_float16_is_right_to_eleven_bits(vectors: np.ndarray) -> None:
    nodes = pack_in_float16(vectors, weights_of(vectors))
    assert (nodes.layout, nodes.count, nodes.dimension) == (FLOAT16, *vectors.shape)
    assert np.array_equal(nodes.weights, weights_of(vectors))
    assert nodes.gram is None
    assert (np.abs(nodes.vectors - vectors) <= np.abs(vectors) * 2.0**-11 + 2.0**-25).all()


@deterministic
@given(matrices)
def test_four_bits_lose_at_most_what_rounding_to_a_seventh_of_the_largest_does(
    vectors: np.ndarray,
) -> None:
    nodes = pack_in_four_bits(vectors, weights_of(vectors))
    assert (nodes.layout, nodes.count, nodes.dimension) == (FOUR_BITS, *vectors.shape)
    np.testing.assert_allclose(nodes.weights, weights_of(vectors), rtol=2.0**-11)
    assert nodes.gram is None
    assert np.abs(nodes.rows).max() <= 7
    steps = np.abs(vectors).max(axis=1, keepdims=True) / 7
    steps = np.where(steps < 2.0**-14, 0, steps)
    rounded = np.rint(vectors / np.where(steps > 0, steps, np.inf)) * steps
    worst = np.linalg.norm(rounded - vectors, axis=1)
    found = np.linalg.norm(nodes.vectors - vectors, axis=1)
    # The scale itself is rounded to float16, which moves a row by a 2048th of its length at most.
    assert (found <= worst * 1.01 + np.linalg.norm(rounded, axis=1) * 2.0**-11 + 3e-5).all()


@pytest.mark.parametrize("pack", [pack_nodes, pack_in_float16, pack_in_four_bits])
def test_a_row_of_zeros_stays_zeros(pack: Callable[..., PackedNodes]) -> None:
    vectors = np.zeros((2, 5), np.float32)
    vectors[1, 2] = 0.5
    nodes = pack(vectors, weights_of(vectors))
    np.testing.assert_allclose(nodes.vectors, vectors, rtol=2.0**-10)


def test_36_regions_and_12_relations_of_112_in_four_bits_take_2_904_bytes() -> None:
    sizes = [len(pack_in_four_bits(np.eye(n, 112), np.full(n, 1 / n)).block) for n in (36, 12)]
    assert sum(sizes) == 2 * 12 + 48 * (2 + 2 + 56) == 2904


@deterministic
@given(matrices)
def test_the_gram_matrix_is_that_of_the_stored_vectors(vectors: np.ndarray) -> None:
    nodes = pack_nodes(vectors, weights_of(vectors))
    expected = nodes.vectors @ nodes.vectors.T
    step = np.abs(expected).max() / 32767
    assert nodes.gram is not None
    triangle = expected[np.tril_indices(nodes.count)]
    np.testing.assert_allclose(nodes.gram, triangle, atol=step * 0.51 + 1e-35)


def test_36_regions_of_256_take_10_992_bytes_and_an_eighth_less_without_gram() -> None:
    vectors = np.eye(36, 256, dtype=np.float32)
    assert len(pack_nodes(vectors, weights_of(vectors)).block) == 12 + 36 * 12 + 1332 + 36 * 256
    assert len(pack_nodes(vectors, weights_of(vectors), gram=False).block) == 12 + 36 * 268


def test_arrays_are_read_only_views_of_the_bytes() -> None:
    vectors = np.eye(3, 8, dtype=np.float32)
    block = pack_nodes(vectors, weights_of(vectors)).block.copy()
    nodes = PackedNodes(block)
    for array in (nodes.rows, nodes.scales, nodes.weights, nodes.sums):
        assert np.shares_memory(array, block)
        assert not array.flags.writeable
    half = PackedNodes(pack_in_float16(vectors, weights_of(vectors)).block.copy())
    assert np.shares_memory(half.rows, half.block)


@pytest.mark.parametrize(
    ("vectors", "weights", "message"),
    [
        (np.zeros(4, np.float32), np.zeros(4, np.float32), r"vectors: expected \(N, d\)"),
        (np.zeros((0, 4), np.float32), np.zeros(0, np.float32), r"not \(0, 4\)"),
        (np.zeros((2, 4), np.float32), np.zeros(3, np.float32), r"weights: expected \(2,\), not"),
        (np.zeros((2, 4), np.int8), np.zeros(2, np.float32), "vectors: expected floats, not int8"),
        (np.full((2, 4), np.nan), np.zeros(2), "vectors: not all values are finite"),
        (np.zeros((2, 4)), np.array([0, np.inf]), "weights: not all values are finite"),
    ],
)
def test_what_cannot_be_packed_is_refused(
    vectors: np.ndarray, weights: np.ndarray, message: str
) -> None:
    with pytest.raises(PackedNodesError, match=message):
        pack_nodes(vectors, weights)


def test_values_beyond_a_layout_are_refused() -> None:
    large, weights = np.full((1, 2), 1e5), np.ones(1)
    with pytest.raises(PackedNodesError, match="beyond the range of float16"):
        pack_in_float16(large, weights)
    with pytest.raises(PackedNodesError, match="a value is beyond 16,384"):
        pack_in_four_bits(large, weights)


@deterministic
@given(st.binary(max_size=200))
def test_other_bytes_are_refused(garbage: bytes) -> None:
    with pytest.raises(PackedNodesError):
        PackedNodes(np.frombuffer(garbage, np.uint8))
