"""Numbers in four bits each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from model.four_bits import GROUP, decode, encode

VALUES = arrays.arrays(
    np.float32,
    arrays.array_shapes(max_dims=3, min_side=0, max_side=40),
    elements=st.floats(-1000, 1000, width=32),
)


@given(VALUES)
def test_a_number_is_off_by_half_a_step_of_its_group(values: np.ndarray) -> None:
    codes, scales = encode(values)
    found = decode(codes, scales, values.shape)
    assert found.shape == values.shape and found.dtype == np.float32
    steps = np.repeat(scales.astype(np.float32), GROUP)[: values.size].reshape(values.shape)
    # Half a step, and what fp16 loses of the scale itself.
    assert bool((np.abs(found - values) <= 0.51 * steps + 1e-5).all())


def test_it_takes_four_and_a_half_bits_a_number() -> None:
    codes, scales = encode(np.ones((64, 128), dtype=np.float32))
    assert codes.nbytes + scales.nbytes == 64 * 128 * 4.5 / 8


def test_zeros_stay_zeros() -> None:
    assert not decode(*encode(np.zeros(100)), (100,)).any()


@pytest.mark.parametrize("shape", [(65,), (1,), (64, 2)])
def test_codes_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="scales for"):
        decode(*encode(np.ones((32, 2))), shape)
