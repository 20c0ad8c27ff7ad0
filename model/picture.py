"""Bytes to an upright RGB picture, within caps. The only place that decodes pictures."""

import io
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from model.bombs import MAX_SCANS, scans, tile_size
from model.errors import PictureError, PictureTooLargeError

FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "JPEG2000")
MAX_PIXELS = 64_000_000
MAX_SIDE = 20_000
DEEP_MODES = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")

# Pillow's own limit would name another number than the setting's. `decode` reads the size from the
# header and refuses before a pixel is decoded. ICO is left out: Pillow decodes it on opening.
Image.MAX_IMAGE_PIXELS = None

# What Pillow's decoders raise on damaged files, besides their own OSError and SyntaxError.
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    OverflowError,
    MemoryError,
    struct.error,
    zlib.error,
    RuntimeError,
    # Where warnings are errors, Pillow's about odd metadata come as exceptions of their own.
    Warning,
)


def decode(data: bytes, max_pixels: int = MAX_PIXELS, max_side: int = MAX_SIDE) -> Image.Image:
    """An RGB picture, EXIF orientation applied, first frame, transparency over white.

    CMYK, 16-bit, float and palette pictures are converted. Sizes are read from the headers and
    checked before any pixel is decoded. Raises PictureError, or PictureTooLargeError beyond a cap.
    """
    if not data:
        raise PictureError("the file is empty")
    try:
        picture = Image.open(io.BytesIO(data), formats=_readable())
        tiles = tile_size(picture)
    except UnidentifiedImageError as error:
        raise PictureError(
            "not a picture in a format we read (JPEG, PNG, WebP, GIF, TIFF, BMP)"
        ) from error
    except DECODER_ERRORS as error:
        raise PictureError(f"the picture's header is damaged: {error}") from error
    _check_size("picture is", picture.size, max_pixels, max_side)
    if tiles is not None:
        _check_size("picture's tiles are", tiles, max_pixels, max_side)
    if scans(data) > MAX_SCANS:
        raise PictureTooLargeError(f"the picture has more than {MAX_SCANS} scans")
    try:
        picture.seek(0)
        picture.load()
        return _to_rgb(ImageOps.exif_transpose(picture))
    except DECODER_ERRORS as error:
        raise PictureError(f"the picture is truncated or damaged: {error}") from error


def thumbnail(picture: Image.Image, side: int = 384, quality: int = 85) -> bytes:
    """JPEG bytes no larger than `side` on the longer side, without the original's metadata."""
    small = picture.copy()
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def fit(picture: Image.Image, side: int) -> np.ndarray:
    """The whole picture squeezed to (side, side, 3) uint8, so that boxes stay fractions of it."""
    squeezed = picture.resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(squeezed, dtype=np.uint8)


def _check_size(what: str, size: tuple[int, int], max_pixels: int, max_side: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise PictureTooLargeError(
            f"the {what} {width} x {height}; the limit is {max_pixels:,} pixels"
        )
    if max(width, height) > max_side:
        raise PictureTooLargeError(
            f"the {what} {width} x {height}; the limit is {max_side:,} pixels a side"
        )


def _readable() -> tuple[str, ...]:
    Image.init()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode in DEEP_MODES:
        picture = _to_eight_bit(picture)
    if picture.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")


def _to_eight_bit(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture).astype(np.float32)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if picture.mode != "F" and low >= 0 and high <= 65535:
        low, high = 0.0, 65535.0
    span = max(high - low, 1e-9)
    return Image.fromarray(((values - low) * (255.0 / span)).astype(np.uint8), "L")
