import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from model.errors import PackedNodesError
from model.packed_nodes import PackedNodes, pack_nodes

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


@deterministic
@given(st.binary(max_size=200))
def test_other_bytes_are_refused(garbage: bytes) -> None:
    with pytest.raises(PackedNodesError):
        PackedNodes(np.frombuffer(garbage, np.uint8))
