"""Pictures that cost far more than width and height say, told by their headers."""

import re

from PIL import Image
from PIL.TiffImagePlugin import TILELENGTH, TILEWIDTH

# Encoders write about ten scans, and those that look for the smallest file some twenty.
MAX_SCANS = 64
# A marker of JPEG; in the data of a scan, 255 is followed by 0 or by a restart.
MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
END_OF_PICTURE = 0xD9
START_OF_SCAN = 0xDA


def tile_size(picture: Image.Image) -> tuple[int, int] | None:
    """Width and height of a TIFF's tiles in pixels; None for other pictures.

    A tile is decoded whole, however small the picture is that is cut from it: 1 MB of a TIFF of
    16 x 16 pixels became 1.2 GB. Raises ValueError for sizes that are none.
    """
    tags = getattr(picture, "tag_v2", {})
    if TILEWIDTH not in tags or TILELENGTH not in tags:
        return None
    width, height = tags[TILEWIDTH], tags[TILELENGTH]
    if not isinstance(width, int) or not isinstance(height, int):
        raise ValueError("the size of its tiles is no size")
    return width, height


def scans(data: bytes) -> int:
    """How often a JPEG goes over its pixels; 0 for other files.

    A scan of 95 bytes that changes nothing costs as much as any: 0.1 s for 64 million pixels.
    """
    if not data.startswith(b"\xff\xd8"):
        return 0
    found, at = 0, 2
    while (marker := MARKER.search(data, at)) and marker[0][1] != END_OF_PICTURE:
        found += marker[0][1] == START_OF_SCAN
        # The segment's length counts its own two bytes.
        at = marker.end() + int.from_bytes(data[marker.end() : marker.end() + 2], "big")
    return found
