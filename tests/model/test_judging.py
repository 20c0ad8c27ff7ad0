"""Which sentences fit which photos, and what calibration makes of it."""

from pathlib import Path

import numpy as np
import pytest

from model.alignment import Codes
from model.bundle import Bundle
from model.coding import code_pictures, code_texts
from model.dataset import Example, Split, read_split
from model.evaluate import PairScores, score_pairs
from model.fusion import Fusion
from model.judging import calibrate, calibration_report, fitting, judge, short_queries
from model.text_trunk import text_trunk

SPLIT = Split(
    "val",
    (
        Example("a", ("A brown dog runs over wet grass .", "The dog is running")),
        Example("b", ("A dog and a cat sleep on a sofa", "Two animals sleeping")),
        Example("c", ("Children play football in the street", "Some kids with a ball")),
    ),
)


def test_a_sentence_fits_photos_whose_captions_use_most_of_its_content_words() -> None:
    texts = ["a dog", "dogs running on grass", "a cat on the street", "nobody knows"]
    fits = fitting(texts, np.array([0, 0, 1, 2]), SPLIT)
    assert fits.T.tolist() == [
        [True, True, False],
        [True, False, False],
        # Half of its content words is too little for the third, and its own photo always fits.
        [False, True, False],
        [False, False, True],
    ]


def test_short_queries_are_pieces_of_the_first_captions_that_say_something() -> None:
    pieces = short_queries(SPLIT)
    assert pieces == short_queries(SPLIT)
    for piece, example in zip(pieces, SPLIT.examples, strict=True):
        assert piece in example.captions[0]
        assert 2 <= len(piece.split()) <= 5
    assert fitting(pieces, np.arange(3), SPLIT).diagonal().all()


def test_a_caption_without_content_words_is_asked_whole() -> None:
    only = Split("val", (Example("a", ("It is what it is .",)),))
    assert short_queries(only) == ["It is what it is"]


@pytest.fixture(scope="module")
def coded(
    trained_bundle: Bundle, precomputed_folder: Path
) -> tuple[Split, Codes, Codes, Codes, PairScores]:
    split = read_split(precomputed_folder, "dev")
    network = trained_bundle.network()
    trunk = text_trunk(trained_bundle.config, trained_bundle.vocabulary)
    assert split.regions is not None
    pictures = code_pictures(network, split.regions.features)
    texts = code_texts(network, trunk(split.captions))
    short = code_texts(network, trunk(short_queries(split)))
    raw, bank = score_pairs(network, pictures, texts, split.owners, trained_bundle.bank, 20.0)
    return split, pictures, texts, short, bank.offsets(raw, Fusion())


def test_probabilities_fit_the_searches_that_they_were_fitted_on(
    coded: tuple[Split, Codes, Codes, Codes, PairScores], trained_bundle: Bundle
) -> None:
    split, pictures, texts, short, pairs = coded
    network = trained_bundle.network()
    judged = judge(network, split, pictures, texts, short, pairs, Fusion(), 0.5)
    assert [part.total.shape for part in judged["text_to_image"]] == [(60, 12), (12, 12)]
    assert [part.total.shape for part in judged["image_to_text"]] == [(12, 60)]
    assert all(part.words.min() >= 1 for parts in judged.values() for part in parts)
    report = calibration_report(judged, pairs, calibrate(judged))
    for way, figures in report.items():
        assert figures["expected_calibration_error"] < 0.15
        assert 0 <= figures["no_match_auroc_own_taken_out"] <= 1
        # Taking more out never makes the best that is left better.
        assert (
            figures["no_match_auroc_all_fitting_taken_out"]
            >= figures["no_match_auroc_own_taken_out"]
        )
        assert ("expected_calibration_error_of_short_queries" in figures) == (
            way == "text_to_image"
        )
