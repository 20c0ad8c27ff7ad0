"""Pictures on disk: which files are meant, and reading one of them."""

from collections.abc import Iterator, Sequence
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


def find_photos(paths: Sequence[Path]) -> list[PhotoFile]:
    """The files themselves, and all pictures below the folders, in order, each once.

    A file that is named is taken whatever its ending. Raises StartError for a path that isn't
    there.
    """
    found: dict[Path, PhotoFile] = {}
    for path in paths:
        if not path.exists():
            raise StartError(f"{path}: no such file or folder")
        for photo in _below(path) if path.is_dir() else [PhotoFile(path.resolve(), path.name)]:
            found.setdefault(photo.path, photo)
    return list(found.values())


def _below(folder: Path) -> Iterator[PhotoFile]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.suffix.lower() in ENDINGS and not hidden and path.is_file():
            yield PhotoFile(path.resolve(), name.as_posix())
