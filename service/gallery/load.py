"""Puts the sample gallery into a collection: photos with their captions, and the sentences."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from service.collection import Collection
from service.gallery.photos import photos
from service.gallery.sentences import sentences
from service.ingest import NewPicture, NewText, Outcome, prepare_pictures, prepare_texts, store

_Item = TypeVar("_Item")


def load_gallery(collection: Collection, progress: Callable[[int, int], None]) -> int:
    """Stores every photo and sentence that isn't there yet; what is there costs next to nothing.

    Args:
        collection: an open collection that nobody else writes to.
        progress: called with the number of items done and of all items, after each batch.

    Returns: how many items the gallery has.

    Raises GalleryError when a photo is missing or differs, and what preparing and storing raise.
    """
    pictures = [
        NewPicture(photo.read(), photo.id, photo.details, photo.captions, adds_metadata=True)
        for photo in photos()
    ]
    texts = [NewText(sentence.text, sentence.id) for sentence in sentences()]
    total = len(pictures) + len(texts)
    done = 0
    settings = collection.settings
    for some in _batches(pictures, settings.encode_batch_pictures):
        _all_stored(store(collection, "image", prepare_pictures(collection, some)))
        done += len(some)
        progress(done, total)
    for more in _batches(texts, settings.encode_batch_texts):
        _all_stored(store(collection, "text", prepare_texts(collection, more)))
        done += len(more)
        progress(done, total)
    return total


def _batches(items: Sequence[_Item], size: int) -> list[Sequence[_Item]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _all_stored(outcomes: Sequence[Outcome]) -> None:
    """Raises the first item's error: the gallery is fixed, so it is a fault of ours."""
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
