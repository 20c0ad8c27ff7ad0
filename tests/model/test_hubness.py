"""Offsets against the bank."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model.hubness import offsets


def test_offset_of_two_scores_by_hand() -> None:
    found = offsets(np.array([[0.0, 1.0]], dtype=np.float32), beta=2.0)
    np.testing.assert_allclose(found, [np.log((1 + np.exp(2)) / 2) / 2], rtol=1e-6)
    assert found.dtype == np.float32


def test_a_picture_near_to_everything_gets_the_larger_offset() -> None:
    hub, other = offsets(np.array([[0.5, 0.6, 0.5], [0.1, 0.6, 0.0]], dtype=np.float32), 20.0)
    assert hub > other


def test_large_scores_do_not_overflow() -> None:
    found = offsets(np.array([[900.0, -900.0]], dtype=np.float32), 20.0)
    np.testing.assert_allclose(found, [900 - np.log(2) / 20], rtol=1e-6)


@given(st.integers(0, 2**16), st.floats(0.5, 60), st.floats(-3, 3))
def test_offsets_lie_between_mean_and_largest_and_move_with_the_scores(
    seed: int, beta: float, moved: float
) -> None:
    scores = np.random.default_rng(seed).uniform(-1, 1, (3, 5)).astype(np.float32)
    found = offsets(scores, beta)
    assert (found <= scores.max(axis=1) + 1e-5).all()
    assert (found >= scores.mean(axis=1) - 1e-5).all()
    np.testing.assert_allclose(offsets(scores + np.float32(moved), beta), found + moved, atol=1e-4)
