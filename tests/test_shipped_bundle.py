"""The model that travels in `bundle/`: whole, within its size, and as good as its report says."""

from pathlib import Path

import numpy as np
import pytest

from model.bundle import load_bundle
from model.composition import EXCLUDED, VECTOR, Composition, Part
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
    assert two_stage["rsum"] >= 358
    assert round(abs(two_stage["rsum"] - exhaustive["rsum"]), 1) <= 0.2
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


def best(
    matcher: Matcher, gallery: tuple[list[str], list[Encoded]], *parts: Part
) -> dict[str, float]:
    """The photos best first with their probabilities, by all layers."""
    ids, pictures = gallery
    composed = Composition(matcher, parts, "image")
    arrays = [{**picture.arrays, VECTOR: picture.vector} for picture in pictures]
    first = np.stack([picture.vector for picture in pictures]) @ composed.query
    scores = composed.score(parts[0].encoded, parts[0].kind, first, arrays)
    order = np.argsort(-scores.total)
    return {ids[place]: float(scores.probability[place]) for place in order.tolist()}


@pytest.mark.parametrize(
    ("query", "exclude", "shows_it", "spared"),
    [
        ("a cat", "a mug on a desk", "cat-and-mug", "tabby-cat"),
        ("a man", "a man in a suit", "officer", "photographer"),
        ("a tower", "a pagoda", "pagoda", "radio-tower"),
    ],
)
def test_what_is_excluded_falls_behind(
    matcher: Matcher,
    gallery: tuple[list[str], list[Encoded]],
    query: str,
    exclude: str,
    shows_it: str,
    spared: str,
) -> None:
    asked = Part(matcher.encode_texts([query], to_store=False)[0], "text")
    excluded = Part(matcher.encode_texts([exclude], to_store=False)[0], "text", EXCLUDED)
    plain, without = best(matcher, gallery, asked), best(matcher, gallery, asked, excluded)
    assert plain[shows_it] > 0.2
    assert without[shows_it] < plain[shows_it] / 2
    # And they come in the order of what they are said to be: nothing is first for being like
    # neither.
    probabilities = np.array(list(without.values()))
    assert (np.diff(probabilities) < 1e-4).all()
    assert without[spared] > plain[spared] / 2
    assert all(without[photo] <= plain[photo] for photo in plain)


def test_a_picture_and_a_sentence_find_what_is_like_either(
    matcher: Matcher, gallery: tuple[list[str], list[Encoded]]
) -> None:
    ids, pictures = gallery
    cat = Part(matcher.encode_texts(["a cat"], to_store=False)[0], "text")
    officer = Part(pictures[ids.index("officer")], "image")
    assert set(list(best(matcher, gallery, cat))[:2]) == {"cat-and-mug", "tabby-cat"}
    both = list(best(matcher, gallery, cat, officer))
    assert set(both[:3]) == {"cat-and-mug", "tabby-cat", "officer"}


@pytest.mark.parametrize(
    ("photo", "like_it"), [("tabby-cat", "cat-and-mug"), ("officer", "inventor")]
)
def test_a_photo_is_most_like_one_of_its_kind(
    gallery: tuple[list[str], list[Encoded]], photo: str, like_it: str
) -> None:
    ids, pictures = gallery
    cosines = [pictures[ids.index(photo)].query_same_kind @ item.vector for item in pictures]
    order = np.argsort(cosines)[::-1]
    assert [ids[place] for place in order[:2]] == [photo, like_it]


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


def test_in_bfloat16_it_encodes_and_scores_as_in_float32() -> None:
    """Whatever the CPU: without instructions for it, torch computes the same more slowly."""
    sentences = ["A striped orange cat looks at something", "a dog", "Two people walk in the snow"]
    shown = [decode(photo.read()) for photo in photos()[:4]]
    half, full = (Matcher(load_bundle(BUNDLE), half=half) for half in (True, False))
    pairs = [
        (half.encode_texts(sentences), full.encode_texts(sentences)),
        (half.encode_pictures(shown), full.encode_pictures(shown)),
    ]
    for (encoded, exact), off in zip(pairs, (1e-4, 1e-3), strict=True):
        for one, other in zip(encoded, exact, strict=True):
            assert one.query[:-1] @ other.query[:-1] == pytest.approx(1, abs=off)
    totals = []
    for matcher, (texts, pictures) in zip((half, full), zip(*pairs, strict=True), strict=True):
        arrays = [picture.arrays for picture in pictures]
        for text in texts:
            first = np.array([text.query @ picture.vector for picture in pictures])
            totals.append(matcher.score(text, "text", first, arrays).total)
    in_half, in_full = np.split(np.concatenate(totals), 2)
    np.testing.assert_allclose(in_half, in_full, atol=0.05)
    assert np.ptp(in_full) > 0.5, "the scores that are compared differ among themselves"
