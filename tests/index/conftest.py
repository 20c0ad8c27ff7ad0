from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from index.embedded import EmbeddedIndex
from tests.index.samples import DIMENSION, FINGERPRINT

Opener = Callable[..., EmbeddedIndex]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def open_index(folder: Path) -> Iterator[Opener]:
    """Opens the data directory (again); everything is closed at the end."""
    with ExitStack() as stack:

        def open_(
            fingerprint: str = FINGERPRINT, dimension: int = DIMENSION, **options: object
        ) -> EmbeddedIndex:
            index = EmbeddedIndex.open(folder, fingerprint, dimension, **options)
            stack.callback(index.close)
            return index

        yield open_


@pytest.fixture
def index(open_index: Opener) -> EmbeddedIndex:
    return open_index()
