"""The gallery is whole: every photo is there and is the right one, every sentence stands alone."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import replace

import pytest
from PIL import Image

from service.collection import Collection
from service.gallery.load import load_gallery
from service.gallery.photos import GalleryError, Photo, photos
from service.gallery.sentences import sentences

PHOTOS = photos()


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.id)
def test_a_photo_is_there_and_is_the_one_that_was_named(photo: Photo) -> None:
    content = photo.read()
    assert hashlib.sha256(content).hexdigest() == photo.sha256
    with Image.open(io.BytesIO(content)) as picture:
        picture.load()
        assert min(picture.size) >= 150


@pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.id)
def test_a_photo_says_what_it_is_and_whose(photo: Photo) -> None:
    assert all((photo.title, photo.credit, photo.licence, photo.package))
    assert photo.details == {
        "title": photo.title,
        "credit": photo.credit,
        "licence": photo.licence,
        "package": photo.package,
    }
    assert 1 <= len(photo.captions) <= 5


def test_there_are_enough_photos_to_search() -> None:
    assert len(PHOTOS) >= 20
    assert _repeated([photo.id for photo in PHOTOS]) == []
    assert _repeated([photo.sha256 for photo in PHOTOS]) == []


def test_a_photo_has_to_find_its_captions_among_hundreds_of_sentences() -> None:
    others = sentences()
    assert len(others) >= 300
    assert _repeated([sentence.id for sentence in others]) == []
    captions = [caption for photo in PHOTOS for caption in photo.captions]
    everything = [*captions, *(sentence.text for sentence in others)]
    assert _repeated([text.casefold() for text in everything]) == []
    assert [text for text in everything if not 8 <= len(text) <= 200 or text != text.strip()] == []


def test_ids_of_captions_and_sentences_never_meet() -> None:
    captions = {f"{photo.id}-{number}" for photo in PHOTOS for number in range(5)}
    assert captions.isdisjoint(sentence.id for sentence in sentences())


def test_a_missing_package_is_named() -> None:
    photo = replace(PHOTOS[0], package="sightline-photos-that-never-were")
    with pytest.raises(GalleryError, match="sightline-photos-that-never-were, which is not inst"):
        photo.read()


def test_a_missing_file_is_named() -> None:
    photo = replace(PHOTOS[0], path="skimage/data/unicorn.png")
    with pytest.raises(GalleryError, match=r"scikit-image ships no skimage/data/unicorn\.png"):
        photo.read()


def test_another_picture_under_the_same_name_is_refused() -> None:
    photo = replace(PHOTOS[0], sha256="0" * 64)
    with pytest.raises(GalleryError, match=f"has SHA-256 {PHOTOS[0].sha256}, expected 0000"):
        photo.read()


def test_the_gallery_fills_a_collection_and_tells_how_far_it_is(collection: Collection) -> None:
    told: list[tuple[int, int]] = []
    total = load_gallery(collection, lambda done, of: told.append((done, of)))

    captions = sum(len(photo.captions) for photo in PHOTOS)
    assert total == len(PHOTOS) + len(sentences())
    assert collection.index.count("image") == len(PHOTOS)
    assert collection.index.count("text") == captions + len(sentences())
    assert told == sorted(told)
    assert told[-1] == (total, total)
    photo = PHOTOS[0]
    stored = collection.index.get("image", photo.id)
    assert stored is not None
    assert stored.metadata == photo.details
    caption = collection.index.get("text", f"{photo.id}-0")
    assert caption is not None
    assert (caption.text, caption.metadata) == (photo.captions[0], {"image_id": photo.id})


def test_loading_the_gallery_again_changes_nothing(collection: Collection) -> None:
    load_gallery(collection, lambda done, of: None)
    before = collection.index.stats()["generation"]
    load_gallery(collection, lambda done, of: None)
    assert collection.index.stats()["generation"] == before


def _repeated(values: Sequence[str]) -> list[str]:
    return sorted({value for value in values if values.count(value) > 1})
