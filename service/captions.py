"""A caption file, `captions.jsonl`: which sentences and what metadata go with which picture.

Unlike a training set, a collection takes what is good: a bad line is reported, not a stop.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.errors import StartError
from service.fields import MAX_CAPTIONS, Metadata, Sentence, check_metadata
from service.problems import field_problems


@dataclass(frozen=True)
class Captions:
    """The captions of one picture, and metadata to store with it.

    image: the picture's path as the file has it.
    """

    sentences: tuple[str, ...]
    metadata: Mapping[str, Any]
    image: str = ""


@dataclass(frozen=True)
class CaptionFile:
    """What a file says about each picture (by absolute path), and what is wrong with its lines."""

    pictures: Mapping[Path, Captions]
    errors: tuple[tuple[str, str], ...]


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)

    image: str = Field(min_length=1)
    captions: list[Sentence] = Field(max_length=MAX_CAPTIONS)
    metadata: Metadata = {}


def read_captions(file: Path) -> CaptionFile:
    """Reads the whole file. Raises StartError if there is none.

    Lines for one picture are put together: the sentences of all, each once, and of metadata with
    the same key those of the last. Errors are pairs of file:line and words.
    """
    pictures: dict[Path, Captions] = {}
    errors: list[tuple[str, str]] = []
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise StartError(f"{file}: {error.strerror}") from error
    for number, raw in enumerate(lines, start=1):
        if not raw.strip():
            continue
        try:
            line = _line(raw)
            path = _path(file.parent, line.image)
            pictures[path] = _together(pictures.get(path), line)
        except ValueError as error:
            errors.append((f"{file}:{number}", str(error)))
    return CaptionFile(pictures, tuple(errors))


def _line(raw: bytes) -> _Line:
    try:
        return _Line.model_validate(json.loads(raw))
    except ValidationError as error:
        words = (f"{p.pointer.lstrip('/')}: {p.detail}" for p in field_problems(error))
        raise ValueError("; ".join(words)) from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not a line of JSON: {error}") from error


def _path(folder: Path, image: str) -> Path:
    try:
        return (folder / image).resolve()
    except (ValueError, OSError, RuntimeError) as error:  # a NUL; symbolic links in a ring
        raise ValueError(f"image: {error}") from error


def _together(before: Captions | None, line: _Line) -> Captions:
    if before is None:
        return Captions(tuple(line.captions), line.metadata, line.image)
    sentences = tuple(dict.fromkeys((*before.sentences, *line.captions)))
    if len(sentences) > MAX_CAPTIONS:
        raise ValueError(
            f"captions: a picture has at most {MAX_CAPTIONS}, not the {len(sentences)} that it has "
            "with earlier lines"
        )
    try:
        metadata = check_metadata({**before.metadata, **line.metadata})
    except ValueError as error:
        raise ValueError(f"metadata: with those of earlier lines: {error}") from error
    return Captions(sentences, metadata, before.image)
