"""Every format, and every kind of garbage."""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from model.errors import PictureError, PictureTooLargeError
from model.picture import decode, fit, thumbnail

# Pillow warns of damaged metadata; whether a warning is an error is the caller's choice.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

LEFT, RIGHT = (200, 40, 30), (20, 60, 190)


def two_halves(width: int = 40, height: int = 24) -> Image.Image:
    picture = Image.new("RGB", (width, height), LEFT)
    picture.paste(RIGHT, (width // 2, 0, width, height))
    return picture


def saved(picture: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def png(width: int, height: int, pixels: bytes = b"") -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(pixels))
        + chunk(b"IEND", b"")
    )


def assert_two_halves(picture: Image.Image, tolerance: int = 12) -> None:
    assert picture.mode == "RGB"
    left = np.asarray(picture)[4:-4, 4 : picture.width // 2 - 4].reshape(-1, 3)
    right = np.asarray(picture)[4:-4, picture.width // 2 + 4 : -4].reshape(-1, 3)
    np.testing.assert_allclose(left.mean(0), LEFT, atol=tolerance)
    np.testing.assert_allclose(right.mean(0), RIGHT, atol=tolerance)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 92}),
        ("JPEG", {"quality": 92, "progressive": True}),
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("WEBP", {"quality": 90}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("PPM", {}),
        ("JPEG2000", {}),
        ("AVIF", {"quality": 90}),
    ],
)
def test_formats(kind: str, options: dict) -> None:
    found = decode(saved(two_halves(), kind, **options))
    assert found.size == (40, 24)
    assert_two_halves(found, tolerance=25)


def test_cmyk_jpeg() -> None:
    assert_two_halves(decode(saved(two_halves().convert("CMYK"), "JPEG", quality=95)), 30)


def test_cmyk_tiff() -> None:
    assert_two_halves(decode(saved(two_halves().convert("CMYK"), "TIFF")), 30)


@pytest.mark.parametrize("mode", ["L", "1", "P", "LA", "RGBA"])
def test_modes_of_png(mode: str) -> None:
    found = decode(saved(two_halves().convert(mode), "PNG"))
    assert found.mode == "RGB" and found.size == (40, 24)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_range(kind: str) -> None:
    ramp = np.linspace(0, 65535, 64, dtype=np.uint16)[None, :].repeat(8, axis=0)
    found = np.asarray(decode(saved(Image.fromarray(ramp), kind)))
    np.testing.assert_allclose(found[4, :, 0], np.linspace(0, 255, 64), atol=1)


def test_dark_sixteen_bit_grey_stays_dark() -> None:
    dark = np.linspace(1000, 3000, 64, dtype=np.uint16).reshape(8, 8)
    found = np.asarray(decode(saved(Image.fromarray(dark), "PNG")))
    assert (found.min(), found.max()) == (3, 11)


def test_float_tiff_is_stretched_and_survives_nan() -> None:
    values = np.linspace(-2, 6, 64, dtype=np.float32)[None, :].repeat(8, axis=0).copy()
    values[0, 0] = np.nan
    found = np.asarray(decode(saved(Image.fromarray(values), "TIFF")))
    assert (found[4, 0, 0], found[4, -1, 0]) == (0, 255)


def test_transparency_lies_over_white() -> None:
    clear = two_halves().convert("RGBA")
    clear.putalpha(Image.new("L", clear.size, 0))
    for kind in ("PNG", "WEBP"):
        assert np.asarray(decode(saved(clear, kind, lossless=True)), dtype=int).min() >= 254


def test_half_transparency_is_mixed_with_white() -> None:
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    np.testing.assert_allclose(np.asarray(decode(saved(half, "PNG"))), 127, atol=1)


def test_palette_with_a_transparent_colour() -> None:
    palette = two_halves().quantize(4)
    clear = palette.getpixel((0, 0))
    found = decode(saved(palette, "PNG", transparency=clear))
    assert found.getpixel((2, 2)) == (255, 255, 255)
    np.testing.assert_allclose(found.getpixel((38, 2)), RIGHT, atol=12)


def test_palette_with_a_transparency_of_each_colour() -> None:
    palette = two_halves().quantize(2)
    found = decode(saved(palette, "PNG", transparency=bytes([0, 0])))
    assert np.asarray(found).min() == 255


def test_rgb_png_with_a_transparent_colour() -> None:
    found = decode(saved(two_halves(), "PNG", transparency=LEFT))
    assert found.getpixel((2, 2)) == (255, 255, 255)
    assert found.getpixel((38, 2)) == RIGHT


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_is_its_first_frame(kind: str) -> None:
    frames = [two_halves(), Image.new("RGB", (40, 24), (0, 255, 0))]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=50, **options)
    assert_two_halves(decode(data), tolerance=20)


def test_a_tiff_of_several_pages_is_its_first_page() -> None:
    other = Image.new("RGB", (9, 9))
    assert_two_halves(decode(saved(two_halves(), "TIFF", save_all=True, append_images=[other])))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    turned = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = two_halves() if turned is None else two_halves().transpose(turned)
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = decode(saved(stored, "JPEG", quality=95, exif=exif))
    assert found.size == (40, 24)
    assert_two_halves(found)


def test_an_orientation_out_of_range_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    assert_two_halves(decode(saved(two_halves(), "JPEG", quality=95, exif=exif)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"this is a text that calls itself .jpg", "not a picture"),
        (b"\xff\xd8\xff", "not a picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
        (b"\0" * 4096, "not a picture"),
        # An icon would be decoded on opening, before its size is known.
        (saved(two_halves(), "ICO"), "not a picture"),
    ],
)
def test_what_is_no_picture_is_refused_in_words(data: bytes, message: str) -> None:
    with pytest.raises(PictureError, match=message):
        decode(data)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_refused(kind: str, share: float) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    data = saved(noise, kind)
    with pytest.raises(PictureError):
        decode(data[: int(len(data) * share)])


# Below, between and above the sizes where Pillow would warn and refuse on its own.
@pytest.mark.parametrize(
    ("width", "height"), [(8_001, 8_000), (10_000, 9_500), (12_000, 10_000), (50_000, 50_000)]
)
def test_a_bomb_is_refused_by_its_header(width: int, height: int) -> None:
    with pytest.raises(
        PictureTooLargeError, match=f"is {width} x {height}; the limit is 64,000,000 pixels"
    ):
        decode(png(width, height))


def test_caps_name_size_and_limit() -> None:
    data = saved(two_halves(), "PNG")
    with pytest.raises(PictureTooLargeError, match=r"40 x 24; the limit is 959 pixels"):
        decode(data, max_pixels=959)
    with pytest.raises(PictureTooLargeError, match=r"40 x 24; the limit is 39 pixels a side"):
        decode(data, max_side=39)
    assert decode(data, max_pixels=960, max_side=40).size == (40, 24)


def test_a_header_that_promises_more_than_there_is_is_refused() -> None:
    with pytest.raises(PictureError):
        decode(png(64, 64, b"\0" * 50))


def test_pictures_of_one_pixel_and_of_one_line() -> None:
    assert decode(saved(Image.new("RGB", (1, 1)), "PNG")).size == (1, 1)
    assert decode(saved(Image.new("RGB", (3000, 1)), "PNG")).size == (3000, 1)


VALID = [
    saved(two_halves(), "JPEG"),
    saved(two_halves(), "PNG"),
    saved(two_halves(), "GIF"),
    saved(two_halves(), "WEBP"),
    saved(two_halves(), "BMP"),
    saved(two_halves(), "TIFF", compression="tiff_lzw"),
    saved(two_halves(), "TIFF"),
    saved(two_halves(), "PPM"),
    saved(two_halves(), "JPEG2000"),
    saved(two_halves(), "AVIF"),
    saved(
        two_halves(),
        "JPEG",
        exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0",
    ),
]


def decodes_or_raises(data: bytes) -> None:
    try:
        picture = decode(data, max_pixels=1_000_000)
    except PictureError:
        return
    assert picture.mode == "RGB"
    assert fit(picture, 8).shape == (8, 8, 3)


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=300), start=st.sampled_from([b"", *(v[:16] for v in VALID)]))
def test_random_bytes_raise_nothing_but_picture_errors(data: bytes, start: bytes) -> None:
    decodes_or_raises(start + data)


@settings(max_examples=300, deadline=None)
@given(valid=st.sampled_from(VALID), data=st.data())
def test_flipped_bits_raise_nothing_but_picture_errors(valid: bytes, data) -> None:
    damaged = bytearray(valid)
    flips = st.tuples(st.integers(0, len(valid) - 1), st.integers(0, 255))
    for place, value in data.draw(st.lists(flips, min_size=1, max_size=8)):
        damaged[place] = value
    decodes_or_raises(bytes(damaged[: data.draw(st.integers(1, len(valid)))]))


def test_thumbnails_are_small_jpegs_without_metadata() -> None:
    exif = Image.Exif()
    exif[0x010E] = "a secret place"
    picture = decode(saved(two_halves(800, 480), "JPEG", exif=exif))
    data = thumbnail(picture, side=100)
    with Image.open(io.BytesIO(data)) as small:
        assert (small.format, small.size) == ("JPEG", (100, 60))
        assert not small.getexif()
    assert b"secret" not in data
    assert picture.size == (800, 480)


def test_thumbnails_do_not_enlarge_and_keep_a_side() -> None:
    with Image.open(io.BytesIO(thumbnail(two_halves()))) as same:
        assert same.size == (40, 24)
    with Image.open(io.BytesIO(thumbnail(Image.new("RGB", (4000, 2)), side=50))) as line:
        assert line.size == (50, 1)


def test_fit_squeezes_the_whole_picture() -> None:
    found = fit(two_halves(), 16)
    assert (found.shape, found.dtype) == ((16, 16, 3), np.uint8)
    np.testing.assert_allclose(found[8, 2], LEFT, atol=6)
    np.testing.assert_allclose(found[8, 13], RIGHT, atol=6)


def test_an_avif_damaged_anywhere_raises_nothing_but_picture_errors() -> None:
    valid = saved(two_halves(), "AVIF")
    for place in range(0, len(valid), 2):
        decodes_or_raises(valid[:place] + bytes([valid[place] ^ 0xFF]) + valid[place + 1 :])
