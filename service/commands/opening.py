"""A collection as commands open it: loading the model takes seconds, so they say so."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from index.reads import FILE_NAME
from service.collection import Collection, open_collection
from service.errors import StartError
from service.progress import waiting
from service.settings import Settings


@contextmanager
def opened(settings: Settings) -> Iterator[Collection]:
    """An open collection. Raises what `open_collection` raises."""
    with ExitStack() as stack:
        with waiting(f"opening {settings.data_dir}"):
            collection = stack.enter_context(open_collection(settings))
        yield collection


@contextmanager
def opened_again(settings: Settings) -> Iterator[Collection]:
    """An open collection that was there before: a misspelt folder is not made.

    Raises StartError where there is none, and what `open_collection` raises.
    """
    if not (settings.data_dir / FILE_NAME).exists():
        raise StartError(f"{settings.data_dir} holds no collection")
    with opened(settings) as collection:
        yield collection
