"""Embeddings to files that other tools open: `.npy`, `.faiss`, and ids as `.jsonl`."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TypeVar

import faiss
import numpy as np
from PIL import Image

from model.errors import PictureError
from model.matcher import Encoded, Matcher
from service.captions import CaptionFile, read_captions
from service.encode import read_picture
from service.errors import StartError
from service.settings import Settings

T = TypeVar("T")
Advance = Callable[[int, int], None]


@dataclass(frozen=True)
class Side:
    """One side of a data set: a line for `.jsonl` and an encoding for each item."""

    lines: list[dict[str, str]]
    encoded: list[Encoded]


@dataclass(frozen=True)
class Embedded:
    """How many of each side were written, and pairs of file and words for what couldn't be."""

    images: int
    texts: int
    errors: tuple[tuple[str, str], ...]


def embed(
    matcher: Matcher, settings: Settings, data: Path, out: Path, advance: Advance
) -> Embedded:
    """Encodes a folder with `captions.jsonl` and writes both sides into `out`.

    `images.npy`, (n, d) float32, holds what is searched; `images_queries.npy` what the same
    pictures ask with; `images.faiss` is an inner-product index over `images.npy`; line i of
    `images.jsonl` names row i. The same for `texts`. So sentences for picture i are found by
    searching `texts.faiss` with row i of `images_queries.npy`.

    A picture's id is its path in `captions.jsonl` without the ending; all have it where two would
    be the same without. All files appear together, once they are written.

    advance: called with items done and all items. Raises StartError when nothing can be read.
    """
    told = read_captions(data / "captions.jsonl")
    errors = list(told.errors)
    total = sum(1 + len(captions.sentences) for captions in told.pictures.values())
    images = _pictures(matcher, settings, told, errors, lambda done: advance(done, total))
    if not images.lines:
        raise StartError(f"{data}: captions.jsonl names no picture that can be read")
    texts = _sentences(
        matcher, settings, told, images, lambda done: advance(len(images.lines) + done, total)
    )
    try:
        out.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".new-", dir=out) as beside:
            _write_side(Path(beside), "images", images, matcher.dimension)
            _write_side(Path(beside), "texts", texts, matcher.dimension)
            for file in Path(beside).iterdir():
                file.rename(out / file.name)
    except OSError as error:
        raise StartError(f"{out}: {error.strerror}") from error
    return Embedded(len(images.lines), len(texts.lines), tuple(errors))


def _write_side(out: Path, name: str, side: Side, dimension: int) -> None:
    """Writes the four files of one side, which may be empty: pictures need no captions."""
    vectors, queries = np.empty((2, len(side.encoded), dimension), np.float32)
    for row, encoded in enumerate(side.encoded):
        vectors[row], queries[row] = encoded.vector, encoded.query
    np.save(out / f"{name}.npy", vectors)
    np.save(out / f"{name}_queries.npy", queries)
    index = faiss.IndexFlatIP(dimension)
    index.add(vectors)
    # FAISS itself takes no name that isn't UTF-8, and raises no OSError when the disk is full.
    (out / f"{name}.faiss").write_bytes(faiss.serialize_index(index).data)
    lines = "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in side.lines)
    # Half a character, of a file's name that isn't UTF-8, is written as JSON escapes it.
    (out / f"{name}.jsonl").write_bytes(lines.encode("utf-8", "backslashreplace"))


def _pictures(
    matcher: Matcher,
    settings: Settings,
    told: CaptionFile,
    errors: list[tuple[str, str]],
    advance: Callable[[int], None],
) -> Side:
    side = Side([], [])
    for paths in _batches(list(told.pictures), settings.encode_batch_pictures):
        pictures: list[Image.Image] = []
        for path in paths:
            try:
                pictures.append(read_picture(path.read_bytes(), settings))
            except OSError as error:
                errors.append((str(path), error.strerror or str(error)))
            except PictureError as error:
                errors.append((str(path), str(error)))
            else:
                side.lines.append({"id": told.pictures[path].image, "file": str(path)})
        side.encoded.extend(matcher.encode_pictures(pictures) if pictures else [])
        advance(len(side.encoded))
    ids = _ids([line["id"] for line in side.lines])
    return Side(
        [{**line, "id": id_} for line, id_ in zip(side.lines, ids, strict=True)], side.encoded
    )


def _ids(names: Sequence[str]) -> Sequence[str]:
    """Of pictures with these paths.

    >>> _ids(["1/a.jpg", "2/a.jpg"]), _ids(["a.jpg", "a.png"])
    (['1/a', '2/a'], ['a.jpg', 'a.png'])
    """
    whole = [PurePosixPath(name) for name in names]
    short = [path.with_suffix("").as_posix() for path in whole]
    return short if len(set(short)) == len(short) else [path.as_posix() for path in whole]


def _sentences(
    matcher: Matcher,
    settings: Settings,
    told: CaptionFile,
    images: Side,
    advance: Callable[[int], None],
) -> Side:
    side = Side([], [])
    for line in images.lines:
        sentences = told.pictures[Path(line["file"])].sentences
        side.lines.extend(
            {"id": f"{line['id']}-{number}", "image": line["id"], "text": text}
            for number, text in enumerate(sentences)
        )
    for lines in _batches(side.lines, settings.encode_batch_texts):
        side.encoded.extend(matcher.encode_texts([line["text"] for line in lines]))
        advance(len(side.encoded))
    return side


def _batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))
