"""The gallery's photos: where each lies inside its installed package, and what is known of it.

The pictures are not copied into Sightline. `gallery.jsonl` names the package that ships each one,
the path within it, its SHA-256, its credit and its licence.
"""

import hashlib
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from service.errors import StartError
from service.gallery.manifest import lines


class GalleryError(StartError):
    """A photo of the gallery is not there, or is not the one that was named."""


@dataclass(frozen=True)
class Photo:
    """One line of `gallery.jsonl`: a picture inside an installed package.

    Attributes:
        id: the picture's id in the collection.
        package: the distribution that ships it.
        path: where it is, as the distribution's list of files ends.
        sha256: SHA-256 of the file, hexadecimal.
        title: what it shows.
        credit: who made it.
        licence: the terms it comes under.
        captions: one to five sentences that describe it.
    """

    id: str
    package: str
    path: str
    sha256: str
    title: str
    credit: str
    licence: str
    captions: tuple[str, ...]

    @property
    def details(self) -> dict[str, Any]:
        """What is stored beside the picture: title, credit, licence and package."""
        return {
            "title": self.title,
            "credit": self.credit,
            "licence": self.licence,
            "package": self.package,
        }

    def read(self) -> bytes:
        """The picture's bytes, checked. Raises GalleryError if they are missing or differ."""
        try:
            files = metadata.files(self.package) or []
        except metadata.PackageNotFoundError:
            raise GalleryError(
                f"the photo {self.id} comes with the package {self.package}, "
                "which is not installed; `make setup` installs it"
            ) from None
        wanted = [
            file
            for file in files
            if file.as_posix() == self.path or file.as_posix().endswith(f"/{self.path}")
        ]
        if not wanted:
            raise GalleryError(f"the photo {self.id}: {self.package} ships no {self.path}")
        try:
            content = wanted[0].read_binary()
        except OSError as error:
            raise GalleryError(f"the photo {self.id} can't be read: {error}") from error
        found = hashlib.sha256(content).hexdigest()
        if found != self.sha256:
            raise GalleryError(
                f"the photo {self.id}: {self.path} of {self.package} has SHA-256 {found}, "
                f"expected {self.sha256}; install the version that constraints.txt names"
            )
        return content


def photos() -> tuple[Photo, ...]:
    """The gallery's photos in the order of the manifest; the files are not touched yet."""
    return tuple(
        Photo(**{**line, "captions": tuple(line["captions"])}) for line in lines("gallery.jsonl")
    )
