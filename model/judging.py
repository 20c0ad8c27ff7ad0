"""Which sentences fit which photos of a captioned split, for calibrating probabilities.

Data sets name one photo for each caption, but "a dog runs over grass" fits many. A sentence counts
as fitting a photo if the photo's own captions use most of its content words; its own photo always
counts. People ask shorter than they caption, so pieces of captions are asked besides.
"""

from collections.abc import Sequence

import numpy as np

from model.alignment import Codes
from model.calibration import (
    Calibration,
    Direction,
    Judged,
    auroc,
    best_with_and_without,
    expected_calibration_error,
    fit_direction,
    listed,
)
from model.coding import score_all
from model.dataset import Split
from model.evaluate import PairScores
from model.fusion import Fusion
from model.network import Network
from model.tags import content_words, content_words_of, word_counts

SHARE = 0.6
SHORTEST, LONGEST = 2, 5
TRIES = 20


def fitting(texts: Sequence[str], owners: np.ndarray, split: Split) -> np.ndarray:
    """(pictures, texts) bool; owners: (texts,) each text's own picture, which always fits."""
    counts = word_counts(split)
    described = content_words(split)
    fits = np.zeros((len(described), len(texts)), dtype=bool)
    for column, text in enumerate(texts):
        words = content_words_of(text, counts)
        if words:
            needed = SHARE * len(words)
            fits[:, column] = [len(words & found) >= needed for found in described]
    fits[owners, np.arange(len(texts))] = True
    return fits


def short_queries(split: Split, seed: int = 0) -> list[str]:
    """For each picture two to five consecutive words of its first caption, one that says something.

    The same split and seed give the same pieces.
    """
    random = np.random.default_rng(seed)
    counts = word_counts(split)
    pieces = []
    for example in split.examples:
        words = example.captions[0].rstrip(" .").split()
        piece = " ".join(words)
        for _ in range(TRIES):
            length = int(random.integers(SHORTEST, LONGEST + 1))
            start = int(random.integers(0, max(1, len(words) - length + 1)))
            candidate = " ".join(words[start : start + length])
            if content_words_of(candidate, counts):
                piece = candidate
                break
        pieces.append(piece)
    return pieces


def words_of_each(texts: Codes) -> np.ndarray:
    """How many words each text has, (T,); what a match probability takes besides the score."""
    counts: np.ndarray = texts.entity.mask.sum(1).cpu().numpy()
    return counts


def judge(
    network: Network,
    split: Split,
    pictures: Codes,
    texts: Codes,
    short: Codes,
    pairs: PairScores,
    fusion: Fusion,
    strength: float,
) -> dict[str, list[Judged]]:
    """Searches of both directions with their truth; `short`: the codes of `short_queries`."""
    first, total = pairs.first_stage(strength), pairs.total(fusion, strength)
    fits = fitting(split.captions, split.owners, split)
    words = np.broadcast_to(words_of_each(texts)[None, :], fits.shape)
    by_text = Judged(total[1].T, first[1].T, words.T, fits.T)
    nothing = np.zeros(len(short.global_), dtype=np.float32)
    asked = PairScores(
        score_all(network.alignment, pictures, short),
        np.arange(len(split.examples)),
        pairs.picture_global,
        pairs.picture_fine,
        nothing,
        nothing,
    )
    short_fits = fitting(short_queries(split), asked.owners, split)
    short_words = np.broadcast_to(words_of_each(short)[None, :], short_fits.shape)
    by_short_text = Judged(
        asked.total(fusion, strength)[1].T,
        asked.first_stage(strength)[1].T,
        short_words.T,
        short_fits.T,
    )
    return {
        "image_to_text": [Judged(total[0], first[0], words, fits)],
        "text_to_image": [by_text, by_short_text],
    }


def calibrate(judged: dict[str, list[Judged]]) -> Calibration:
    """Match probabilities of both directions."""
    return Calibration.model_validate({way: fit_direction(part) for way, part in judged.items()})


def calibration_report(
    judged: dict[str, list[Judged]], pairs: PairScores, calibration: Calibration
) -> dict[str, dict[str, float]]:
    """Per direction: expected calibration error, and AUROC of "nothing matches".

    The latter from each query's best probability, once with its own item taken out of the
    gallery, once with all that fit taken out.
    """
    own = {"image_to_text": pairs.relevant, "text_to_image": pairs.relevant.T}
    report = {}
    for way, part in judged.items():
        direction: Direction = getattr(calibration, way)
        shown = [listed(one.total, one.words, one.fits) for one in part]
        scores, words, fits = (np.concatenate(columns) for columns in zip(*shown, strict=True))
        figures = {
            "expected_calibration_error": expected_calibration_error(
                direction.total.probability(scores, words), fits
            )
        }
        if len(part) > 1:
            scores, words, fits = shown[1]
            figures["expected_calibration_error_of_short_queries"] = expected_calibration_error(
                direction.total.probability(scores, words), fits
            )
        probability = direction.total.probability(part[0].total, part[0].words)
        for name, gone in (("own", own[way]), ("all_fitting", part[0].fits)):
            present, absent = best_with_and_without(probability, gone)
            figures[f"no_match_auroc_{name}_taken_out"] = auroc(present, absent)
        figures["no_match_below"] = direction.no_match_below
        report[way] = {name: round(value, 4) for name, value in figures.items()}
    return report
