"""Karpathy's split files (`dataset_flickr30k.json`, `dataset_coco.json`): who belongs to a split.

One JSON object; each entry of `images` has `split`, `sentences` with `raw` text, `filename`, and
in MSCOCO's `cocoid`, the number by which region files name a picture.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model.dataset_precomputed import CAPTIONS_PER_PICTURE
from model.errors import DataError
from model.json_file import read_json

# What precomputed folders call the splits, and what Karpathy does. Their `test` has a thousand
# pictures: all of Flickr30K's, the first of MSCOCO's 5,000, which are `testall`.
SPLITS = {
    "train": ("train", "restval"),
    "dev": ("val",),
    "test": ("test",),
    "testall": ("test",),
}
TEST_PICTURES = 1000


@dataclass(frozen=True)
class CaptionedPicture:
    """A picture as region files name it, and its first five captions, each on one line."""

    id: str
    captions: tuple[str, ...]


def read_captions(file: Path, split: str) -> list[CaptionedPicture]:
    """The pictures of a split in the file's order. Raises DataError naming the entry."""
    if split not in SPLITS:
        raise DataError(f"split {split!r}: expected one of {', '.join(SPLITS)}")
    found = read_json(file)
    images = found.get("images") if isinstance(found, dict) else None
    if not isinstance(images, list):
        raise DataError(f'{file}: expected an object with a list "images"')
    pictures: dict[str, CaptionedPicture] = {}
    for number, image in enumerate(images):
        where = f"{file}: images[{number}]"
        if not isinstance(image, dict):
            raise DataError(f"{where}: expected an object")
        if image.get("split") not in SPLITS[split]:
            continue
        picture = CaptionedPicture(_id(image, where), _captions(image, where))
        if picture.id in pictures:
            raise DataError(f"{where}: the picture {picture.id} is there twice")
        pictures[picture.id] = picture
    if not pictures:
        raise DataError(f"{file}: no picture in the split {' or '.join(SPLITS[split])}")
    return list(pictures.values())[: TEST_PICTURES if split == "test" else None]


def _id(image: dict[str, Any], where: str) -> str:
    if isinstance(image.get("cocoid"), int):
        return str(image["cocoid"])
    filename = image.get("filename")
    if not isinstance(filename, str) or not Path(filename).stem:
        raise DataError(f"{where}: neither a number cocoid nor a filename")
    return Path(filename).stem


def _captions(image: dict[str, Any], where: str) -> tuple[str, ...]:
    sentences = image.get("sentences")
    listed = sentences if isinstance(sentences, list) else []
    # Some sentences of MSCOCO hold line breaks.
    captions = [
        " ".join(str(one["raw"]).split())
        for one in listed
        if isinstance(one, dict) and isinstance(one.get("raw"), str)
    ]
    captions = [caption for caption in captions if caption][:CAPTIONS_PER_PICTURE]
    if len(captions) < CAPTIONS_PER_PICTURE:
        raise DataError(f"{where}: {len(captions)} sentences, expected {CAPTIONS_PER_PICTURE}")
    return tuple(captions)
