"""Pictures on disk: which files are meant, and reading one of them."""

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from service.errors import StartError

ENDINGS = frozenset(
    ".jpg .jpeg .jpe .png .webp .gif .bmp .tif .tiff .ppm .pgm .avif .jp2 .mpo".split()
)


@dataclass(frozen=True)
class PhotoFile:
    """A file and its name for people: its path below the folder that was asked for."""

    path: Path
    name: str


@dataclass(frozen=True)
class Found:
    """Pictures, and pairs of path and words for what couldn't be looked at."""

    photos: tuple[PhotoFile, ...]
    errors: tuple[tuple[str, str], ...]


def find_photos(paths: Sequence[Path]) -> Found:
    """The files themselves, and all pictures below the folders, in order, each once.

    A file that is named is taken whatever its ending. Links to files are followed, and links to
    folders only if they are named themselves. Raises StartError for a path that isn't there.
    """
    found: dict[Path, PhotoFile] = {}
    errors: list[tuple[str, str]] = []
    for path in paths:
        if not path.exists():
            raise StartError(f"{path}: no such file or folder")
        below = _below(path, errors) if path.is_dir() else [PhotoFile(path.resolve(), path.name)]
        for photo in below:
            found.setdefault(photo.path, photo)
    return Found(tuple(found.values()), tuple(errors))


def _below(folder: Path, errors: list[tuple[str, str]]) -> list[PhotoFile]:
    def note(error: OSError) -> None:
        errors.append((str(error.filename), error.strerror or str(error)))

    found: list[Path] = []
    # Path.rglob says nothing of folders that it can't read.
    for here, folders, files in os.walk(folder, onerror=note):
        folders[:] = (name for name in folders if not name.startswith("."))
        named = (Path(here, name) for name in files if not name.startswith("."))
        for path in named:
            try:
                if path.suffix.lower() in ENDINGS and stat.S_ISREG(path.stat().st_mode):
                    found.append(path)
            except OSError as error:
                note(error)
    return [
        PhotoFile(path.resolve(), path.relative_to(folder).as_posix()) for path in sorted(found)
    ]
