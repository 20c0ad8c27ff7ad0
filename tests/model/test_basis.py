"""The basis of the compact codec: inner products survive, and it is the same everywhere."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.alignment import Nodes
from model.basis import basis_of


def in_a_subspace(seed: int, items: int, dimension: int, rank: int) -> Nodes:
    """Unit nodes in `rank` random directions, garbage where none stands."""
    random = np.random.default_rng(seed)
    directions = np.random.default_rng(0).standard_normal((rank, dimension))
    vectors = random.standard_normal((items, 6, rank)) @ directions
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    mask = np.arange(6)[None, :] < random.integers(1, 7, items)[:, None]
    vectors[~mask] = 100
    weights = mask / mask.sum(1, keepdims=True)
    return Nodes(
        torch.from_numpy(vectors).float(), torch.from_numpy(mask), torch.from_numpy(weights).float()
    )


@settings(derandomize=True, deadline=None, max_examples=20)
@given(st.integers(0, 99), st.sampled_from([(24, 12), (24, 24), (7, 5)]))
def test_inner_products_survive_where_the_nodes_lie(seed: int, shape: tuple[int, int]) -> None:
    dimension, size = shape
    pictures, texts = (in_a_subspace(seed + i, 20, dimension, rank=5) for i in (0, 1))
    basis = basis_of(pictures, texts, size)
    assert (basis.shape, basis.dtype) == ((dimension, size), np.float32)
    np.testing.assert_allclose(basis.T @ basis, np.eye(size), atol=1e-5)
    left = pictures.vectors[pictures.mask].numpy()
    right = texts.vectors[texts.mask].numpy()
    np.testing.assert_allclose((left @ basis) @ (right @ basis).T, left @ right.T, atol=1e-4)


def test_no_coordinate_takes_most_of_a_vector() -> None:
    pictures, texts = (in_a_subspace(seed, 60, 64, rank=8) for seed in (1, 2))
    turned = pictures.vectors[pictures.mask].numpy() @ basis_of(pictures, texts, 32)
    energies = np.square(turned).mean(axis=0)
    assert energies.max() < 5 * energies.mean()


@pytest.mark.parametrize("items", [1, 30])
def test_rounding_of_the_bank_moves_the_basis_by_no_more(items: int) -> None:
    pictures, texts = (in_a_subspace(seed, items, 16, rank=16) for seed in (3, 4))
    noise = torch.from_numpy(np.random.default_rng(5).standard_normal((items, 6, 16)) * 1e-12)
    moved = Nodes(pictures.vectors.double() + noise, pictures.mask, pictures.weights)
    found = basis_of(Nodes(pictures.vectors.double(), pictures.mask, pictures.weights), texts, 12)
    np.testing.assert_allclose(basis_of(moved, texts, 12), found, atol=1e-3)
