import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from index.errors import DamagedError, RecordError
from index.packing import pack, unpack, unpack_all

names = st.text("abcxyz_09.", min_size=1, max_size=8)
shapes = npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=20)
floats = st.sampled_from([np.float16, np.float32, np.float64]).flatmap(
    lambda dtype: npst.arrays(
        dtype,
        shapes,
        elements={
            "allow_nan": False,
            "allow_infinity": False,
            "min_value": -1024,
            "max_value": 1024,
        },
    )
)
integers = st.sampled_from([np.int8, np.uint8, np.int32, np.int64, np.bool_]).flatmap(
    lambda dtype: npst.arrays(dtype, shapes)
)
deterministic = settings(derandomize=True, deadline=None, max_examples=150)


@deterministic
@given(st.dictionaries(names, floats | integers, max_size=5))
def test_round_trip(arrays: dict[str, np.ndarray]) -> None:
    unpacked = unpack(pack(arrays), "x")
    assert list(unpacked) == list(arrays)
    for name, array in arrays.items():
        back = unpacked[name]
        assert back.shape == array.shape
        if array.dtype.kind != "f":
            assert back.dtype == array.dtype
            assert np.array_equal(back, array)
            continue
        assert back.dtype == np.float32
        values = array.astype(np.float32)
        if array.ndim == 2 and array.shape[1] >= 16:
            half_scale = np.abs(values).max(axis=1, initial=0, keepdims=True) / 254
            bound = half_scale * (1 + 1e-5) + 1e-35
        elif array.ndim == 0:
            bound = np.float32(0)
        else:
            bound = np.abs(values) * 2.0**-11 + 2.0**-25
        assert (np.abs(back - values) <= bound).all()


@deterministic
@given(st.lists(st.integers(0, 4), max_size=12), st.integers(0, 99))
def test_many_blobs_decode_like_each_alone(rows: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    many = [{"m": rng.standard_normal((n, 16)), "b": rng.random((n, 2))} for n in rows]
    blobs = [pack(arrays) for arrays in many]
    together = unpack_all(blobs, ["x"] * len(blobs))
    for blob, arrays in zip(blobs, together, strict=True):
        alone = unpack(blob, "x")
        assert arrays.keys() == alone.keys()
        assert all(np.array_equal(arrays[name], alone[name]) for name in alone)


@deterministic
@given(st.data())
def test_any_damage_is_noticed(data: st.DataObject) -> None:
    blob = pack({"entity": np.ones((2, 16)), "spans": np.zeros((3, 2), np.int32)})
    if data.draw(st.booleans(), label="truncate"):
        damaged = blob[: data.draw(st.integers(0, len(blob) - 1))]
    else:
        place, bit = data.draw(st.integers(0, len(blob) - 1)), data.draw(st.integers(0, 7))
        damaged = blob[:place] + bytes([blob[place] ^ 1 << bit]) + blob[place + 1 :]
    with pytest.raises(DamagedError, match="image 'a'"):
        unpack(damaged, "image 'a'")


def test_integers_are_read_only_views_of_their_blob() -> None:
    arrays = {"tags": np.ones(5, np.float32), "block": np.arange(99, dtype=np.uint8)}
    blobs = [pack(arrays), pack({"block": np.zeros((2, 3), np.int32)}), pack(arrays)]
    for blob, back in zip(blobs, unpack_all(blobs, ["a", "b", "c"]), strict=True):
        assert np.shares_memory(back["block"], np.frombuffer(blob, np.uint8))
        assert back["block"].flags.c_contiguous
        assert not back["block"].flags.writeable


def test_a_matrix_of_36_by_256_takes_a_byte_a_value_and_four_a_row() -> None:
    size = len(pack({"entity": np.ones((36, 256), np.float32)}))
    assert size - (36 * 256 + 36 * 4) < 50


def test_values_beyond_float16_keep_float32() -> None:
    values = np.array([1e30, -7e4, 0.1], np.float32)
    assert np.array_equal(unpack(pack({"x": values}), "x")["x"], values)


def test_rows_of_zeros_and_of_tiny_values_stay_near_zero() -> None:
    values = np.zeros((2, 16), np.float32)
    values[1] = 1e-41
    back = unpack(pack({"x": values}), "x")["x"]
    assert np.isfinite(back).all()
    assert np.abs(back).max() <= 1e-41


def test_arrays_that_cannot_be_stored_are_refused_by_name() -> None:
    with pytest.raises(RecordError, match=r"'entity' has values that are not finite"):
        pack({"entity": np.array([np.nan])})
    with pytest.raises(RecordError, match=r"'entity' must be numeric, not <U1"):
        pack({"entity": np.array(["a"])})
    with pytest.raises(RecordError, match=r"'entity' has values that are not finite in float32"):
        pack({"entity": np.array([1e300])})
    with pytest.raises(RecordError, match="a name has 1 to 64 letters"):
        pack({"a/b": np.ones(1)})
