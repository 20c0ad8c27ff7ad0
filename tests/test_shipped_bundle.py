"""The model that travels in `bundle/`: whole, within its size, and as good as its report says."""

from pathlib import Path

import numpy as np
import pytest

from model.bundle import load_bundle
from model.dataset import read_split
from model.matcher import Encoded, Matcher
from model.picture import decode
from model.recall import recall
from service.gallery.photos import photos

BUNDLE = Path(__file__).parent.parent / "bundle"
FLICKR8K = Path(__file__).parent.parent.parent / "shared" / "data" / "flickr8k"
MOST_BYTES = 40_000_000
PICTURES = 60


@pytest.fixture(scope="module")
def matcher() -> Matcher:
    return Matcher(load_bundle(BUNDLE))


@pytest.fixture(scope="module")
def gallery(matcher: Matcher) -> tuple[list[str], list[Encoded]]:
    shown = photos()
    return [p.id for p in shown], matcher.encode_pictures([decode(p.read()) for p in shown])


def first_stage(query: Encoded, found: list[Encoded]) -> np.ndarray:
    return np.array([query.query @ item.vector for item in found], dtype=np.float32)


def test_it_is_within_its_size() -> None:
    assert sum(file.stat().st_size for file in BUNDLE.iterdir()) <= MOST_BYTES


def test_its_report_clears_the_floor_and_the_second_stage_loses_nothing() -> None:
    rows = load_bundle(BUNDLE).report["rows"]
    two_stage, exhaustive = rows["two-stage, 100 candidates"], rows["exhaustive"]
    assert two_stage["rsum"] >= 312
    assert abs(two_stage["rsum"] - exhaustive["rsum"]) <= 0.5
    assert two_stage["rsum"] > rows["global only"]["rsum"]


@pytest.mark.parametrize(
    ("query", "photo"),
    [
        ("A striped orange cat with green eyes looks at something", "tabby-cat"),
        ("A red motorcycle is parked in a garage", "motorcycle"),
        ("A man in a dark coat looks through a camera on a tripod", "photographer"),
        ("A pagoda with green and orange roofs rises over the trees", "pagoda"),
    ],
)
def test_a_sentence_finds_its_photo_in_the_gallery(
    matcher: Matcher, gallery: tuple[list[str], list[Encoded]], query: str, photo: str
) -> None:
    ids, pictures = gallery
    asked = matcher.encode_texts([query], to_store=False)[0]
    scores = matcher.score(
        asked, "text", first_stage(asked, pictures), [picture.arrays for picture in pictures]
    )
    assert ids[int(scores.total.argmax())] == photo


@pytest.mark.skipif(not FLICKR8K.is_dir(), reason="needs the Flickr8k photos, which aren't shipped")
def test_among_sixty_validation_photos_it_finds_most(matcher: Matcher) -> None:
    examples = read_split(FLICKR8K, "val").examples[:PICTURES]
    pictures = matcher.encode_pictures([decode(e.image.read_bytes()) for e in examples if e.image])
    texts = matcher.encode_texts([caption for e in examples for caption in e.captions])
    owners = np.repeat(np.arange(PICTURES), 5)
    by_text = np.stack(
        [
            matcher.score(t, "text", first_stage(t, pictures), [p.arrays for p in pictures]).total
            for t in texts
        ],
        axis=1,
    )
    by_picture = np.stack(
        [
            matcher.score(p, "image", first_stage(p, texts), [t.arrays for t in texts]).total
            for p in pictures
        ]
    )
    found = recall(by_picture, by_text, owners)
    # Among a thousand photos R@1 is about a third; among sixty most are found at once.
    assert found.image_to_text[0] >= 70
    assert found.text_to_image[0] >= 60
