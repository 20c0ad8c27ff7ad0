"""What a search engine behind the service has to do. Every engine passes one shared test suite."""

# A class with a method named `list` has to call the type by its full name.
import builtins
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from index.filter import Filter
from index.records import Hits, Kind, Record, Report


class Index(Protocol):
    """A collection of pictures and texts. Every method may be called from any thread.

    A write that has returned is durable, and every search that begins afterwards sees it.
    """

    def upsert(self, records: Sequence[Record]) -> builtins.list[bool]:
        """Adds or replaces all of them or none; True = new, False = replaced.

        Of an id that comes twice in one call the last one stays. Raises RecordError naming the
        field and the limit, StorageError when the disk refuses; nothing is written then.
        """
        ...

    def delete(self, kind: Kind, ids: Sequence[str]) -> int:
        """Deletes and tells how many of the ids existed."""
        ...

    def update_metadata(
        self,
        kind: Kind,
        item_id: str,
        metadata: Mapping[str, Any],
        tags: Sequence[str] | None = None,
    ) -> bool:
        """Replaces the metadata, and the tags when given; False when there is no such item."""
        ...

    def search(self, kind: Kind, vectors: np.ndarray, k: int, filter: Filter | None = None) -> Hits:
        """The k items of one kind with the largest inner products, for each of (n, d) float32.

        Only items that match the filter are looked at, so k of them are found if there are k.
        Order is total: score descending, then id ascending. Raises QueryError. An item that is
        deleted between a search and the fetch of its hits is None in that fetch.
        """
        ...

    def get(self, kind: Kind, item_id: str) -> Record | None:
        """Everything about one item."""
        ...

    def fetch(
        self, kind: Kind, ids: Sequence[str], vectors: bool = False, arrays: bool = True
    ) -> builtins.list[Record | None]:
        """The items in the order asked, for the re-ranker: without thumbnail.

        vectors: with their vectors, too. arrays: with False without both, as `list` gives them.
        """
        ...

    def list(self, kind: Kind, after: str | None = None, limit: int = 100) -> builtins.list[Record]:
        """A page in order of id, after that id: without vector, arrays and thumbnail."""
        ...

    def thumbnail(self, item_id: str) -> bytes | None:
        """The JPEG of a picture."""
        ...

    def tag_counts(self, kind: Kind, filter: Filter | None = None) -> dict[str, int]:
        """How many items carry each tag, of those that match; most frequent first."""
        ...

    def count(self, kind: Kind) -> int:
        """How many items there are."""
        ...

    @property
    def codec(self) -> str | None:
        """The caller's label for how all arrays are coded; None where nothing was said yet."""
        ...

    def stats(self) -> dict[str, Any]:
        """Counts, bytes, engine, FAISS index type, device in use, fingerprint, generation."""
        ...

    def verify(self) -> Report:
        """Reads everything back and compares the derived with the truth."""
        ...

    def rebuild(self) -> Report:
        """Throws away everything derived and makes it again."""
        ...

    def backup(self, target: Path) -> None:
        """Makes a folder with a consistent copy; nothing waits for it."""
        ...

    def compact(self) -> None:
        """Merges what writes have left scattered, and gives free space back."""
        ...

    def close(self) -> None:
        """Finishes the write in progress and lets go of files. Calling it twice does no harm."""
        ...
