"""What concepts add on photos of another kind than those that the model was trained on.

usage: gallery.py [--bundle bundle] [--concept-share 1] [--strength S]

Recall of the shipped bundle on the sample gallery, re-ranked with and without the layer of
concepts, each caption among all photos and each photo among all captions, and the ratio of both
rsums. The other layers keep the weights, and all items the offsets, that they have beside concepts.
--concept-share: so many times the fitted weight of concepts. --strength: of the hubness offsets, in
place of the fitted one.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from model.bundle import load_bundle
from model.evaluate import with_concept_share
from model.matcher import Encoded, Matcher
from model.picture import decode
from model.recall import Recall, recall
from service.gallery.photos import photos


def main() -> None:
    """Encodes the gallery once and prints both rows."""
    parser = argparse.ArgumentParser(prog="gallery")
    parser.add_argument("--bundle", type=Path, default=Path("bundle"))
    parser.add_argument("--concept-share", type=float, default=1.0)
    parser.add_argument("--strength", type=float)
    options = parser.parse_args()
    bundle = load_bundle(options.bundle)
    if not bundle.config.concepts:
        parser.error("the bundle has no concepts")
    scoring = bundle.scoring
    changed = {
        "fusion": with_concept_share(scoring.fusion, options.concept_share),
        "strength": scoring.strength if options.strength is None else options.strength,
    }
    bundle = replace(bundle, scoring=scoring.model_copy(update=changed))
    matcher, weight = Matcher(bundle), np.float32(bundle.scoring.fusion.concept)
    shown = photos()
    pictures = matcher.encode_pictures([decode(photo.read()) for photo in shown])
    texts = matcher.encode_texts([caption for photo in shown for caption in photo.captions])
    owners = np.repeat(np.arange(len(shown)), [len(photo.captions) for photo in shown])
    by_text = [_scores(matcher, text, pictures, weight) for text in texts]
    by_picture = [_scores(matcher, picture, texts, weight) for picture in pictures]
    rsums = []
    print("| sample gallery | image to text R@1 / 5 / 10 | text to image R@1 / 5 / 10 | rsum |")
    print("|---|---|---|---|")
    for row, name in enumerate(("without concepts", "with concepts")):
        found = recall(
            np.stack([both[row] for both in by_picture]),
            np.stack([both[row] for both in by_text], axis=1),
            owners,
        )
        print(_line(name, found))
        rsums.append(found.rsum)
    print(f"\nratio of the sums: {rsums[1] / rsums[0]:.3f}")


def _scores(
    matcher: Matcher, query: Encoded, items: list[Encoded], weight: np.float32
) -> tuple[np.ndarray, np.ndarray]:
    """Totals of a query with all items, without concepts and with them."""
    kind = "text" if "spans" in query.arrays else "image"
    first = np.stack([item.vector for item in items]) @ query.query
    scores = matcher.score(query, kind, first, [item.arrays for item in items])
    assert scores.concept is not None
    return scores.total - weight * scores.concept, scores.total


def _line(name: str, found: Recall) -> str:
    ways = (found.image_to_text, found.text_to_image)
    cells = [" / ".join(f"{value:.1f}" for value in way) for way in ways]
    return f"| {name} | {cells[0]} | {cells[1]} | {found.rsum:.1f} |"


if __name__ == "__main__":
    main()
