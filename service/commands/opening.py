"""A collection as commands open it: loading the model takes seconds, so they say so."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from service.collection import Collection, open_collection
from service.progress import waiting
from service.settings import Settings


@contextmanager
def opened(settings: Settings) -> Iterator[Collection]:
    """An open collection. Raises what `open_collection` raises."""
    with ExitStack() as stack:
        with waiting(f"opening {settings.data_dir}"):
            collection = stack.enter_context(open_collection(settings))
        yield collection
