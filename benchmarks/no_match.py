"""How well a best probability tells queries that are far from everything in a collection.

usage: no_match.py [--bundle bundle] [--data FOLDER] [--split val] [--pictures 1000] [--cache cache]

The collection is a captioned split. Asked are its own captions and photos, whose match is there,
and the captions and photos of the sample gallery, which are of another kind: pagodas, coins,
rockets. Prints, each way, the AUROC of the best probability, and how many of either are told that
nothing matches. Some of the far ones do have a likely match: there are motorcycles in both.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from model.alignment import Codes
from model.bundle import Bundle, load_bundle
from model.calibration import Direction, auroc
from model.coding import code_pictures, code_texts, score_all
from model.dataset import read_split
from model.errors import DataError
from model.evaluate import PairScores, score_pairs
from model.judging import words_of_each
from model.network import Network
from model.picture import decode
from model.regions import served_extractor
from model.text_trunk import text_trunk
from model.trunk_arrays import caption_arrays, picture_arrays
from service.gallery.photos import photos


def main() -> None:
    """Asks both ways, near and far."""
    parser = argparse.ArgumentParser(prog="no_match")
    parser.add_argument("--bundle", type=Path, default=Path("bundle"))
    parser.add_argument("--data", type=Path, default=Path("../shared/data/flickr8k"))
    parser.add_argument("--split", default="val")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--cache", type=Path, default=Path("cache"))
    options = parser.parse_args()
    try:
        split = read_split(options.data, options.split)
    except DataError as error:
        sys.exit(f"nothing measured: {error}")
    torch.set_num_threads(1)
    bundle = load_bundle(options.bundle)
    network, scoring = bundle.network(), bundle.scoring
    # Cached whole, as other measurements use them.
    arrays = picture_arrays(bundle.config, split, options.cache, None, lambda *_: None)
    captions = caption_arrays(
        bundle.config, bundle.vocabulary, split.captions, options.cache, lambda *_: None
    )
    split = split.first(options.pictures)
    pictures = code_pictures(network, arrays.take(slice(len(split.examples))))
    texts = code_texts(network, captions[: len(split.captions)])
    raw, bank = score_pairs(
        network, pictures, texts, split.owners, bundle.bank, scoring.beta, lambda *_: None
    )
    pairs = bank.offsets(raw, scoring.fusion)
    far_pictures, far_texts = gallery(bundle, network)
    asked = score_all(network.alignment, pictures, far_texts)
    shown = score_all(network.alignment, far_pictures, texts)
    # A query needs no offset of its own.
    none_of_texts, none_of_pictures = (
        np.zeros(len(far.global_), np.float32) for far in (far_texts, far_pictures)
    )
    by_text = PairScores(
        asked,
        split.owners,
        pairs.picture_global,
        pairs.picture_fine,
        none_of_texts,
        none_of_texts,
    )
    by_picture = PairScores(
        shown,
        split.owners,
        none_of_pictures,
        none_of_pictures,
        pairs.text_global,
        pairs.text_fine,
    )
    print(f"{bundle.name}, {len(split.examples)} photos and their captions of {split.name}")
    report(
        "sentences",
        scoring.calibration.text_to_image,
        (totals(bundle, pairs)[1].T, words_of_each(texts)[:, None]),
        (totals(bundle, by_text)[1].T, words_of_each(far_texts)[:, None]),
    )
    report(
        "photos",
        scoring.calibration.image_to_text,
        (totals(bundle, pairs)[0], words_of_each(texts)[None, :]),
        (totals(bundle, by_picture)[0], words_of_each(texts)[None, :]),
    )


def gallery(bundle: Bundle, network: Network) -> tuple[Codes, Codes]:
    """The sample gallery's photos, and its captions, coded."""
    shown = photos()
    seen = served_extractor(bundle.config).trunk([decode(photo.read()) for photo in shown])
    trunk = text_trunk(bundle.config, bundle.vocabulary)
    sentences = [caption for photo in shown for caption in photo.captions]
    return code_pictures(network, seen), code_texts(network, trunk(sentences))


def totals(bundle: Bundle, pairs: PairScores) -> tuple[np.ndarray, np.ndarray]:
    """Final scores as served, image to text and text to image, (I, T)."""
    return pairs.total(bundle.scoring.fusion, bundle.scoring.strength)


def report(
    what: str,
    direction: Direction,
    near: tuple[np.ndarray, np.ndarray],
    far: tuple[np.ndarray, np.ndarray],
) -> None:
    """near and far: scores (queries, items), and words of each pair, broadcast against them."""
    best = [
        direction.total.probability(scores, np.broadcast_to(words, scores.shape)).max(axis=1)
        for scores, words in (near, far)
    ]
    told = [float((side < direction.no_match_below).mean() * 100) for side in best]
    print(
        f"{what}: AUROC {auroc(*best):.3f}; nothing matches is told of {told[0]:.1f} % of "
        f"{len(best[0]):,} whose match is there, and of {told[1]:.1f} % of {len(best[1])} others"
    )


if __name__ == "__main__":
    main()
