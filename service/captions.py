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
from service.fields import MAX_CAPTIONS, Metadata, Sentence
from service.problems import field_problems


@dataclass(frozen=True)
class Captions:
    """The captions of one picture, and metadata to store with it."""

    sentences: tuple[str, ...]
    metadata: Mapping[str, Any]


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

    Errors are pairs of file:line and words.
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
            line = _Line.model_validate(json.loads(raw))
        except ValidationError as error:
            words = (f"{p.pointer.lstrip('/')}: {p.detail}" for p in field_problems(error))
            errors.append((f"{file}:{number}", "; ".join(words)))
            continue
        except ValueError as error:
            errors.append((f"{file}:{number}", f"not a line of JSON: {error}"))
            continue
        path = (file.parent / line.image).resolve()
        pictures[path] = Captions(tuple(line.captions), line.metadata)
    return CaptionFile(pictures, tuple(errors))
