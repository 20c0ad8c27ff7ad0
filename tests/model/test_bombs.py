"""Small files that would take gigabytes or hours are refused before they are decoded."""

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from model.bombs import MAX_SCANS, scans, tile_size
from model.errors import PictureTooLargeError
from model.picture import decode


def tiled_tiff(side: int, tile: int) -> bytes:
    """A grey TIFF of one tile, larger than the picture or not, compressed with deflate."""
    data = zlib.compress(bytes(tile * tile), 9)
    tags = [
        *((256, side), (257, side), (258, 8), (259, 8), (262, 1), (277, 1)),
        *((322, tile), (323, tile), (324, 0), (325, len(data))),
    ]
    begin = 8 + 2 + 12 * len(tags) + 4
    entries = b"".join(
        struct.pack("<HHII", tag, 4, 1, begin if tag == 324 else value) for tag, value in tags
    )
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", 0) + data


def progressive(side: int, more_scans: int) -> bytes:
    """A progressive JPEG whose last scan is there so many times more."""
    buffer = io.BytesIO()
    Image.new("L", (side, side), 128).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * more_scans + data[-2:]


def test_tiles_of_the_usual_size_are_read() -> None:
    assert decode(tiled_tiff(16, 256)).size == (16, 16)


def test_tiles_far_larger_than_the_picture_are_refused() -> None:
    data = tiled_tiff(16, 16_000)
    assert len(data) < 300_000
    with pytest.raises(
        PictureTooLargeError, match="tiles are 16000 x 16000; the limit is 64,000,000 pixels"
    ):
        decode(data)
    with pytest.raises(
        PictureTooLargeError, match="tiles are 256 x 256; the limit is 100 pixels a"
    ):
        decode(tiled_tiff(16, 256), max_side=100)


def test_pictures_without_tiles_have_none() -> None:
    for kind in ("PNG", "TIFF", "JPEG"):
        buffer = io.BytesIO()
        Image.new("L", (8, 8)).save(buffer, kind)
        assert tile_size(Image.open(buffer)) is None


def test_a_frame_larger_than_its_gif_counts() -> None:
    screen = b"GIF89a" + struct.pack("<HH", 1, 1) + b"\x80\0\0" + bytes(6)
    frame = b"," + struct.pack("<HHHH", 0, 0, 60_000, 60_000) + b"\0\x02\x02L\x01\0;"
    with pytest.raises(PictureTooLargeError, match="60000 x 60000"):
        decode(screen + frame)


def test_scans_that_an_encoder_writes_are_few_and_read() -> None:
    assert 1 < scans(progressive(64, 0)) < 20
    assert decode(progressive(64, 10)).size == (64, 64)


def test_scans_without_end_are_refused() -> None:
    data = progressive(64, 10_000)
    assert scans(data) > 10_000
    with pytest.raises(PictureTooLargeError, match=f"more than {MAX_SCANS} scans"):
        decode(data)


def test_what_lies_in_metadata_or_behind_the_picture_is_no_scan() -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(buffer, "JPEG", comment=b"\xff\xda" * 1000)
    # As phones append a film to a photo.
    data = buffer.getvalue() + b"\xff\xda" * 1000
    assert scans(data) == 1
    assert decode(data).size == (64, 48)


@given(st.binary(max_size=300))
def test_any_bytes_have_a_number_of_scans(data: bytes) -> None:
    assert 0 <= scans(b"\xff\xd8" + data) <= len(data)
    assert scans(b"GIF" + data) == 0
