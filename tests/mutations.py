"""Picture files of six formats, damaged the way that disks, networks and strangers damage them."""

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.helpers import file_of, photo

Mutation = Callable[[random.Random, bytes, bytes], bytes]


@dataclass(frozen=True)
class Mutant:
    """A damaged file. name: the format it was and what was done to it."""

    name: str
    data: bytes


def mutants(count: int, seed: int) -> Iterator[Mutant]:
    """So many files; the same seed gives the same ones."""
    chance = random.Random(seed)
    originals = _originals()
    names = sorted(originals)
    for _ in range(count):
        name = chance.choice(names)
        other = originals[chance.choice(names)]
        mutation = chance.choice(MUTATIONS)
        data = mutation(chance, originals[name], other)
        yield Mutant(f"{name}, {mutation.__name__.strip('_')}", data)


def _originals() -> dict[str, bytes]:
    """Small files of every format and of its variants, by name."""
    picture = photo(7, 72, 56)
    clear = picture.convert("RGBA")
    clear.putalpha(picture.convert("L"))
    frames = {"save_all": True, "append_images": [photo(n, 72, 56) for n in (8, 9)]}
    return {
        "baseline JPEG": file_of(picture, "JPEG", quality=80),
        "progressive JPEG": file_of(
            picture, "JPEG", progressive=True, exif=b"Exif\0\0MM\0*\0\0\0\b"
        ),
        "CMYK JPEG": file_of(picture.convert("CMYK"), "JPEG"),
        "PNG": file_of(picture, "PNG"),
        "PNG with alpha": file_of(clear, "PNG"),
        "PNG with a palette": file_of(picture.quantize(16), "PNG", bits=4),
        "16-bit PNG": file_of(picture.convert("I;16"), "PNG"),
        "GIF": file_of(picture, "GIF", interlace=1),
        "animated GIF": file_of(picture, "GIF", **frames),
        "lossy WebP": file_of(picture, "WEBP"),
        "lossless WebP": file_of(clear, "WEBP", lossless=True),
        "animated WebP": file_of(picture, "WEBP", **frames),
        "BMP": file_of(picture, "BMP"),
        "BMP with a palette": file_of(picture.quantize(16), "BMP"),
        "TIFF": file_of(picture, "TIFF"),
        "TIFF with LZW": file_of(picture, "TIFF", compression="tiff_lzw"),
        "TIFF with JPEG": file_of(picture, "TIFF", compression="jpeg"),
        "TIFF with deflate": file_of(picture, "TIFF", compression="tiff_adobe_deflate"),
    }


def _flipped_bits(chance: random.Random, data: bytes, other: bytes) -> bytes:
    damaged = bytearray(data)
    for _ in range(2 ** chance.randrange(8)):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def _flipped_bits_of_the_head(chance: random.Random, data: bytes, other: bytes) -> bytes:
    damaged = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        damaged[chance.randrange(min(128, len(damaged)))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def _truncated(chance: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: chance.randrange(len(data))]


def _with_the_head_of_another(chance: random.Random, data: bytes, other: bytes) -> bytes:
    length = chance.randint(2, 64)
    return other[:length] + data[length if chance.random() < 0.5 else 0 :]


def _spliced(chance: random.Random, data: bytes, other: bytes) -> bytes:
    return data[: chance.randrange(len(data))] + other[chance.randrange(len(other)) :]


def _with_a_wrong_number(chance: random.Random, data: bytes, other: bytes) -> bytes:
    """Lengths, sides and offsets are numbers of 2 or 4 bytes; extreme ones hurt most."""
    form = chance.choice(("<H", ">H", "<I", ">I"))
    size = struct.calcsize(form)
    largest = 256**size - 1
    value = chance.choice(
        (0, 1, largest // 2, largest // 2 + 1, largest, chance.randint(0, largest))
    )
    place = chance.randrange(min(256, len(data) - size))
    return data[:place] + struct.pack(form, value) + data[place + size :]


def _with_a_part_again(chance: random.Random, data: bytes, other: bytes) -> bytes:
    start, end = sorted(chance.sample(range(len(data)), 2))
    return data[:end] + data[start:end] * chance.randint(1, 8) + data[end:]


def _with_a_part_gone(chance: random.Random, data: bytes, other: bytes) -> bytes:
    start, end = sorted(chance.sample(range(len(data)), 2))
    return data[:start] + data[end:]


def _followed_by_noise(chance: random.Random, data: bytes, other: bytes) -> bytes:
    return data + chance.randbytes(chance.randint(1, 4096))


MUTATIONS: tuple[Mutation, ...] = (
    _flipped_bits,
    _flipped_bits_of_the_head,
    _truncated,
    _with_the_head_of_another,
    _spliced,
    _with_a_wrong_number,
    _with_a_part_again,
    _with_a_part_gone,
    _followed_by_noise,
)
